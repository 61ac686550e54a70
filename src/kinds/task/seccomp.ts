// SPDX-License-Identifier: GPL-2.0-only
// Seccomp of a thread: strict mode, or its chain of filters. Threads of a process that have filters in common share them.
// Source: seccomp(2), ptrace(2) PTRACE_SECCOMP_GET_FILTER. Images: core-PID.img (thread_core), seccomp.img.

import { type CriuError, isErrno, KernelError, UnsupportedError } from "../../errors.ts";
import { seccomp_mode } from "../../images/gen/core_pb.ts";
import {
	type seccomp_entry,
	seccomp_entrySchema,
	type seccomp_filter,
	seccomp_filterSchema,
} from "../../images/gen/security_pb.ts";
import { create } from "../../images/index.ts";
import * as sc from "../../kernel/abi/seccomp.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { readStatus } from "../../kernel/procfs/status.ts";
import { readSeccompFilter, readSeccompFlags } from "../../sys/ptrace.ts";
import type { DumpContext, DumpedTask, DumpedThread, TaskKind, ThreadDraft } from "../kind.ts";
import { planSeccomp, planSharing } from "./seccomp-plan.ts";

const RET_CLASS = 6;
const RET_FROM_A = 0x10;
const NO_SUSPENSION = "run criu as root and not under seccomp itself (docker: --security-opt seccomp=unconfined)";

/** A filter as installed; the same object for all that are equal. */
interface Filter {
	readonly number: number;
	readonly bytes: Uint8Array;
	readonly flags: number;
}

/** All filters that a dump meets, and seccomp.img under construction. */
class SeccompImage {
	private readonly filters = new Map<string, Filter>();
	private readonly indexes = new Map<string, number>();
	readonly entries: seccomp_filter[] = [];

	intern(bytes: Uint8Array, flags: number): Filter {
		const key = `${flags}:${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")}`;
		const known = this.filters.get(key);
		if (known !== undefined) return known;
		const filter = { number: this.filters.size, bytes, flags };
		this.filters.set(key, filter);
		return filter;
	}

	/** Adds a chain, oldest first, unless it's there already; gives the index of its oldest filter. */
	add(chain: readonly Filter[], extraFlags: number): number {
		const key = `${extraFlags}:${chain.map(({ number }) => number).join()}`;
		const known = this.indexes.get(key);
		if (known !== undefined) return known;
		// The newest comes first; `prev` leads from each to the next newer one.
		for (const [i, { bytes, flags }] of [...chain].reverse().entries()) {
			const entry = create(seccomp_filterSchema, { filter: bytes, flags: flags | extraFlags });
			if (i > 0) entry.prev = this.entries.length - 1;
			this.entries.push(entry);
		}
		this.indexes.set(key, this.entries.length - 1);
		return this.entries.length - 1;
	}
}

function imageOf(context: DumpContext): SeccompImage {
	return context.once("seccomp:image", () => new SeccompImage());
}

/** seccomp.img of what all threads have handed in. */
export function encodeSeccomp(context: DumpContext): seccomp_entry {
	return create(seccomp_entrySchema, { seccompFilters: imageOf(context).entries });
}

/** The filters of a thread, oldest first. @throws KernelError */
function readChain({ tid }: DumpedThread, image: SeccompImage): Filter[] {
	const chain: Filter[] = [];
	for (let bytes = readSeccompFilter(tid, 0); bytes !== undefined; bytes = readSeccompFilter(tid, chain.length))
		chain.push(image.intern(bytes, readSeccompFlags(tid, chain.length)));
	return chain;
}

/** Chains of those threads of a task that are in filter mode. @throws KernelError */
function readChains(task: DumpedTask, context: DumpContext): ReadonlyMap<number, readonly Filter[]> {
	return context.once(
		`seccomp:${task.pid}`,
		() =>
			new Map(
				task.threads
					.filter(({ status }) => status.seccomp === sc.SECCOMP_MODE_FILTER)
					.map((thread) => [thread.tid, readChain(thread, imageOf(context))] as const),
			),
	);
}

