// SPDX-License-Identifier: GPL-2.0-only
// `criu lazy-pages`: brings the pages of one restore.

import { expectNoPidfile } from "../engine/pidfile.ts";
import { tellReady } from "../engine/status-fd.ts";
import { findSockets, goOnInBackground } from "./background.ts";
import type { CommandContext } from "./command-context.ts";

/** Serves one restore, or starts a daemon that does; the exit code. */
export async function runLazyPages({ options }: CommandContext): Promise<number> {
	const { openLazyDaemon } = await import("../engine/lazy-pages.ts");
	const sockets = findSockets();
	if (sockets !== undefined) {
		(await openLazyDaemon(options, sockets)).serve();
		return 0;
	}
	// Before the socket, which an earlier daemon may still have.
	if (options.restoreDetached) expectNoPidfile(options.pidfile);
	const daemon = await openLazyDaemon(options);
	if (options.restoreDetached) {
		goOnInBackground(daemon.fds, options);
		return 0;
	}
	tellReady(options.statusFd);
	daemon.serve();
	return 0;
}
