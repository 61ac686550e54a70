// SPDX-License-Identifier: GPL-2.0-only
// --pidfile: tells a pid to whoever started us.

import { closeSync, constants, openSync, unlinkSync, writeSync } from "node:fs";
import { CriuError } from "../errors.ts";

/** Writes the pid; the file must not exist. Gives the undoing. Without a path nothing is done. @throws CriuError PIDFILE */
export function writePidfile(path: string | undefined, pid: number): () => void {
	if (path === undefined) return () => {};
	let fd: number;
	try {
		fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
	} catch (error) {
		throw new CriuError("PIDFILE", `cannot write pid file ${path}`, {
			cause: error,
			remedy: "remove the old file or name another one with --pidfile",
		});
	}
	const remove = () => unlinkSync(path);
	try {
		writeSync(fd, String(pid));
	} catch (error) {
		remove();
		throw new CriuError("PIDFILE", `cannot write pid file ${path}`, {
			cause: error,
			remedy: "make room on its file system",
		});
	} finally {
		closeSync(fd);
	}
	return remove;
}