/** True when a filter may ask a supervisor: by a constant answer, or by a computed one with that constant in it. */
export function asksSupervisor(filter: Uint8Array): boolean {
	const view = viewOf(filter);
	let computes = false;
	let mentions = false;
	for (let at = 0; at + sc.SockFilter.size <= filter.length; at += sc.SockFilter.size) {
		const code = view.getUint16(at, true);
		const isAnswer = (view.getUint32(at + 4, true) & sc.SECCOMP_RET_ACTION_FULL) === sc.SECCOMP_RET_USER_NOTIF;
		const isReturn = (code & 7) === RET_CLASS;
		if (isReturn && (code & RET_FROM_A) === 0 && isAnswer) return true;
		computes ||= isReturn && (code & RET_FROM_A) !== 0;
		mentions ||= !isReturn && isAnswer;
	}
	return computes && mentions;
}

function unreadable(task: DumpedTask, cause: unknown): CriuError {
	const remedy = isErrno(cause, "EACCES", "EPERM")
		? NO_SUSPENSION
		: "this kernel doesn't give filters out (it needs CONFIG_CHECKPOINT_RESTORE)";
	return new UnsupportedError("UNSUPPORTED_SECCOMP", `the seccomp filters of pid ${task.pid} can't be read`, {
		cause,
		remedy,
	});
}

function findSeccompBlockers(task: DumpedTask, context: DumpContext): CriuError[] {
	if (task.threads.every(({ status }) => (status.seccomp ?? 0) === 0)) return [];
	const refuse = (message: string, remedy: string) => [
		new UnsupportedError("UNSUPPORTED_SECCOMP", `pid ${task.pid} ${message}`, { remedy }),
	];
	const own = context.once("seccomp:own", () => readStatus("self").seccomp ?? 0);
	if (own !== 0) return refuse("is under seccomp, and so is criu, which therefore can't suspend it", NO_SUSPENSION);
	let chains: ReadonlyMap<number, readonly Filter[]>;
	try {
		chains = readChains(task, context);
	} catch (error) {
		if (error instanceof KernelError) return [unreadable(task, error)];
		throw error;
	}
	const filters = new Set([...chains.values()].flat());
	if ([...filters].some(({ bytes }) => asksSupervisor(bytes)))
		return refuse(
			"has a seccomp filter that asks a supervisor (user notification), whose listener can't be made anew",
			"start it without such a filter",
		);
	return [];
}

/** All threads have the same filters: the leader's are meant for all of them then. */
function isUniform(task: DumpedTask, chains: ReadonlyMap<number, readonly Filter[]>): boolean {
	const [first = []] = chains.values();
	if (chains.size !== task.threads.length) return false;
	for (const chain of chains.values())
		if (chain.length !== first.length || chain.some((filter, i) => filter !== first[i])) return false;
	return true;
}

function dumpSeccomp(thread: DumpedThread, draft: ThreadDraft, _ask: unknown, context: DumpContext): undefined {
	const { task, status, tid, isLeader } = thread;
	const { threadCore } = draft.core;
	if (threadCore === undefined) return;
	if (status.seccomp === sc.SECCOMP_MODE_STRICT) threadCore.seccompMode = seccomp_mode.strict;
	if (status.seccomp !== sc.SECCOMP_MODE_FILTER) return;
	const chains = readChains(task, context);
	const uniform = context.once(`seccomp-uniform:${task.pid}`, () => isUniform(task, chains));
	if (uniform && !isLeader) return;
	threadCore.seccompMode = seccomp_mode.filter;
	threadCore.seccompFilter = imageOf(context).add(chains.get(tid) ?? [], uniform ? sc.SECCOMP_FILTER_FLAG_TSYNC : 0);
}

/** Seccomp of threads. */
export const seccomp: TaskKind = {
	name: "seccomp",
	findBlockers: findSeccompBlockers,
	dumpThread: dumpSeccomp,
	plan: planSharing,
	planThread: planSeccomp,
};
