// SPDX-License-Identifier: GPL-2.0-only
// The open descriptors of standing tasks, read once, and which of them are one open file description.
// Source: /proc/PID/fd, /proc/PID/fdinfo, pidfd_getfd(2), kcmp(2).

import { BugError } from "../../errors.ts";
import { O_CLOEXEC, O_PATH } from "../../kernel/abi/fcntl.ts";
import { SYS_poll } from "../../kernel/abi/syscalls.x86_64.ts";
import { parseFdinfoText, readFdinfo } from "../../kernel/procfs/fdinfo.ts";
import { readFdLink } from "../../kernel/procfs/links.ts";
import { listFds } from "../../kernel/procfs/tasks.ts";
import { scanFds } from "../../sys/fds.ts";
import { closeFd, statFd } from "../../sys/file.ts";
import { closeAll, syscall } from "../../sys/host.ts";
import { compareKernel, KCMP_FILE } from "../../sys/process.ts";
import type { DumpContext, DumpedTask, FdFacts } from "../kind.ts";
import { rootPrefix } from "./file-path.ts";
import { emptyFown, encodeOwner, readFown } from "./fown.ts";

/** The descriptors of a task; what it shares with its parent, under the same numbers, is known from there. */
function readTable(task: DumpedTask, context: Pick<DumpContext, "once">): FdFacts[] {
	const { pid, pidfd, parent } = task;
	const fds = listFds(pid);
	const before =
		parent === undefined
			? undefined
			: context.once(
					`fds-by-number:${parent.pid}`,
					() => new Map(collectFds(parent, context).map((file) => [file.fd, file])),
				);
	const found: FdFacts[] = [];
	try {
		const other =
			parent === undefined || before === undefined
				? undefined
				: { pid: parent.pid, has: (fd: number) => before.has(fd) };
		scanFds({ pid, pidfd, fds, prefix: rootPrefix(task, context), other }, (one) => {
			const { fd } = one;
			const info = parseFdinfoText(one.text, one.infoAt, one.infoEnd, () => one.info, `/proc/${pid}/fdinfo/${fd}`);
			const known = one.isShared ? before?.get(fd) : undefined;
			if (known !== undefined) {
				const { link, stat, ownFd, fown, isAtPath } = known;
				found.push({ task, fd, link, stat, info, ownFd, fown, isAtPath, sameAs: known.sameAs ?? known });
				return;
			}
			const { link, ownFd, stat, isAtPath } = one;
			const fown = (info.flags & O_PATH) === 0 ? encodeOwner(task, one.owner) : emptyFown();
			found.push({ task, fd, link, stat, info, ownFd, fown, isAtPath });
		});
	} catch (error) {
		closeOwned(found);
		throw error;
	}
	return found;
}

function closeOwned(files: readonly FdFacts[]): void {
	closeAll(files.flatMap(({ ownFd, sameAs }) => (sameAs === undefined ? [ownFd] : [])));
}

/** All open descriptors of a standing task, read once; copies of ours are closed when the dump is over. */
export function collectFds(task: DumpedTask, context: Pick<DumpContext, "once">): readonly FdFacts[] {
	return context.once(`fds:${task.pid}`, () => readTable(task, context));
}

/** Closes the copies of a task's descriptors. */
export function closeCopies(task: DumpedTask, context: Pick<DumpContext, "once">): void {
	closeOwned(context.once<readonly FdFacts[]>(`fds:${task.pid}`, () => []));
}

/** Files on their way through sockets, which came to us when we looked; closed when the dump is over. */
function inFlightFiles(context: Pick<DumpContext, "once">): FdFacts[] {
	return context.once<FdFacts[]>("in-flight", () => []);
}

/** A file that has come to us out of the queue of a socket. The number becomes the dump's. @throws KernelError */
export function addInFlight(fd: number, context: Pick<DumpContext, "once" | "tasks">): FdFacts {
	const [root] = context.tasks;
	if (root === undefined) throw new BugError("a dump without tasks");
	// The kernel compares and describes it under our number, as if we were one of the tasks.
	const task = context.once<DumpedTask>("in-flight-task", () =>
		Object.create(root, { pid: { value: process.pid }, vpid: { value: 0 } }),
	);
	context.once<readonly FdFacts[]>(`fds:${process.pid}`, () => []);
	const info = readFdinfo(process.pid, fd);
	const link = readFdLink(process.pid, fd);
	const fown = (info.flags & O_PATH) === 0 ? readFown(root, fd) : emptyFown();
	const file = { task, fd, link, stat: statFd(fd), info, ownFd: fd, fown };
	inFlightFiles(context).push(file);
	return file;
}

