// SPDX-License-Identifier: GPL-2.0-only
// The descriptor table of a task: which numbers refer to which open file descriptions.
// Images: fdinfo-N.img (fdinfo_entry), files.img. Source: /proc/PID/fd, /proc/PID/fdinfo, pidfd_getfd(2), kcmp(2).

import type { Program } from "../../agent/program.ts";
import { type CriuError, UnsupportedError } from "../../errors.ts";
import { fd_types, type fdinfo_entry, fdinfo_entrySchema, type file_entry } from "../../images/gen/fdinfo_pb.ts";
import type { fown_entry } from "../../images/gen/fown_pb.ts";
import { create } from "../../images/index.ts";
import { AT_FDCWD, F_OWNER_TID, FD_CLOEXEC, O_CLOEXEC, O_PATH } from "../../kernel/abi/fcntl.ts";
import { SYS_close, SYS_openat } from "../../kernel/abi/syscalls.x86_64.ts";
import { toCString } from "../../sys/file.ts";
import type {
	DumpContext,
	DumpedTask,
	FdArg,
	FileKind,
	FilePlan,
	FileRef,
	RestoreContext,
	TaskDraft,
	TaskImage,
	TaskKind,
	TaskPlan,
} from "../kind.ts";
import { firstSharer } from "../task/sharing.ts";
import { LARGE_TABLE, MOST_GAPS } from "./fd-numbers.ts";
import { planFown } from "./fown.ts";
import { corruptImage, MAX_FDS } from "./image-checks.ts";
import { FILE_KINDS, findKindOfType } from "./index.ts";
import { keptFilesOf, planShare } from "./kept-files.ts";
import { collectFds } from "./open-files.ts";

export { closeCopies, closeInFlight, Descriptions } from "./open-files.ts";

function findFdBlockers(task: DumpedTask, context: DumpContext): CriuError[] {
	return collectFds(task, context).flatMap((file) => context.files.findBlockers(file));
}

