// SPDX-License-Identifier: GPL-2.0-only
// --pidfile: tells a pid to whoever started us.

import { closeSync, constants, lstatSync, openSync, unlinkSync, writeSync } from "node:fs";
import { CriuError } from "../errors.ts";

function cannotWrite(path: string, cause: unknown, remedy: string): CriuError {
	return new CriuError("PIDFILE", `cannot write pid file ${path}`, { cause, remedy });
}

const OTHER_NAME = "remove the old file or name another one with --pidfile";

/** Looks before anything is done that a failure would have to undo. @throws CriuError PIDFILE when the file is there already */
export function expectNoPidfile(path: string | undefined): void {
	if (path === undefined || lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
	throw cannotWrite(path, new Error("file exists (EEXIST)"), OTHER_NAME);
}

/** Writes the pid; the file must not exist. Gives the undoing. Without a path nothing is done. @throws CriuError PIDFILE */
export function writePidfile(path: string | undefined, pid: number): () => void {
	if (path === undefined) return () => {};
	let fd: number;
	try {
		fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
	} catch (error) {
		throw cannotWrite(path, error, OTHER_NAME);
	}
	const remove = () => unlinkSync(path);
	try {
		writeSync(fd, String(pid));
	} catch (error) {
		remove();
		throw cannotWrite(path, error, "make room on its file system");
	} finally {
		closeSync(fd);
	}
	return remove;
}
