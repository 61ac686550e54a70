// SPDX-License-Identifier: GPL-2.0-only
// What a task's end gives back to System V semaphores (SEM_UNDO). The semaphores themselves are the host's and stay where they
// are; when a dump ends its tasks they get back what these held, and a restore takes it again, as the tasks once did.
// Source: semop(2), clone(2) CLONE_SYSVSEM. Images: core-PID.img, task_core_entry.sem_undo (ours).

import { Program } from "../../agent/program.ts";
import { CriuError, isErrno, KernelError, UnsupportedError } from "../../errors.ts";
import { type sem_undo_entry, sem_undo_entrySchema } from "../../images/gen/core_pb.ts";
import { create } from "../../images/index.ts";
import { errnoNumber } from "../../kernel/abi/errno.ts";
import { GETALL, IPC_NOWAIT, IPC_STAT, SEM_INFO, SEM_UNDO, SemidDs, Seminfo } from "../../kernel/abi/ipc.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { SYS_semctl, SYS_semop } from "../../kernel/abi/syscalls.x86_64.ts";
import { readSysvSem, type SemLine } from "../../kernel/procfs/sysvipc.ts";
import { log } from "../../log.ts";
import { syscall } from "../../sys/host.ts";
import { compareKernel, KCMP_SYSVSEM } from "../../sys/process.ts";
import type {
	DumpContext,
	DumpedTask,
	DumpedThread,
	RestoreContext,
	TaskDraft,
	TaskImage,
	TaskKind,
	TaskPlan,
} from "../kind.ts";
import { checkRange, corruptCore, getTaskCore } from "./image-checks.ts";
import {
	ADJUSTMENT_MAX,
	ADJUSTMENT_MIN,
	buildProbe,
	encodeSembufs,
	findAdjustments,
	type Probe,
	type Reply,
} from "./sem-probe.ts";

/** Probes of one program. */
const BATCH = 64;
/** Operations of one call at restore: far below what kernel.sem allows by default. */
const OPERATIONS = 32;
/** Source: linux/sem.h, SEMMNI and SEMMSL at their highest. */
const MAX_SETS = 1 << 15;
const MAX_NUMBER = 0xffff;
const IPC_NOWAIT_UNDO = IPC_NOWAIT | SEM_UNDO;

// ---- dump ----------------------------------------------------------------------------------------------------------

/** Sets of our IPC namespace that were ever operated on: only they can have anything to undo. */
function listUsedSets(context: DumpContext): readonly SemLine[] {
	return context.once("semaphore-sets", () => {
		const info = new Uint8Array(Seminfo.size);
		// Mostly there is none at all, which costs one call.
		const highest = syscall(SYS_semctl, 0, 0, SEM_INFO, info);
		if (highest < 0 || Seminfo.read(viewOf(info)).semusz === 0) return [];
		return readSysvSem().filter(({ operated }) => operated !== 0n);
	});
}

/** Values of a set's semaphores; undefined when it's gone. @throws KernelError */
function readValues(id: number, count: number): Uint16Array | undefined {
	// A set of that id has that many for ever.
	const bytes = new Uint8Array(2 * count);
	const ret = syscall(SYS_semctl, id, 0, GETALL, bytes);
	if (ret >= 0) return new Uint16Array(bytes.buffer);
	const error = new KernelError("semctl", -ret, `GETALL of semaphore set ${id}`);
	if (isErrno(error, "EINVAL", "EIDRM")) return undefined;
	throw error;
}

const [EAGAIN, ERANGE, EACCES, EPERM, EINVAL, EIDRM] = ["EAGAIN", "ERANGE", "EACCES", "EPERM", "EINVAL", "EIDRM"].map(
	(name) => BigInt(-errnoNumber(name)),
);

