// SPDX-License-Identifier: GPL-2.0-only
// Which processes outside of the dumped tree have something open, by the links of their descriptors: walks through all of
// /proc, so it's asked only to tell the user. Source: proc_pid_fd(5).

import { readFdLink } from "../../kernel/procfs/links.ts";
import { readStat } from "../../kernel/procfs/stat.ts";
import { readComm } from "../../kernel/procfs/task-files.ts";
import { listFds, listProcesses } from "../../kernel/procfs/tasks.ts";
import { showPath } from "../../sys/file.ts";
import type { DumpContext, DumpedTask } from "../kind.ts";

const MAX_SHOWN = 3;
/** On a crowded host a name isn't worth more than this. */
const MAX_LINKS = 20_000;

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

/** The processes outside of the tree: the ancestors of its root, who most likely hold what it got from them, then the others. */
function* outsiders(tasks: readonly DumpedTask[]): Generator<number> {
	const met = new Set([process.pid, ...tasks.map(({ pid }) => pid)]);
	let parent = tasks[0]?.stat.ppid ?? 0;
	while (parent > 0 && !met.has(parent)) {
		met.add(parent);
		yield parent;
		try {
			parent = readStat(parent).ppid;
		} catch {
			break; // It has ended.
		}
	}
	for (const pid of listProcesses()) if (!met.has(pid)) yield pid;
}

/** Calls `look` for the descriptors of processes outside of the tree, at most `MAX_LINKS` of them, until it's `done`. */
function walk(
	tasks: readonly DumpedTask[],
	look: (link: Uint8Array, pid: number, fd: number) => void,
	done = () => false,
): void {
	let left = MAX_LINKS;
	for (const pid of outsiders(tasks)) {
		if (done()) return;
		for (const { fd, link } of fdsOf(pid)) {
			if (left-- === 0) return;
			try {
				look(link, pid, fd);
			} catch {
				// Closed meanwhile, or the process has just ended.
			}
		}
	}
}

function addHolder(holders: Holder[], pid: number, fd: number): void {
	if (holders.at(-1)?.pid !== pid) holders.push({ pid, fd, comm: showPath(readComm(pid)) });
}

/** The first descriptor that fits of each process outside of the tree; never throws for processes that end meanwhile. */
export function findHolders(
	matches: (link: Uint8Array, pid: number, fd: number) => boolean,
	{ tasks }: Pick<DumpContext, "tasks">,
): Holder[] {
	const holders: Holder[] = [];
	walk(tasks, (link, pid, fd) => {
		if (holders.at(-1)?.pid !== pid && matches(link, pid, fd)) addHolder(holders, pid, fd);
	});
	return holders;
}

/** The same for many things in one walk, by the text of their links; it ends when each has a holder. */
export function findHoldersOf(links: Iterable<string>, { tasks }: Pick<DumpContext, "tasks">): Map<string, Holder[]> {
	const found = new Map([...links].map((link): [string, Holder[]] => [link, []]));
	let open = found.size;
	const look = (link: Uint8Array, pid: number, fd: number) => {
		const holders = found.get(showPath(link));
		if (holders === undefined) return;
		if (holders.length === 0) open--;
		addHolder(holders, pid, fd);
	};
	walk(tasks, look, () => open === 0);
	return found;
}

/** "pid 12 (bash)", "pid 12 (bash), pid 13 (cat) and 2 others"; "a process that isn't to be seen here" for none. */
export function showHolders(holders: readonly Holder[]): string {
	if (holders.length === 0) return "a process that isn't to be seen here";
	const shown = holders.slice(0, MAX_SHOWN).map(({ pid, comm }) => `pid ${pid} (${comm})`);
	const more = holders.length - shown.length;
	return more > 0 ? `${shown.join(", ")} and ${more} others` : shown.join(", ");
}
