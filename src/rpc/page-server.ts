// SPDX-License-Identifier: GPL-2.0-only
// Requests PAGE_SERVER and PAGE_SERVER_CHLD: a page server for one connection. It's a process of its own, since the worker goes on
// talking to its client; of the second kind WAIT_PID tells how it ended.

import { openSync } from "node:fs";
import { pageServerCommand } from "../cli/page-server.ts";
import { openPageServer } from "../engine/page-server.ts";
import { criu_req_type } from "../images/gen/rpc_pb.ts";
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from "../kernel/abi/fcntl.ts";
import { log, logDescriptor, logLevel } from "../log.ts";
import type { Options } from "../options.ts";
import { closeFd, openAt } from "../sys/file.ts";
import { launch } from "../sys/launch.ts";
import { __WALL, P_PID, sendSignal, WEXITED, waitId } from "../sys/process.ts";

const SIGKILL = 9;

/** A page server that has begun. */
export interface StartedServer {
	readonly pid: number;
	/** Undefined for a connection that was given. */
	readonly port: number | undefined;
	/** Ends it again. */
	stop(): void;
}

/**
 * Starts a page server that accepts a connection from now on. What it has to say goes to the log of the request.
 *
 * @throws UsageError, KernelError
 */
export function startPageServer(type: criu_req_type, options: Options): StartedServer {
	const { port, fd } = openPageServer(options);
	const images = openAt(options.imagesDir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const nothing = openSync("/dev/null", "r+");
	const output = logDescriptor();
	try {
		const { command, environment } = pageServerCommand(options, logLevel());
		const pid = launch({
			...command,
			env: environment,
			fds: [nothing, output, output, fd, images],
			newSession: type === criu_req_type.PAGE_SERVER,
		});
		log.info(`The page server is pid ${pid}${port === undefined ? "" : `, port ${port}`}`);
		const stop = () => {
			sendSignal(pid, SIGKILL);
			waitId(P_PID, pid, WEXITED | __WALL);
		};
		return { pid, port, stop };
	} finally {
		for (const one of [images, nothing, fd]) closeFd(one);
	}
}