function readReply(set: number, result: bigint): Reply {
	if (result === ERANGE) return "range";
	if (result === EAGAIN) return "other";
	// Who may not operate on a set has nothing to undo there, unless it has lost the right since.
	if (result === EACCES || result === EPERM || result === EINVAL || result === EIDRM) return "closed";
	throw new KernelError("semop", Number(-result), `of semaphore set ${set}, to learn what is undone on it`);
}

function askBatch(
	probes: readonly Probe[],
	run: (program: Program) => { result(op: { op: number }): bigint },
): Reply[] {
	const program = new Program();
	const calls = probes.map(({ set, operations }) => ({ set, call: addProbe(program, set, operations) }));
	const answers = run(program);
	return calls.map(({ set, call }) => readReply(set, answers.result(call)));
}

function addProbe(program: Program, set: number, operations: Uint8Array) {
	return program.syscall("ask what is undone on a semaphore", SYS_semop, [set, operations, operations.length / 6], {
		check: "any",
	});
}

/** An earlier task that has something to undo and shares it with this one. @throws KernelError */
function findSharer(task: DumpedTask, earlier: readonly DumpedTask[]): DumpedTask | undefined {
	return earlier.find(({ pid }) => compareKernel(task.pid, pid, KCMP_SYSVSEM) === 0);
}

function collectUndo(
	task: DumpedTask,
	{ core }: TaskDraft,
	run: Parameters<NonNullable<TaskKind["converse"]>>[2],
	context: DumpContext,
): void {
	const sets = listUsedSets(context);
	if (sets.length === 0 || core.tc === undefined) return;
	const holders = context.once("semaphore-holders", () => [] as DumpedTask[]);
	const sharer = findSharer(task, holders);
	if (sharer !== undefined) {
		if (sharer !== task.parent)
			throw new UnsupportedError(
				"SEM_UNDO_SHARED",
				`pid ${task.pid} shares with pid ${sharer.pid} what is undone on semaphores when they end (SEM_UNDO)`,
				{ remedy: "only a child can share it with its parent; dump when they hold no System V semaphore" },
			);
		core.tc.semUndoOfParent = true;
		holders.push(task);
		return;
	}
	const counts = new Map(sets.map(({ id, count }) => [id, count]));
	const found = findAdjustments(
		sets.flatMap(({ id, count }) => Array.from({ length: count }, (_, number) => ({ set: id, number }))),
		(set) => readValues(set, counts.get(set) ?? 0),
		(probes) => {
			const replies: Reply[] = [];
			for (let i = 0; i < probes.length; i += BATCH) replies.push(...askBatch(probes.slice(i, i + BATCH), run));
			return replies;
		},
	);
	if (found.length === 0) return;
	holders.push(task);
	core.tc.semUndo = sets.flatMap(({ id, key }) => {
		const own = found.filter(({ set }) => set === id).sort((a, b) => a.number - b.number);
		if (own.length === 0) return [];
		return create(sem_undo_entrySchema, {
			id,
			key: key >>> 0,
			numbers: own.map(({ number }) => number),
			adjustments: own.map(({ adjustment }) => adjustment),
		});
	});
	log.debug(() => `pid ${task.pid}: ${found.length} semaphores change when it ends`);
}

/** A thread that shares nothing to undo with its leader (unshare(2) CLONE_SYSVSEM) must have nothing: images have no place for it. */
function checkThread({ task, tid, isLeader }: DumpedThread, _draft: unknown, ask: Program, context: DumpContext) {
	const sets = isLeader ? [] : listUsedSets(context);
	if (sets.length === 0 || compareKernel(task.pid, tid, KCMP_SYSVSEM) === 0) return undefined;
	const calls = sets.flatMap(({ id, count }) =>
		[...(readValues(id, count) ?? [])].flatMap((value, number) =>
			// Is it more than 0, is it less?
			[ADJUSTMENT_MAX, ADJUSTMENT_MIN].map((shift) => addProbe(ask, id, buildProbe(number, value, shift))),
		),
	);
	return (answers: { result(op: { op: number }): bigint }) => {
		if (!calls.some((call) => answers.result(call) === ERANGE)) return;
		throw new UnsupportedError(
			"SEM_UNDO_THREAD",
			`thread ${tid} of pid ${task.pid} alone has something to undo on semaphores (SEM_UNDO)`,
			{ remedy: "dump when it holds no System V semaphore: only a whole process can be kept with that" },
		);
	};
}