function dumpFds(task: DumpedTask, draft: TaskDraft, _ask: Program, context: DumpContext): undefined {
	if (firstSharer("files", task, context) !== task) return undefined;
	for (const file of collectFds(task, context)) {
		const added = context.files.addOpen(file);
		if (added === undefined) continue;
		const flags = (file.info.flags & O_CLOEXEC) !== 0 ? FD_CLOEXEC : 0;
		draft.fds.push(create(fdinfo_entrySchema, { ...added, flags, fd: file.fd }));
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
	const often = entry.reg ?? entry.pipe ?? entry.usk ?? entry.isk ?? entry.efd;
	if (often !== undefined) return often.fown;
	const { tty, epfd, sgfd, tfd, memfd, pidfd, bpf, psk, nlsk, ify, ffy } = entry;
	return (tty ?? epfd ?? sgfd ?? tfd ?? memfd ?? pidfd ?? bpf ?? psk ?? nlsk ?? ify ?? ffy)?.fown;
}

/** All descriptions of a restore, in the order of making. */
class MadeFiles {
	readonly refs = new Map<number, FileRef>();
	/** Tasks whose files are planned to the end. */
	finished = 0;
	/** Tasks that have a description in their tables, by its id. */
	readonly holders = new Map<number, TaskImage[]>();
	/** What still has to be done to descriptions of a task. */
	readonly unfinished = new Map<TaskPlan, ((find: (id: number) => FileRef | undefined) => void)[]>();

	addHolder(id: number, image: TaskImage): void {
		const known = this.holders.get(id);
		if (known === undefined) this.holders.set(id, [image]);
		else known.push(image);
	}

	/** Notes what the kind does when all descriptors are in place. */
	finishLater(kind: FileKind, entry: file_entry, file: FilePlan, number: number): void {
		const { finish } = kind;
		if (finish === undefined) return;
		const list = this.unfinished.get(file.plan) ?? [];
		this.unfinished.set(file.plan, list);
		list.push((find) => {
			const holders = this.holders.get(entry.id) ?? [];
			finish(entry, { ...file, program: file.plan.programs.release, number, holders, find });
		});
	}
}

function madeFilesOf(context: RestoreContext): MadeFiles {
	return context.once("made-files", () => new MadeFiles());
}

/** A descriptor of a description once the files of all tasks are planned, in whichever task; undefined when no task has one. */
export function findMade(id: number, context: RestoreContext): FileRef | undefined {
	return madeFilesOf(context).refs.get(id);
}

function planFds(image: TaskImage, plan: TaskPlan, context: RestoreContext): void {
	const tables = context.once("fd-tables", () => new Set<number>());
	const groups = checkFds(image);
	const made = madeFilesOf(context);
	// A child that shares its maker's table has all of it from birth.
	if (tables.has(image.ids.filesId)) return;
	tables.add(image.ids.filesId);
	const program = plan.programs.files;
	const gaps = takeGaps(program, image.fds);
	for (const [id, fds] of groups) {
		const entry = context.files.get(id);
		const [first] = fds;
		if (entry === undefined || first === undefined) throw corruptImage("files.img", `no file for id ${id}`);
		if (entry.type !== first.type)
			throw corruptImage("files.img", `file ${id} is of type ${entry.type}, not ${first.type}`);
		made.addHolder(id, image);
		const owner = made.refs.get(id);
		if (owner !== undefined) {
			planTargets(program, planShare(program, owner, plan), fds);
			continue;
		}
		made.refs.set(id, { plan, number: first.fd });
		const place = (opened: FdArg) => {
			planTargets(program, opened, fds);
			return first.fd;
		};
		planDescription(entry, { program, plan, context, image }, made, place, plan.programs.state);
	}
	for (const number of gaps) program.syscall("free a number that was taken", SYS_close, [number]);
}

/**
 * Takes the lowest numbers that a large table leaves free: what is opened in the order of its numbers has them from the start
 * then, and needn't be moved. Gives the numbers to close.
 */
function takeGaps(program: Program, fds: readonly fdinfo_entry[]): readonly number[] {
	if (fds.length < LARGE_TABLE) return [];
	const used = new Set(fds.map(({ fd }) => fd));
	const gaps: number[] = [];
	for (let number = 0; number < fds.length && gaps.length < MOST_GAPS; number++)
		if (!used.has(number)) gaps.push(number);
	if (gaps.length === 0) return gaps;
	const anchor = program.syscall("take free numbers", SYS_openat, [AT_FDCWD, toCString("/"), O_PATH, 0]);
	const places = gaps.map((number) => ({ number, flags: 0 }));
	program.place("take free numbers", anchor, places);
	return gaps;
}

/** Makes a description; `place` gives it a number. `later`: a program that runs when all threads are there, if it lasts so long. */
function planDescription(
	entry: file_entry,
	file: FilePlan,
	made: MadeFiles,
	place: (opened: FdArg) => number,
	later = file.program,
): number {
	const kind = findKindOfType(entry.type);
	if (kind === undefined)
		throw new UnsupportedError(
			"UNSUPPORTED_FILE",
			`file ${entry.id} of the images is of type ${fd_types[entry.type] ?? entry.type}, which this version doesn't restore`,
			{
				remedy: "restore these images with the original criu",
			},
		);
	const number = place(kind.plan(entry, file));
	made.finishLater(kind, entry, file, number);
	// O_PATH files have no owner; all others may.
	const fown = fownOf(entry);
	if (fown !== undefined && (fown.pid !== 0 || fown.signum !== 0))
		planFown(fown.pidType === F_OWNER_TID ? later : file.program, number, fown);
	return number;
}

const PLACE_OPTIONS = { remedies: { EBADF: "raise the limit of descriptors for criu: ulimit -Hn 1048576" } };

/** Gives a description its numbers: it has been opened under any, perhaps one of them. */
function planTargets(program: Program, opened: FdArg, fds: readonly fdinfo_entry[]): void {
	const [first, ...others] = fds;
	if (first === undefined) return;
	const flagsOf = ({ flags }: fdinfo_entry) => ((flags & FD_CLOEXEC) !== 0 ? O_CLOEXEC : 0);
	const options = PLACE_OPTIONS;
	if (others.length === 0) program.move(() => `make it fd ${first.fd}`, opened, first.fd, flagsOf(first), options);
	else {
		const numbers = fds.map((entry) => ({ number: entry.fd, flags: flagsOf(entry) }));
		program.place(`make it fd ${first.fd} and ${others.length} more`, opened, numbers, options);
	}
}

/** What needs the files of several tasks is done by the last one, which can wait for all others. */
function planLast(image: TaskImage, plan: TaskPlan, context: RestoreContext, made: MadeFiles): void {
	const file: FilePlan = { program: plan.programs.files, plan, context, image };
	const make = (id: number) => {
		const entry = context.files.get(id);
		if (entry === undefined) throw corruptImage("files.img", `no file for id ${id}`);
		const number = planDescription(entry, file, made, (opened) => keptFilesOf(plan).keep(file.program, opened));
		const ref = { plan, number };
		made.refs.set(id, ref);
		return ref;
	};
	for (const kind of FILE_KINDS)
		if (!("unsupported" in kind)) kind.planLast?.({ ...file, find: (id) => made.refs.get(id), make });
}

/** Runs once the descriptors of all tasks are planned. */
function planFinish(image: TaskImage, plan: TaskPlan, context: RestoreContext): void {
	const made = madeFilesOf(context);
	const { refs, unfinished } = made;
	if (++made.finished === context.tasks.length) planLast(image, plan, context, made);
	for (const finish of unfinished.get(plan) ?? []) finish((id) => refs.get(id));
}

/** What some kinds of file need when all descriptors of all tasks are in place: comes right behind the table. */
export const fdFinish: TaskKind = { name: "fds in place", plan: planFinish };

/** Open descriptors of a task. */
export const fdTable: TaskKind = { name: "fds", findBlockers: findFdBlockers, dump: dumpFds, plan: planFds };
