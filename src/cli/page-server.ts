// SPDX-License-Identifier: GPL-2.0-only
// `criu page-server`: receives the pages of one dump, or with --lazy-pages serves those of images.

import { resolve } from "node:path";
import { tellReady } from "../engine/status-fd.ts";
import { UsageError } from "../errors.ts";
import type { Options } from "../options.ts";
import { ownCommand } from "../sys/own-command.ts";
import { FIRST_SOCKET, findSockets, goOnInBackground, markSockets } from "./background.ts";
import type { CommandContext } from "./command-context.ts";

/** Names of files are those of this process, whose directory the other one leaves. */
function tlsWords(options: Options): string[] {
	if (!options.tls) return [];
	const { address, tlsCaCert, tlsCaCrl, tlsCert, tlsKey, tlsNoCnVerify } = options;
	const files = Object.entries({ cacert: tlsCaCert, cacrl: tlsCaCrl, cert: tlsCert, key: tlsKey });
	return [
		"--tls",
		...files.flatMap(([name, path]) => (path === undefined ? [] : [`--tls-${name}`, resolve(path)])),
		...(tlsNoCnVerify ? ["--tls-no-cn-verify"] : []),
		// Nothing listens there any more, but it's the name that the other side's certificate has to have.
		...(address === undefined ? [] : ["--address", address]),
	];
}

/** What serves a connection, as a process of its own: its descriptor 3 is the socket, 4 the images directory. */
export function pageServerCommand(options: Options, logLevel: number) {
	const { psSocket, autoDedup, lazyPages } = options;
	const connection = psSocket === undefined ? [] : ["--ps-socket", String(FIRST_SOCKET)];
	const dedup = autoDedup ? ["--auto-dedup"] : [];
	const lazy = lazyPages ? ["--lazy-pages"] : [];
	const words = [
		"page-server",
		"-D",
		"/proc/self/fd/4",
		`-v${logLevel}`,
		"--no-default-config",
		...connection,
		...dedup,
		...lazy,
		...tlsWords(options),
	];
	const mark = psSocket === undefined ? markSockets(1) : {};
	const environment = { ...process.env, CRIU_CONFIG_FILE: undefined, ...mark };
	return { command: ownCommand(words), environment };
}

/** Serves one connection, or starts a server that does; the exit code. */
export async function runPageServer({ options }: CommandContext): Promise<number> {
	const { openPageServer } = await import("../engine/page-server.ts");
	const { psSocket } = options;
	const [listener] = findSockets() ?? [];
	if (listener !== undefined) {
		openPageServer(options, listener).serve();
		return 0;
	}
	if (options.restoreDetached && psSocket !== undefined && psSocket < 3)
		throw new UsageError("PS_SOCKET", "--ps-socket 0, 1 and 2 can't be used with --daemon", {
			remedy: "give the connection another number",
		});
	const server = openPageServer(options);
	if (options.restoreDetached && psSocket === undefined) {
		goOnInBackground([server.fd], options);
		return 0;
	}
	tellReady(options.statusFd);
	server.serve();
	return 0;
}
