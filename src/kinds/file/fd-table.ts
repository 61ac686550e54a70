// SPDX-License-Identifier: GPL-2.0-only
// The descriptor table of a task: which numbers refer to which open file descriptions.
// Images: fdinfo-N.img (fdinfo_entry), files.img. Source: /proc/PID/fd, /proc/PID/fdinfo, pidfd_getfd(2), kcmp(2).

import type { OpRef, Program } from "../../agent/program.ts";
import { type CriuError, UnsupportedError } from "../../errors.ts";
import { fd_types, type fdinfo_entry, fdinfo_entrySchema, type file_entry } from "../../images/gen/fdinfo_pb.ts";
import type { fown_entry } from "../../images/gen/fown_pb.ts";
import { create } from "../../images/index.ts";
import { FD_CLOEXEC, O_CLOEXEC, O_PATH } from "../../kernel/abi/fcntl.ts";
import { SYS_close, SYS_dup3 } from "../../kernel/abi/syscalls.x86_64.ts";
import { readFdinfo } from "../../kernel/procfs/fdinfo.ts";
import { readFdLink } from "../../kernel/procfs/links.ts";
import { listFds } from "../../kernel/procfs/tasks.ts";
import { closeFd, showPath, statFd } from "../../sys/file.ts";
import { compareKernel, getPidfdFd, KCMP_FILE } from "../../sys/process.ts";
import type {
	DumpContext,
	DumpedTask,
	FdFacts,
	FileKind,
	RestoreContext,
	TaskDraft,
	TaskImage,
	TaskKind,
	TaskPlan,
	UnsupportedFileKind,
} from "../kind.ts";
import { firstSharer } from "../task/sharing.ts";
import { emptyFown, planFown, readFown } from "./fown.ts";
import { corruptImage, MAX_FDS } from "./image-checks.ts";
import { FILE_KINDS, findKindOfType } from "./index.ts";
import { type KeptRef, planShare } from "./kept-files.ts";

function readFd(task: DumpedTask, fd: number): FdFacts {
	const info = readFdinfo(task.pid, fd);
	const link = readFdLink(task.pid, fd);
	const ownFd = getPidfdFd(task.pidfd, fd);
	try {
		const fown = (info.flags & O_PATH) === 0 ? readFown(task, ownFd) : emptyFown();
		return { task, fd, link, stat: statFd(ownFd), info, ownFd, fown };
	} catch (error) {
		closeFd(ownFd);
		throw error;
	}
}

/** All open descriptors of a standing task, read once; copies of ours are closed when the dump is over. */
function collectFds(task: DumpedTask, context: DumpContext): readonly FdFacts[] {
	return context.once(`fds:${task.pid}`, () => listFds(task.pid).map((fd) => readFd(task, fd)));
}

/** Closes the copies of a task's descriptors. */
export function closeCopies(task: DumpedTask, context: DumpContext): void {
	for (const { ownFd } of context.once<readonly FdFacts[]>(`fds:${task.pid}`, () => [])) closeFd(ownFd);
}

function kindOf(file: FdFacts): FileKind | UnsupportedFileKind | undefined {
	return FILE_KINDS.find((kind) => kind.matches(file));
}

function findLockBlockers(file: FdFacts): CriuError[] {
	if (file.info.locks.length === 0) return [];
	return [
		new UnsupportedError(
			"FILE_LOCKS",
			`pid ${file.task.pid}: fd ${file.fd} (${showPath(file.link)}) holds a file lock, which this version doesn't dump`,
			{
				remedy: "let the program release the lock first, or use the original criu with --file-locks",
			},
		),
	];
}

function findFdBlockers(task: DumpedTask, context: DumpContext): CriuError[] {
	return collectFds(task, context).flatMap((file) => {
		const kind = kindOf(file);
		const locks = findLockBlockers(file);
		if (kind !== undefined && !("unsupported" in kind))
			return [...(kind.findBlockers?.(file, context) ?? []), ...locks];
		const object = `pid ${task.pid}: fd ${file.fd} (${showPath(file.link)})`;
		const what = kind === undefined ? "is of an unknown kind" : `is a ${kind.name}: ${kind.reason}`;
		const remedy = kind?.remedy ?? "close it in the program first";
		return [new UnsupportedError("UNSUPPORTED_FILE", `${object} ${what}`, { remedy }), ...locks];
	});
}

/** 0 for descriptors of one open file description, 1 or 2 for an order, as kcmp(2) gives it. */
type Compare = (a: FdFacts, b: FdFacts) => number;

/** Open file descriptions that a dump has met. Only descriptors that look alike are compared. */
export class Descriptions<T> {
	private readonly buckets = new Map<string, { file: FdFacts; value: T }[]>();

	constructor(private readonly compare: Compare) {}

