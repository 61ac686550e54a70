// SPDX-License-Identifier: GPL-2.0-only
// `criu page-server`: receives the pages of one dump.

import { closeSync, openSync } from "node:fs";
import { writePidfile } from "../engine/pidfile.ts";
import { tellReady } from "../engine/status-fd.ts";
import { UsageError } from "../errors.ts";
import type { Options } from "../options.ts";
import { launch } from "../sys/launch.ts";
import { ownCommand } from "../sys/own-command.ts";
import type { CommandContext } from "./command-context.ts";

/** Number of the listening socket in the server that goes on in the background. */
const LISTEN_FD = 3;
const MARK = "CRIU_PAGE_SERVER_SOCKET";

/** What serves a connection, as a process of its own: its descriptor 3 is the socket, 4 the images directory. */
export function pageServerCommand({ psSocket, autoDedup }: Options, logLevel: number) {
	const connection = psSocket === undefined ? [] : ["--ps-socket", String(LISTEN_FD)];
	const dedup = autoDedup ? ["--auto-dedup"] : [];
	const words = [
		"page-server",
		"-D",
		"/proc/self/fd/4",
		`-v${logLevel}`,
		"--no-default-config",
		...connection,
		...dedup,
	];
	const mark = psSocket === undefined ? String(LISTEN_FD) : undefined;
	const environment = { ...process.env, CRIU_CONFIG_FILE: undefined, [MARK]: mark };
	return { command: ownCommand(words), environment };
}

/** Serves one dump, or starts a server that does; the exit code. */
export async function runPageServer({ options }: CommandContext): Promise<number> {
	const { openPageServer } = await import("../engine/page-server.ts");
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
	try {
		writePidfile(options.pidfile, pid);
	} catch (error) {
		process.kill(pid, "SIGKILL");
		throw error;
	}
	tellReady(options.statusFd);
	return 0;
}

/** Another process of ours serves what comes to the socket. */
function goOnInBackground(listenFd: number, { imagesDir, workDir = imagesDir }: Options): number {
	// We are in the work directory by now: relative names of directories would lead elsewhere.
	const command = ownCommand([...process.argv.slice(2), "-D", imagesDir, "-W", workDir]);
	const nothing = openSync("/dev/null", "r+");
	try {
		return launch({
			...command,
			env: { ...process.env, [MARK]: String(LISTEN_FD) },
			fds: [nothing, nothing, nothing, listenFd],
			newSession: true,
		});
	} finally {
		closeSync(nothing);
	}
}