// ---- restore -------------------------------------------------------------------------------------------------------

/** @throws CriuError SEM_UNDO_GONE */
function checkSet({ id, key }: sem_undo_entry): void {
	const bytes = new Uint8Array(SemidDs.size);
	const isThere = syscall(SYS_semctl, id, 0, IPC_STAT, bytes) >= 0;
	if (isThere && SemidDs.read(viewOf(bytes)).key === key) return;
	throw new CriuError(
		"SEM_UNDO_GONE",
		`System V semaphore set ${id}, key 0x${key.toString(16)}, isn't there any more`,
		{
			remedy: "restore on the host and in the IPC namespace of the dump, before the set is removed",
		},
	);
}

const REMEDIES = {
	EAGAIN: "another process has taken the semaphore since the dump: wait until it is free again",
	EINVAL: "the semaphore set was removed: restore before that",
	EIDRM: "the semaphore set was removed: restore before that",
	EFBIG: "the semaphore set was made anew with fewer semaphores",
	ERANGE: "other processes have changed the semaphore since the dump",
};

function planEntry(image: TaskImage, entry: sem_undo_entry, program: Program): void {
	const { id, numbers, adjustments } = entry;
	if (id > 0x7fffffff) throw corruptCore(image, `tc.sem_undo.id is ${id}`);
	if (numbers.length === 0 || numbers.length !== adjustments.length)
		throw corruptCore(image, `tc.sem_undo has ${numbers.length} semaphores and ${adjustments.length} adjustments`);
	const operations = numbers.flatMap((number, i) => {
		checkRange(image, "tc.sem_undo.numbers", number, (numbers[i - 1] ?? -1) + 1, MAX_NUMBER);
		const adjustment = adjustments[i] ?? 0;
		checkRange(image, "tc.sem_undo.adjustments", adjustment, ADJUSTMENT_MIN, ADJUSTMENT_MAX);
		if (adjustment === 0) throw corruptCore(image, "tc.sem_undo has an adjustment of 0");
		// One operation adds less than that.
		const parts = adjustment === ADJUSTMENT_MIN ? [ADJUSTMENT_MAX, 1] : [-adjustment];
		return parts.map((sem_op) => ({ sem_num: number, sem_op, sem_flg: IPC_NOWAIT_UNDO }));
	});
	for (let i = 0; i < operations.length; i += OPERATIONS) {
		const part = operations.slice(i, i + OPERATIONS);
		program.syscall(`take semaphores of set ${id} again`, SYS_semop, [id, encodeSembufs(part), part.length], {
			remedies: REMEDIES,
		});
	}
}

function planUndo(image: TaskImage, plan: TaskPlan, context: RestoreContext): void {
	const { semUndo, semUndoOfParent } = getTaskCore(image);
	if (semUndo.length > MAX_SETS) throw corruptCore(image, `tc.sem_undo has ${semUndo.length} sets`);
	if (semUndoOfParent && (semUndo.length > 0 || context.makers.get(image.tid)?.tid !== image.pstree.ppid))
		throw corruptCore(image, "tc.sem_undo_of_parent is set for a task that can't share with its parent");
	for (const entry of semUndo) {
		planEntry(image, entry, plan.programs.state);
		checkSet(entry);
	}
}

/** What is given back to semaphores when a task ends. */
export const semUndo: TaskKind = {
	name: "sem-undo",
	converse: collectUndo,
	dumpThread: checkThread,
	plan: planUndo,
};