	/** What belongs to the description of a descriptor; made when it's met first. */
	of(file: FdFacts, make: () => T): T {
		const { stat, info } = file;
		const key = [stat.devMajor, stat.devMinor, stat.ino, info.flags & ~O_CLOEXEC, info.pos, info.mntId].join(":");
		const bucket = this.buckets.get(key) ?? [];
		this.buckets.set(key, bucket);
		let low = 0;
		let high = bucket.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			const known = bucket[middle] as { file: FdFacts; value: T };
			const order = this.compare(file, known.file);
			if (order === 0) return known.value;
			if (order === 1) high = middle;
			else low = middle + 1;
		}
		const value = make();
		bucket.splice(low, 0, { file, value });
		return value;
	}
}

function compareDescriptors(a: FdFacts, b: FdFacts): number {
	return compareKernel(a.task.pid, b.task.pid, KCMP_FILE, a.fd, b.fd);
}

function dumpFds(task: DumpedTask, draft: TaskDraft, _ask: Program, context: DumpContext): undefined {
	if (firstSharer("files", task, context) !== task) return undefined;
	const descriptions = context.once("descriptions", () => new Descriptions<number>(compareDescriptors));
	for (const file of collectFds(task, context)) {
		const kind = kindOf(file);
		if (kind === undefined || "unsupported" in kind) continue;
		const id = descriptions.of(file, () => {
			const fresh = context.files.newId();
			context.files.add(kind.dump(file, fresh, context));
			return fresh;
		});
		const flags = (file.info.flags & O_CLOEXEC) !== 0 ? FD_CLOEXEC : 0;
		draft.fds.push(create(fdinfo_entrySchema, { id, flags, type: kind.type, fd: file.fd }));
	}
	draft.fds.sort((a, b) => a.fd - b.fd);
	return undefined;
}

/** Descriptors by description, checked. @throws ImageError */
function checkFds(image: TaskImage): Map<number, fdinfo_entry[]> {
	const byId = new Map<number, fdinfo_entry[]>();
	const taken = new Set<number>();
	const file = "its fdinfo image";
	for (const entry of image.fds) {
		if (entry.fd >= MAX_FDS) throw corruptImage(file, `descriptor ${entry.fd}`);
		if (taken.has(entry.fd)) throw corruptImage(file, `descriptor ${entry.fd} twice`);
		taken.add(entry.fd);
		const group = byId.get(entry.id);
		if (group === undefined) byId.set(entry.id, [entry]);
		else group.push(entry);
	}
	return byId;
}

function fownOf(entry: file_entry): fown_entry | undefined {
	return entry.reg?.fown ?? entry.pipe?.fown ?? entry.tty?.fown;
}

function planFds(image: TaskImage, plan: TaskPlan, context: RestoreContext): void {
	const tables = context.once("fd-tables", () => new Set<number>());
	const groups = checkFds(image);
	// A child that shares its maker's table has all of it from birth.
	if (tables.has(image.ids.filesId)) return;
	tables.add(image.ids.filesId);
	const made = context.once("descriptions", () => new Map<number, KeptRef>());
	const program = plan.programs.files;
	for (const [id, fds] of groups) {
		const entry = context.files.get(id);
		const [first] = fds;
		if (entry === undefined || first === undefined) throw corruptImage("files.img", `no file for id ${id}`);
		if (entry.type !== first.type)
			throw corruptImage("files.img", `file ${id} is of type ${entry.type}, not ${first.type}`);
		const owner = made.get(id);
		if (owner !== undefined) {
			planTargets(program, planShare(program, owner, plan), fds, plan);
			continue;
		}
		made.set(id, { plan, number: first.fd });
		const kind = findKindOfType(entry.type);
		if (kind === undefined)
			throw new UnsupportedError(
				"UNSUPPORTED_FILE",
				`file ${id} of the images is of type ${fd_types[entry.type] ?? entry.type}, which this version doesn't restore`,
				{
					remedy: "restore these images with the original criu",
				},
			);
		const opened = kind.plan(entry, { program, plan, context, image });
		planTargets(program, opened, fds, plan);
		// O_PATH files have no owner; all others may.
		const fown = fownOf(entry);
		if (fown !== undefined && (fown.pid !== 0 || fown.signum !== 0)) planFown(program, first.fd, fown);
	}
}

/** Gives a description its numbers. It passes through a reserved one: the first may be any, also one of its own. */
function planTargets(program: Program, opened: OpRef, fds: readonly fdinfo_entry[], plan: TaskPlan): void {
	const number = plan.numbers.reserve("opened file");
	program.syscall("move it out of the way", SYS_dup3, [opened, number, 0]);
	program.syscall("close the first copy", SYS_close, [opened]);
	for (const { fd, flags } of fds)
		program.syscall(`make it fd ${fd}`, SYS_dup3, [number, fd, (flags & FD_CLOEXEC) !== 0 ? O_CLOEXEC : 0], {
			remedies: { EBADF: "raise the limit of descriptors for criu: ulimit -Hn 1048576" },
		});
	program.syscall("close the copy", SYS_close, [number]);
}

/** Open descriptors of a task. */
export const fdTable: TaskKind = { name: "fds", findBlockers: findFdBlockers, dump: dumpFds, plan: planFds };
