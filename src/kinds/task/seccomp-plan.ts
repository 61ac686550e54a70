// SPDX-License-Identifier: GPL-2.0-only
// Seccomp, restore half: chains of filters from images, which of them threads share, and their installation.

import type { Program } from "../../agent/program.ts";
import { ImageError, UnsupportedError } from "../../errors.ts";
import { seccomp_mode } from "../../images/gen/core_pb.ts";
import type { seccomp_filter } from "../../images/gen/security_pb.ts";
import { hasField, KINDS } from "../../images/index.ts";
import * as sc from "../../kernel/abi/seccomp.ts";
import { SYS_seccomp } from "../../kernel/abi/syscalls.x86_64.ts";
import { PTRACE_O_SUSPEND_SECCOMP } from "../../sys/ptrace.ts";
import type { RestoreContext, TaskImage, TaskPlan, ThreadImage, ThreadPlan } from "../kind.ts";
import { corruptCore, getThreadCore } from "./image-checks.ts";

const FILE = "seccomp.img";
/** The kernel's limits of a chain: instructions, of which each older filter costs some more. Source: kernel/seccomp.c. */
const MAX_PATH = 32768;
const FILTER_PENALTY = 4;
const RESTORABLE = sc.SECCOMP_FILTER_FLAG_TSYNC | sc.SECCOMP_FILTER_FLAG_LOG | sc.SECCOMP_FILTER_FLAG_SPEC_ALLOW;
const LISTENING = sc.SECCOMP_FILTER_FLAG_NEW_LISTENER | sc.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;

/** What a thread is to have. Chains are oldest first. */
interface Wanted {
	readonly mode: "off" | "strict" | "filter";
	readonly chain: readonly seccomp_filter[];
}

const OFF: Wanted = { mode: "off", chain: [] };
const STRICT: Wanted = { mode: "strict", chain: [] };

/** What the threads of a task are to have, in their order, and how many oldest filters all of them share. */
interface TaskSeccomp {
	readonly wanted: readonly Wanted[];
	readonly common: number;
}

function corrupt(problem: string): ImageError {
	return new ImageError("IMAGE_CORRUPT", `${FILE}: ${problem}`, {
		file: FILE,
		remedy: "dump again; the images were damaged",
	});
}

function readFilters(context: RestoreContext): readonly seccomp_filter[] {
	return context.once("seccomp:image", () => {
		const entry = context.dir.findEntry(KINDS.SECCOMP);
		if (entry !== undefined) return entry.seccompFilters;
		throw new ImageError("IMAGE_MISSING", `image ${FILE} is missing in ${context.dir.path}`, {
			file: FILE,
			remedy: "copy it back, or dump again: threads had seccomp filters",
		});
	});
}

function checkFilter(index: number, { filter, flags }: seccomp_filter): void {
	if (filter.length === 0 || filter.length % sc.SockFilter.size !== 0)
		throw corrupt(`filter ${index} has ${filter.length} bytes, which is no number of instructions`);
	if (filter.length / sc.SockFilter.size > sc.BPF_MAXINSNS)
		throw corrupt(
			`filter ${index} has ${filter.length / sc.SockFilter.size} instructions, allowed are ${sc.BPF_MAXINSNS}`,
		);
	if ((flags & LISTENING) !== 0)
		throw new UnsupportedError(
			"UNSUPPORTED_SECCOMP",
			`${FILE}: filter ${index} asks a supervisor (user notification)`,
			{
				remedy: "dump the program without such a filter: its listener can't be made anew",
			},
		);
	if ((flags & ~RESTORABLE) !== 0) throw corrupt(`filter ${index} has unknown flags 0x${(flags >>> 0).toString(16)}`);
}

/** The chain whose oldest filter has that index. @throws ImageError IMAGE_CORRUPT, UnsupportedError */
function decodeChain(first: number, filters: readonly seccomp_filter[]): seccomp_filter[] {
	const chain: seccomp_filter[] = [];
	let cost = -FILTER_PENALTY;
	for (let index: number | undefined = first; index !== undefined; ) {
		const filter: seccomp_filter | undefined = filters[index];
		if (filter === undefined) throw corrupt(`there is no filter ${index}, only ${filters.length}`);
		checkFilter(index, filter);
		chain.push(filter);
		cost += filter.filter.length / sc.SockFilter.size + FILTER_PENALTY;
		if (chain.length > filters.length) throw corrupt(`the chain from filter ${first} leads back into itself`);
		if (cost > MAX_PATH) throw corrupt(`the chain from filter ${first} is longer than the kernel allows`);
		index = hasField(filter, "prev") ? filter.prev : undefined;
	}
	return chain;
}

function decodeWanted(image: ThreadImage, context: RestoreContext): Wanted {
	const thread = getThreadCore(image);
	const { tc } = image.core;
	// Images of old versions tell it for the whole task.
	const isOld = !hasField(thread, "seccompMode") && tc !== undefined && hasField(tc, "oldSeccompMode");
	const mode = isOld ? tc.oldSeccompMode : thread.seccompMode;
	if (mode === seccomp_mode.disabled) return OFF;
	if (mode === seccomp_mode.strict) return STRICT;
	if (mode !== seccomp_mode.filter) throw corruptCore(image, `thread_core.seccomp_mode is ${mode}`);
	const hasFilter = isOld ? hasField(tc, "oldSeccompFilter") : hasField(thread, "seccompFilter");
	if (!hasFilter) throw corruptCore(image, "thread_core.seccomp_filter is missing");
	const first = isOld ? tc.oldSeccompFilter : thread.seccompFilter;
	const chain = context.once(`seccomp:chain:${first}`, () => decodeChain(first, readFilters(context)));
	return { mode: "filter", chain };
}

