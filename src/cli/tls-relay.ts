// SPDX-License-Identifier: GPL-2.0-only
// An inner command: the process that encrypts one connection for another process of ours, which has started it.

import { runRelay } from "../pages/tls/relay.ts";

/** Serves until the connection ends; the exit code. */
export async function runTlsRelay(): Promise<number> {
	return await runRelay();
}
