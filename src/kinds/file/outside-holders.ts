// SPDX-License-Identifier: GPL-2.0-only
// Which processes outside of the dumped tree have something open, by the links of their descriptors: walks through all of
// /proc, so it's asked only to tell the user. Source: proc_pid_fd(5).

import { readFdLink } from "../../kernel/procfs/links.ts";
import { readComm } from "../../kernel/procfs/task-files.ts";
import { listFds, listProcesses } from "../../kernel/procfs/tasks.ts";
import { showPath } from "../../sys/file.ts";
import type { DumpContext } from "../kind.ts";

const MAX_SHOWN = 3;

/** A descriptor of a process that isn't dumped. */
export interface Holder {
	readonly pid: number;
	readonly comm: string;
	readonly fd: number;
}

function* fdsOf(pid: number): Generator<{ fd: number; link: Uint8Array }> {
	let fds: number[];
	try {
		fds = listFds(pid);
	} catch {
		return; // It has ended, or isn't ours to look at.
	}
	for (const fd of fds) {
		try {
			yield { fd, link: readFdLink(pid, fd) };
		} catch {
			// Closed meanwhile.
		}
	}
}

/** The first descriptor that fits of each process outside of the tree; never throws for processes that end meanwhile. */
export function findHolders(
	matches: (link: Uint8Array, pid: number, fd: number) => boolean,
	{ tasks }: Pick<DumpContext, "tasks">,
): Holder[] {
	const inside = new Set([process.pid, ...tasks.map(({ pid }) => pid)]);
	const holders: Holder[] = [];
	for (const pid of listProcesses()) {
		if (inside.has(pid)) continue;
		for (const { fd, link } of fdsOf(pid)) {
			try {
				if (!matches(link, pid, fd)) continue;
				holders.push({ pid, fd, comm: showPath(readComm(pid)) });
			} catch {
				continue; // It has just ended.
			}
			break;
		}
	}
	return holders;
}

/** "pid 12 (bash)", "pid 12 (bash), pid 13 (cat) and 2 others"; "a process that isn't to be seen here" for none. */
export function showHolders(holders: readonly Holder[]): string {
	if (holders.length === 0) return "a process that isn't to be seen here";
	const shown = holders.slice(0, MAX_SHOWN).map(({ pid, comm }) => `pid ${pid} (${comm})`);
	const more = holders.length - shown.length;
	return more > 0 ? `${shown.join(", ")} and ${more} others` : shown.join(", ");
}
