// SPDX-License-Identifier: GPL-2.0-only
// --daemon: servers go on in a process of their own once they can be connected to.

import { closeSync, openSync } from "node:fs";
import { writePidfile } from "../engine/pidfile.ts";
import { tellReady } from "../engine/status-fd.ts";
import type { Options } from "../options.ts";
import { launch } from "../sys/launch.ts";
import { ownCommand } from "../sys/own-command.ts";

/** Number of the first socket in the process that goes on in the background. */
export const FIRST_SOCKET = 3;
/** Holds how many sockets there are. */
const MARK = "CRIU_BACKGROUND_SOCKETS";

/** The sockets of a server that goes on in the background; undefined in any other process. */
export function findSockets(): number[] | undefined {
	// Not by its parent: that one has ended by now, most likely.
	const count = Number(process.env[MARK] ?? "0");
	return count >= 1 && count <= 2 ? Array.from({ length: count }, (_one, index) => FIRST_SOCKET + index) : undefined;
}

/** The variable that tells such a process of its sockets. */
export function markSockets(count: number): Record<string, string> {
	return { [MARK]: String(count) };
}

/** Another process of ours serves what comes to the sockets. Tells its pid and that it's ready. @throws CriuError PIDFILE */
export function goOnInBackground(sockets: readonly number[], options: Options): void {
	const { imagesDir, workDir = imagesDir, pidfile, statusFd } = options;
	// We are in the work directory by now: relative names of directories would lead elsewhere.
	const command = ownCommand([...process.argv.slice(2), "-D", imagesDir, "-W", workDir]);
	const nothing = openSync("/dev/null", "r+");
	let pid: number;
	try {
		pid = launch({
			...command,
			env: { ...process.env, ...markSockets(sockets.length) },
			fds: [nothing, nothing, nothing, ...sockets],
			newSession: true,
		});
	} finally {
		closeSync(nothing);
	}
	try {
		writePidfile(pidfile, pid);
	} catch (error) {
		process.kill(pid, "SIGKILL");
		throw error;
	}
	tellReady(statusFd);
}
