// SPDX-License-Identifier: GPL-2.0-only
// What an epoll watches, while its tasks stand still: the kernel tells the number under which each file was added, which may
// have been closed or given to another file since. kcmp(2) tells which open file it is.
// Source: proc_pid_fdinfo(5), kcmp(2) KCMP_EPOLL_TFD, fs/eventpoll.c.

import { fromKernelDev } from "../../kernel/abi/devices.ts";
import { KCMP_EPOLL_TFD, KcmpEpollSlot } from "../../kernel/abi/kcmp.ts";
import { S_IFMT, S_IFSOCK } from "../../kernel/abi/stat.ts";
import { SYS_kcmp } from "../../kernel/abi/syscalls.x86_64.ts";
import type { EpollTarget } from "../../kernel/procfs/fdinfo-kinds.ts";
import { mustSyscall } from "../../sys/host.ts";
import type { DumpContext, DumpedTask, FdFacts } from "../kind.ts";
import { collectFds, compareDescriptors, Descriptions, searchOrdered } from "./open-files.ts";

type Context = Pick<DumpContext, "once" | "tasks">;

/** A registration, and a descriptor of the tree for the watched file. Undefined: no task has one. */
export interface WatchedFile {
	readonly target: EpollTarget;
	readonly file: FdFacts | undefined;
}

function inodeKey(ino: bigint, major: number, minor: number): string {
	return `${ino}:${major}:${minor}`;
}

/** All descriptors of the tree by inode: per inode one of each description, in the kernel's order. */
class FilesByInode {
	private readonly lists = new Map<string, FdFacts[]>();
	private readonly sorted = new Map<string, FdFacts[]>();

	constructor(private readonly context: Context) {
		for (const file of this.all()) {
			const key = inodeKey(file.stat.ino, file.stat.devMajor, file.stat.devMinor);
			const list = this.lists.get(key);
			if (list === undefined) this.lists.set(key, [file]);
			else list.push(file);
		}
	}

	*all(): Generator<FdFacts> {
		for (const task of this.context.tasks) yield* collectFds(task, this.context);
	}

	of(key: string): readonly FdFacts[] {
		let sorted = this.sorted.get(key);
		if (sorted !== undefined) return sorted;
		sorted = [];
		for (const file of this.lists.get(key) ?? []) {
			const { at, found } = searchOrdered(sorted, (known) => compareDescriptors(file, known));
			if (found === undefined) sorted.splice(at, 0, file);
		}
		this.sorted.set(key, sorted);
		return sorted;
	}
}

/** Descriptors of one task by number. */
function fdsByNumber(task: DumpedTask, context: Context): ReadonlyMap<number, FdFacts> {
	return context.once(`fds-by-number:${task.pid}`, () => {
		const files = collectFds(task, context);
		return new Map(files.map((file) => [file.fd, file]));
	});
}

/** kcmp(2) of a descriptor with a registration: 0 when it's the watched file, else an order. */
function compareWatched(file: FdFacts, epoll: FdFacts, tfd: number, toff: number): number {
	const slot = KcmpEpollSlot.encode({ efd: epoll.fd, tfd, toff });
	const what = `of fd ${tfd} in epoll ${epoll.fd} of pid ${epoll.task.pid}`;
	return mustSyscall(what, SYS_kcmp, file.task.pid, epoll.task.pid, KCMP_EPOLL_TFD, file.fd, slot);
}

function findWatched(epoll: FdFacts, target: EpollTarget, toff: number, context: Context): FdFacts | undefined {
	const { tfd, ino, sdev } = target;
	const named = fdsByNumber(epoll.task, context).get(tfd);
	const key = ino === undefined || sdev === undefined ? undefined : toKey(ino, sdev);
	const looksRight = named !== undefined && (key === undefined || keyOf(named) === key);
	// Only one open file belongs to the inode of a socket.
	if (looksRight && key !== undefined && (named.stat.mode & S_IFMT) === S_IFSOCK) return named;
	if (looksRight && compareWatched(named, epoll, tfd, toff) === 0) return named;
	const files = context.once("fds-by-inode", () => new FilesByInode(context));
	const isWatched = (file: FdFacts) => compareWatched(file, epoll, tfd, toff);
	// The watched file comes first in the comparison of the search.
	const inverse = (order: number) => (order === 1 ? 2 : order === 2 ? 1 : order);
	const found = key === undefined ? undefined : searchOrdered(files.of(key), (file) => inverse(isWatched(file))).found;
	if (found !== undefined) return inTaskOf(epoll, found, context);
	// Some file systems show other numbers for a file than they have for it inside.
	for (const file of files.all())
		if (keyOf(file) !== key && isWatched(file) === 0) return inTaskOf(epoll, file, context);
	return undefined;
}

function keyOf({ stat }: FdFacts): string {
	return inodeKey(stat.ino, stat.devMajor, stat.devMinor);
}

function toKey(ino: bigint, sdev: number): string {
	const { major, minor } = fromKernelDev(sdev);
	return inodeKey(ino, major, minor);
}

/** A descriptor of the same file in the task that has the epoll, where there's one. */
function inTaskOf(epoll: FdFacts, found: FdFacts, context: Context): FdFacts {
	if (found.task === epoll.task) return found;
	const key = keyOf(found);
	for (const file of collectFds(epoll.task, context))
		if (keyOf(file) === key && compareDescriptors(file, found) === 0) return file;
	return found;
}

/** Everything that an epoll watches, in the kernel's order. Found once for each open file description of an epoll. */
export function findWatchedFiles(epoll: FdFacts, context: Context): readonly WatchedFile[] {
	const known = context.once("epolls", () => new Descriptions<readonly WatchedFile[]>(compareDescriptors));
	return known.of(epoll, () => {
		const { kind } = epoll.info;
		if (kind.type !== "epoll") return [];
		const seen = new Map<number, number>();
		return kind.targets.map((target) => {
			const toff = seen.get(target.tfd) ?? 0;
			seen.set(target.tfd, toff + 1);
			return { target, file: findWatched(epoll, target, toff, context) };
		});
	});
}
