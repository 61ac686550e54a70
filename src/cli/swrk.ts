// SPDX-License-Identifier: GPL-2.0-only
// `criu swrk FD`: answers the requests of the one program that started it. The service starts the same for each client.

import { defaultOptions } from "../options.ts";
import { serveConnection } from "../rpc/worker.ts";
import { setCloseOnExec } from "../sys/file.ts";
import type { CommandContext } from "./command-context.ts";

/** Serves the connection; the exit code. */
export async function runSwrk({ line, program, print, printError }: CommandContext): Promise<number> {
	const [word] = line.words;
	if (word === undefined || !/^\d{1,9}$/.test(word)) {
		printError("Usage: criu swrk <fd>\n");
		return 1;
	}
	const socket = Number(word);
	setCloseOnExec(socket);
	return await serveConnection({ socket, place: "swrk", line, program, print, printError });
}

/** The same for a client of the service, to whom none of the service's own options apply. */
export async function runServiceWorker({ line, program, print, printError }: CommandContext): Promise<number> {
	const socket = Number(line.words[0]);
	setCloseOnExec(socket);
	const bare = { ...line, options: defaultOptions(), seen: [] };
	return await serveConnection({ socket, place: "service", line: bare, program, print, printError });
}
