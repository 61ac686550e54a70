// SPDX-License-Identifier: GPL-2.0-only
// `criu page-server`: receives the pages of one dump.

import { spawn } from "node:child_process";
import { closeSync, openSync, writeSync } from "node:fs";
import { CriuError, UsageError } from "../errors.ts";
import type { Options } from "../options.ts";
import type { CommandContext } from "./command-context.ts";

/** Number of the listening socket in the server that goes on in the background. */
const LISTEN_FD = 3;
const MARK = "CRIU_PAGE_SERVER_SOCKET";

/** Serves one dump, or starts a server that does; the exit code. */
export async function runPageServer({ options }: CommandContext): Promise<number> {
	const { openPageServer, tellReady } = await import("../engine/page-server.ts");
	const { psSocket } = options;
	// Not by its parent: that one has ended by now, most likely.
	if (process.env[MARK] === String(LISTEN_FD)) {
		openPageServer(options, LISTEN_FD).serve();
		return 0;
	}
	if (options.restoreDetached && psSocket !== undefined && psSocket < 3)
		throw new UsageError("PS_SOCKET", "--ps-socket 0, 1 and 2 can't be used with --daemon", {
			remedy: "give the connection another number",
		});
	const server = openPageServer(options);
	if (!options.restoreDetached || psSocket !== undefined) {
		tellReady(options.statusFd);
		server.serve();
		return 0;
	}
	const pid = goOnInBackground(server.fd, options);
	if (options.pidfile !== undefined) writePidfile(options.pidfile, pid);
	tellReady(options.statusFd);
	return 0;
}

/** Another process of ours serves what comes to the socket. */
function goOnInBackground(listenFd: number, { imagesDir, workDir = imagesDir }: Options): number {
	// We are in the work directory by now: relative names of directories would lead elsewhere.
	const args = [...process.argv.slice(2), "-D", imagesDir, "-W", workDir];
	const child = spawn("/proc/self/exe", args, {
		detached: true,
		stdio: ["ignore", "ignore", "ignore", listenFd],
		env: { ...process.env, [MARK]: String(LISTEN_FD) },
	});
	child.unref();
	if (child.pid === undefined)
		throw new CriuError("DAEMON", "the page server can't go on in the background", { remedy: "leave --daemon out" });
	return child.pid;
}

function writePidfile(path: NonNullable<Options["pidfile"]>, pid: number): void {
	try {
		const fd = openSync(path, "wx", 0o600);
		writeSync(fd, String(pid));
		closeSync(fd);
	} catch (error) {
		process.kill(pid, "SIGKILL");
		throw new CriuError("PIDFILE", `cannot write pid file ${path}`, {
			cause: error,
			remedy: "remove the old file or name another one with --pidfile",
		});
	}
}
