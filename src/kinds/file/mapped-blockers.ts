// SPDX-License-Identifier: GPL-2.0-only
// What stops a dump because of the executable or a mapped file: deleted and too large to travel, or known by another name
// only. Descriptors have the same checks in reg-file.ts. Source: proc_pid_map_files(5).

import { about, type CriuError, isErrno } from "../../errors.ts";
import { O_PATH } from "../../kernel/abi/fcntl.ts";
import { mapFilePath, readLink } from "../../kernel/procfs/links.ts";
import { openAt, scopedFd, statFd, statPath } from "../../sys/file.ts";
import type { DumpContext, DumpedTask } from "../kind.ts";
import { findPathBlockers } from "./path-blockers.ts";

/** Names of the kernel's own shared memory, which is no file with a path. */
const SLASH = 0x2f;
const NO_FILE = /^\/(?:memfd:|SYSV|\[aio\]|dev\/zero \(deleted\)$|anon_hugepage)/;
const decoder = new TextDecoder("latin1");

function findLinkBlockers(task: DumpedTask, path: string, what: string, context: DumpContext): CriuError[] {
	try {
		using file = scopedFd(openAt(path, O_PATH));
		return about(
			() => path,
			() => findPathBlockers({ task, link: readLink(path), stat: statFd(file.fd), ownFd: file.fd }, what, context),
		);
	} catch (error) {
		// A task without an executable, or a mapping without a file: the memory kind's business.
		if (isErrno(error, "ENOENT")) return [];
		throw error;
	}
}

/** A name of the directory that is a task's root. @throws KernelError */
export function rootKey(task: DumpedTask, context: DumpContext): string {
	return context.once(`root-key:${task.pid}`, () => {
		const { devMajor, devMinor, ino } = statPath(`/proc/${task.pid}/root`);
		return `${devMajor}:${devMinor}:${ino}`;
	});
}

/** The executable as the keys of mapped files are written. */
function exeKey(task: DumpedTask): string {
	try {
		const { devMajor, devMinor, ino } = statPath(`/proc/${task.pid}/exe`);
		return `${devMajor}:${devMinor}:${ino}`;
	} catch (error) {
		if (isErrno(error, "ENOENT")) return "";
		throw error;
	}
}

/** Looks at the executable and at each mapped file once. @throws KernelError */
export function findMappedBlockers(task: DumpedTask, context: DumpContext): CriuError[] {
	const found: CriuError[] = [];
	const seen = new Set<string>();
	for (const vma of task.vmas) {
		if (vma.ino === 0n || vma.name[0] !== SLASH) continue;
		const name = decoder.decode(vma.name);
		const key = `${vma.devMajor}:${vma.devMinor}:${vma.ino}`;
		if (NO_FILE.test(name) || seen.has(key)) continue;
		seen.add(key);
		const path = mapFilePath(task.pid, vma.start, vma.end);
		// What holds for one task holds for others with the same root that map the same file under the same name.
		const known = context.once(`mapped-blockers:${rootKey(task, context)}:${key}:${name}`, () => ({
			task,
			seen: false,
		}));
		if (known.seen) continue;
		const blockers = findLinkBlockers(task, path, `mapping 0x${vma.start.toString(16)}`, context);
		known.seen = blockers.length === 0;
		found.push(...blockers);
	}
	// Usually mapped; then it has been looked at already.
	if (found.length > 0 || seen.has(exeKey(task))) return found;
	return findLinkBlockers(task, `/proc/${task.pid}/exe`, "the executable", context);
}
