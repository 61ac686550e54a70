// SPDX-License-Identifier: GPL-2.0-only
// `criu service`: listens on a socket and has each client served by a worker of its own; with -d in the background.

import { closeSync, openSync, readSync, rmSync } from "node:fs";
import { runActionScripts } from "../engine/action-scripts.ts";
import { expectNoPidfile, writePidfile } from "../engine/pidfile.ts";
import { tellReady } from "../engine/status-fd.ts";
import { CriuError, UsageError } from "../errors.ts";
import { log, openLog } from "../log.ts";
import type { Options } from "../options.ts";
import { bindService, DEFAULT_ADDRESS, runServiceLoop } from "../rpc/service.ts";
import { setCloseOnExec } from "../sys/file.ts";
import { launch } from "../sys/launch.ts";
import { ownCommand } from "../sys/own-command.ts";
import { makePipe } from "../sys/pipe.ts";
import type { CommandContext } from "./command-context.ts";

/** Tells the program in the background which descriptors it has: the socket, where it says that it's ready, --status-fd. */
const DAEMON_VARIABLE = "CRIU_DAEMON_FDS";
const DAEMON_FDS = { socket: 3, ready: 4, status: 5 };

/** Makes the work directory the current one. @throws UsageError WORK_DIR */
function enterPlace({ workDir, imagesDir }: Options): void {
	const place = workDir ?? imagesDir;
	try {
		process.chdir(place);
	} catch (error) {
		throw new UsageError("WORK_DIR", `Can't change directory to work dir ${place}`, {
			cause: error,
			remedy: "create the directory, or name another one with -W",
		});
	}
}

/** @throws UsageError LOG_FILE */
function startLog({ logFile }: Options): void {
	try {
		openLog(logFile);
	} catch (error) {
		throw new UsageError("LOG_FILE", `Can't create log file ${logFile}`, {
			cause: error,
			remedy: "name a file that can be written with -o",
		});
	}
}

/**
 * Serves until a signal ends it. `ready`: where a parent of ours waits. The pid file stays: whoever has ended the service by it
 * removes it, as scripts for the original do, and would fail if it were gone.
 */
function serve(socket: number, address: string, options: Options, ready: number | undefined): number {
	const removePidfile = writePidfile(options.pidfile, process.pid);
	try {
		runActionScripts(options.actionScripts, "status-ready", {});
		tellReady(options.statusFd);
		tellReady(ready, "descriptor");
	} catch (error) {
		removePidfile();
		throw error;
	}
	return runServiceLoop(socket, address);
}

/** Starts ourselves anew in the background, with the socket. Waits until that serves; the exit code. */
function startDaemon(socket: number, address: string, statusFd: number | undefined): number {
	const [reader, writer] = makePipe();
	const nothing = openSync("/dev/null", "r+");
	const { path, argv } = ownCommand(process.argv.slice(2));
	launch({
		path,
		argv,
		env: { ...process.env, [DAEMON_VARIABLE]: `${statusFd === undefined ? "" : "status"}` },
		fds: [nothing, nothing, nothing, socket, writer, ...(statusFd === undefined ? [] : [statusFd])],
		newSession: true,
	});
	closeSync(writer);
	if (readSync(reader, Buffer.alloc(1)) === 1) return 0;
	rmSync(address, { force: true });
	throw new CriuError("SERVICE_FAILED", "the service ended before it was ready", {
		remedy: "see its log (-o FILE), or start it without --daemon",
	});
}

/** Runs the service; the exit code. */
export async function runService({ options }: CommandContext): Promise<number> {
	const daemon = process.env[DAEMON_VARIABLE];
	delete process.env[DAEMON_VARIABLE];
	// The program in the background is there already.
	if (daemon === undefined) enterPlace(options);
	startLog(options);
	const address = options.address ?? DEFAULT_ADDRESS;
	if (daemon !== undefined) {
		for (const fd of [DAEMON_FDS.socket, DAEMON_FDS.ready]) setCloseOnExec(fd);
		const status = daemon === "status" ? DAEMON_FDS.status : undefined;
		return serve(DAEMON_FDS.socket, address, { ...options, statusFd: status }, DAEMON_FDS.ready);
	}
	if (options.address === undefined) log.warn("Binding to local dir address!");
	// Before the socket, which may lie where an earlier service's is that still runs.
	expectNoPidfile(options.pidfile);
	const socket = bindService(address);
	if (options.restoreDetached) return startDaemon(socket, address, options.statusFd);
	try {
		return serve(socket, address, options, undefined);
	} catch (error) {
		rmSync(address, { force: true });
		throw error;
	}
}
