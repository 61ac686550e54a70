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
import { emptyFown, planFown, readFown } from "./fown.ts";
import { corruptImage, MAX_FDS } from "./image-checks.ts";
import { FILE_KINDS, findKindOfType } from "./index.ts";

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

type Compare = (a: number, b: number) => number;

/**
 * Groups descriptors by open file description: `compare` gives 0 for equal ones and 1 or 2 for an order, as kcmp(2) does.
 * Only those that look alike are compared. The first of each group is its lowest descriptor.
 */
export function groupByDescription(files: readonly FdFacts[], compare: Compare): FdFacts[][] {
	const buckets = new Map<string, FdFacts[][]>();
	const groups: FdFacts[][] = [];
	for (const file of files) {
		const { stat, info } = file;
		const key = [stat.devMajor, stat.devMinor, stat.ino, info.flags & ~O_CLOEXEC, info.pos, info.mntId].join(":");
		const bucket = buckets.get(key) ?? [];
		buckets.set(key, bucket);
		let low = 0;
		let high = bucket.length;
		let found: FdFacts[] | undefined;
		while (low < high && found === undefined) {
			const middle = (low + high) >> 1;
			const group = bucket[middle] ?? [];
			const order = compare(file.fd, group[0]?.fd ?? -1);
			if (order === 0) found = group;
			else if (order === 1) high = middle;
			else low = middle + 1;
		}
		if (found !== undefined) {
			found.push(file);
			continue;
		}
		const group = [file];
		bucket.splice(low, 0, group);
		groups.push(group);
	}
	return groups;
}

function dumpFds(task: DumpedTask, draft: TaskDraft, _ask: Program, context: DumpContext): undefined {
	const compare: Compare = (a, b) => compareKernel(task.pid, task.pid, KCMP_FILE, a, b);
	for (const group of groupByDescription(collectFds(task, context), compare)) {
		const [first] = group;
		const kind = first === undefined ? undefined : kindOf(first);
		if (first === undefined || kind === undefined || "unsupported" in kind) continue;
		const id = context.files.newId();
		context.files.add(kind.dump(first, id, context));
		for (const { fd, info } of group)
			draft.fds.push(
				create(fdinfo_entrySchema, { id, flags: (info.flags & O_CLOEXEC) !== 0 ? FD_CLOEXEC : 0, type: kind.type, fd }),
			);
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
	const program = plan.programs.files;
	const groups = checkFds(image);
	const pending = new Set(groups.keys());
	for (const [id, fds] of groups) {
		pending.delete(id);
		const entry = context.files.get(id);
		const [first] = fds;
		if (entry === undefined || first === undefined) throw corruptImage("files.img", `no file for id ${id}`);
		if (entry.type !== first.type)
			throw corruptImage("files.img", `file ${id} is of type ${entry.type}, not ${first.type}`);
		const kind = findKindOfType(entry.type);
		if (kind === undefined)
			throw new UnsupportedError(
				"UNSUPPORTED_FILE",
				`file ${id} of the images is of type ${fd_types[entry.type] ?? entry.type}, which this version doesn't restore`,
				{
					remedy: "restore these images with the original criu",
				},
			);
		const opened = kind.plan(entry, { program, plan, context, image, pending });
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
