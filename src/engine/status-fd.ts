// SPDX-License-Identifier: GPL-2.0-only
// --status-fd: tells whoever started us that requests or pages are served from now on.

import { UsageError } from "../errors.ts";
import { closeFd, writeAll } from "../sys/file.ts";

/** Writes one NUL byte and closes the descriptor; without one nothing is done. @throws UsageError STATUS_FD */
export function tellReady(fd: number | undefined, name = "--status-fd"): void {
	if (fd === undefined) return;
	try {
		writeAll(fd, new Uint8Array(1));
		closeFd(fd);
	} catch (error) {
		throw new UsageError("STATUS_FD", `${name} ${fd} can't be written to`, {
			cause: error,
			remedy: "give the number of a descriptor that is open for writing",
		});
	}
}