/** True for a file that no task has, or that at least came to us by another way. */
export function isInFlight(file: FdFacts): boolean {
	return file.task.pid === process.pid;
}

/** What is to be done when a dump has looked at everything, however it ends. */
function looksEnd(context: Pick<DumpContext, "once">): (() => void)[] {
	return context.once<(() => void)[]>("looks-end", () => []);
}

/** Has something done when a dump has looked at everything, however it ends. */
export function onLooksEnd(context: Pick<DumpContext, "once">, end: () => void): void {
	looksEnd(context).push(end);
}

/** Closes what has come to us out of queues, and ends what the looks needed. */
export function closeInFlight(context: Pick<DumpContext, "once">): void {
	for (const end of looksEnd(context).splice(0)) end();
	for (const { ownFd } of inFlightFiles(context).splice(0)) closeFd(ownFd);
}

/** What a description is ready for right now, of these events; hang-up and error always. Source: poll(2). */
export function readPoll(fd: number, events: number): number {
	const poll = new Int32Array([fd, events]);
	return syscall(SYS_poll, poll, 1, 0) <= 0 ? 0 : (poll[1] ?? 0) >>> 16;
}

/** 0 for descriptors of one open file description, 1 or 2 for an order, as kcmp(2) gives it. */
export type Compare = (a: FdFacts, b: FdFacts) => number;

/** Compares two descriptors of standing tasks. @throws KernelError */
export function compareDescriptors(a: FdFacts, b: FdFacts): number {
	return compareKernel(a.task.pid, b.task.pid, KCMP_FILE, a.fd, b.fd);
}

/** Where in a list that's in the kernel's order something belongs, by kcmp(2) of it with an element, and what's equal to it. */
export function searchOrdered<T>(list: readonly T[], compareTo: (element: T) => number): { at: number; found?: T } {
	let low = 0;
	let high = list.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		const element = list[middle] as T;
		const order = compareTo(element);
		if (order === 0) return { at: middle, found: element };
		if (order === 1) high = middle;
		else low = middle + 1;
	}
	return { at: low };
}

/** Descriptions that look alike, in the kernel's order. */
interface Alike<T> {
	readonly file: FdFacts;
	readonly list: { readonly file: FdFacts; readonly value: T }[];
}

/** All event counters have one inode, but each has a number of its own. */
function ownNumber({ info: { kind } }: FdFacts): number {
	return kind.type === "eventfd" ? (kind.id ?? 0) : 0;
}

function looksAlike(a: FdFacts, b: FdFacts): boolean {
	return (
		a.stat.ino === b.stat.ino &&
		a.stat.devMinor === b.stat.devMinor &&
		a.stat.devMajor === b.stat.devMajor &&
		((a.info.flags ^ b.info.flags) & ~O_CLOEXEC) === 0 &&
		a.info.pos === b.info.pos &&
		a.info.mntId === b.info.mntId &&
		ownNumber(a) === ownNumber(b)
	);
}

/** Open file descriptions that a dump has met. Only descriptors that look alike are compared. */
export class Descriptions<T> {
	private readonly buckets = new Map<number, Alike<T>[]>();
	/** What is known without a comparison. */
	private readonly known = new Map<FdFacts, T>();

	constructor(private readonly compare: Compare) {}

	/** What belongs to the description of a descriptor; made when it's met first. */
	of(file: FdFacts, make: () => T): T {
		const { sameAs } = file;
		const shared = this.known.get(sameAs ?? file);
		if (shared !== undefined) return shared;
		const { list } = this.findAlike(file);
		const { at, found } = searchOrdered(list, (known) => this.compare(file, known.file));
		const value = found === undefined ? make() : found.value;
		this.known.set(sameAs ?? file, value);
		if (found === undefined) list.splice(at, 0, { file, value });
		return value;
	}

	/** Those that look like a descriptor. A number leads near them: a text of all that counts would cost more than the rest. */
	private findAlike(file: FdFacts): Alike<T> {
		const { stat, info } = file;
		const key = Number(stat.ino) + 7919 * Number(info.pos) + 104729 * ownNumber(file) + (info.flags & ~O_CLOEXEC);
		const near = this.buckets.get(key);
		const known = near?.find((one) => looksAlike(one.file, file));
		if (known !== undefined) return known;
		const fresh: Alike<T> = { file, list: [] };
		if (near === undefined) this.buckets.set(key, [fresh]);
		else near.push(fresh);
		return fresh;
	}
}
