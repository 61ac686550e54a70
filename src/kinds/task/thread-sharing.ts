// SPDX-License-Identifier: GPL-2.0-only
// Threads that have left what their process shares: a descriptor table, directories or a namespace of their own. Images have
// a place for these per process only. Source: unshare(2), setns(2), kcmp(2), namespaces(7).

import { type CriuError, isErrno, UnsupportedError } from "../../errors.ts";
import { readLinkAt } from "../../sys/file.ts";
import { compareKernel, KCMP_FILES, KCMP_FS } from "../../sys/process.ts";
import type { DumpedTask, TaskKind } from "../kind.ts";

/** What a single thread can leave; a mount namespace goes with directories, the others with the whole process. */
const NAMESPACES = {
	uts: "UTS namespace",
	ipc: "IPC namespace",
	net: "network namespace",
	cgroup: "cgroup namespace",
	pid_for_children: "pid namespace for its children",
} as const;
type Namespace = keyof typeof NAMESPACES;

const OBJECTS = [
	[KCMP_FILES, "descriptor table"],
	[KCMP_FS, "working directory and umask"],
] as const;

/** The text of a namespace link; undefined where the kernel has no such kind. */
function readLink(pid: number, tid: number, name: Namespace): Uint8Array | undefined {
	try {
		return readLinkAt(`/proc/${pid}/task/${tid}/ns/${name}`);
	} catch (error) {
		if (isErrno(error, "ENOENT")) return undefined;
		throw error;
	}
}

/** One finding for each thing that threads have of their own, naming the first of them. */
function findUnshared({ pid, threads }: DumpedTask): CriuError[] {
	const [, ...others] = threads;
	if (others.length === 0) return [];
	const found = new Map<string, number[]>();
	const note = (what: string, tid: number) => found.set(what, [...(found.get(what) ?? []), tid]);
	const links = (Object.keys(NAMESPACES) as Namespace[]).flatMap((name) => {
		const text = readLink(pid, pid, name);
		return text === undefined ? [] : [{ name, text: Buffer.from(text) }];
	});
	for (const { tid } of others) {
		for (const [type, what] of OBJECTS) if (compareKernel(pid, tid, type) !== 0) note(what, tid);
		for (const { name, text } of links) if (!text.equals(readLink(pid, tid, name) ?? text)) note(NAMESPACES[name], tid);
	}
	return [...found].map(([what, [first, ...more]]) => {
		const others = more.length === 0 ? "" : ` (${more.length} more threads, too)`;
		return new UnsupportedError("THREAD_UNSHARED", `thread ${first} of pid ${pid} has its own ${what}${others}`, {
			remedy: "the program must not use unshare(2) or setns(2) in single threads; dump it before or after",
		});
	});
}

/** What threads share with their process. */
export const threadSharing: TaskKind = { name: "thread-sharing", findBlockers: findUnshared };