/** What a leader's filters say about the threads that tell nothing themselves: those up to the last synchronised one. */
function synchronisedPart(leader: ThreadImage, wanted: Wanted): Wanted {
	if (wanted.mode === "off") return wanted;
	const isOld = !hasField(getThreadCore(leader), "seccompMode");
	if (wanted.mode === "strict") return isOld ? wanted : OFF;
	const last = wanted.chain.findLastIndex(({ flags }) => isOld || (flags & sc.SECCOMP_FILTER_FLAG_TSYNC) !== 0);
	return last < 0 ? OFF : { mode: "filter", chain: wanted.chain.slice(0, last + 1) };
}

function isEqual(a: seccomp_filter | undefined, b: seccomp_filter | undefined): boolean {
	if (a === b) return true;
	if (a === undefined || b === undefined) return false;
	const flagsDiffer = ((a.flags ^ b.flags) & ~sc.SECCOMP_FILTER_FLAG_TSYNC) !== 0;
	return !flagsDiffer && Buffer.compare(a.filter, b.filter) === 0;
}

/** How many of their oldest filters all chains have in common; 0 where a thread has none. */
function countCommon(wanted: readonly Wanted[]): number {
	const chains = wanted.map(({ chain }) => chain);
	const [first = [], ...others] = chains;
	let common = first.length;
	for (const chain of others) {
		let same = 0;
		while (same < common && isEqual(first[same], chain[same])) same++;
		common = same;
	}
	return common;
}

function decodeTask({ threads }: TaskImage, context: RestoreContext): TaskSeccomp {
	const own = threads.map((thread) => decodeWanted(thread, context));
	const [leader] = threads;
	const [leaders] = own;
	const inherited = leader && leaders ? synchronisedPart(leader, leaders) : undefined;
	const wanted = own.map((one) => (one.mode === "off" && inherited !== undefined ? inherited : one));
	return { wanted, common: countCommon(wanted) };
}

function seccompOf(task: TaskImage, context: RestoreContext): TaskSeccomp {
	return context.once(`seccomp:${task.tid}`, () => decodeTask(task, context));
}

const REMEDIES = {
	EINVAL: "restore on a kernel that knows the filter's flags and instructions, as the one that it was dumped on",
	EACCES: "run criu as root (CAP_SYS_ADMIN)",
	EPERM: "run criu as root (CAP_SYS_ADMIN)",
	ENOMEM: "free memory",
	ENOSYS: "restore on a kernel with seccomp filters (CONFIG_SECCOMP_FILTER)",
};

function addFilter(program: Program, { filter, flags }: seccomp_filter, synchronise: boolean): void {
	const count = filter.length / sc.SockFilter.size;
	const what = `seccomp filter of ${count} instructions`;
	const args = program.out(sc.SockFprog.size);
	program.store(`tell the length of a ${what}`, args, count, 2);
	program.store(`point to a ${what}`, { out: args.out + sc.SockFprog.offsets.filter, length: 8 }, filter, 8);
	const kept = flags & ~sc.SECCOMP_FILTER_FLAG_TSYNC;
	// A thread in the way of synchronising would be told by its id.
	program.syscall(
		`install a ${what}${synchronise ? " for all threads" : ""}`,
		SYS_seccomp,
		[sc.SECCOMP_SET_MODE_FILTER, kept | (synchronise ? sc.SECCOMP_FILTER_FLAG_TSYNC : 0), args],
		{ check: { equal: 0 }, remedies: REMEDIES },
	);
}

/**
 * Adds what puts a thread under seccomp, with criu's own privileges still: nothing of it holds before the thread is let go, as
 * its tracer suspends it. The leader gives all threads the filters that they share; the kernel takes them for one another's
 * then, as it did before the dump.
 *
 * @throws ImageError, UnsupportedError
 */
export function planSeccomp(image: ThreadImage, plan: ThreadPlan, context: RestoreContext): void {
	const { task } = image;
	const { wanted, common } = seccompOf(task, context);
	const own = wanted[task.threads.findIndex(({ tid }) => tid === image.tid)] ?? OFF;
	if (own.mode === "off") return;
	plan.traceOptions |= PTRACE_O_SUSPEND_SECCOMP;
	const program = plan.programs.creds;
	if (own.mode === "strict") {
		program.syscall("enter seccomp's strict mode", SYS_seccomp, [sc.SECCOMP_SET_MODE_STRICT, 0, 0], {
			remedies: REMEDIES,
		});
		return;
	}
	const isShared = task.threads.length > 1;
	for (const [i, filter] of own.chain.entries())
		if (image.isLeader || i >= common || !isShared) addFilter(program, filter, isShared && i === common - 1);
}

/** Before threads add filters of their own they have those that all share: otherwise they'd be in the way of sharing. */
export function planSharing(image: TaskImage, plan: TaskPlan, context: RestoreContext): void {
	plan.leaderFirst ||= image.threads.length > 1 && seccompOf(image, context).common > 0;
}
