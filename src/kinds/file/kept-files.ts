// SPDX-License-Identifier: GPL-2.0-only
// Descriptors that a process under construction holds under reserved numbers until its files are done: images with
// content, ghosts for later opens, other ends of pipes.

import type { OpRef, Program } from "../../agent/program.ts";
import { F_DUPFD } from "../../kernel/abi/fcntl.ts";
import { SYS_close, SYS_fcntl, SYS_pidfd_getfd, SYS_pidfd_open } from "../../kernel/abi/syscalls.x86_64.ts";
import { toCString } from "../../sys/file.ts";
import type { FdArg, FileRef, TaskPlan } from "../kind.ts";

/** Path by which the process itself reaches one of its descriptors. */
export function ownFdPath(number: number): Uint8Array {
	return toCString(`/proc/self/fd/${number}`);
}

/** A descriptor that a task of the tree keeps. */
export type KeptRef = FileRef;

/** Path by which a task reaches a kept descriptor, its own or another's. */
export function keptPath(ref: KeptRef, plan: TaskPlan): Uint8Array {
	if (ref.plan !== plan) plan.awaits.add(ref.plan.pid);
	return takePath(ref, plan);
}

/** The same for a descriptor that was made in an earlier group of stages, by whichever task. */
export function takePath(ref: KeptRef, plan: TaskPlan): Uint8Array {
	return ref.plan === plan ? ownFdPath(ref.number) : toCString(`/proc/${ref.plan.pid}/fd/${ref.number}`);
}

/** Adds what gives a task another descriptor of the same description, of its own or of another task that makes it before. */
export function planShare(program: Program, ref: KeptRef, plan: TaskPlan): OpRef {
	if (ref.plan !== plan) plan.awaits.add(ref.plan.pid);
	return planTake(program, ref, plan);
}

/** The same for a descriptor that was made in an earlier group of stages, by whichever task. */
export function planTake(program: Program, ref: KeptRef, plan: TaskPlan): OpRef {
	if (ref.plan === plan) return program.syscall("share a file", SYS_fcntl, [ref.number, F_DUPFD, 0]);
	const remedies = { EPERM: "run criu as root, with kernel.yama.ptrace_scope below 3" };
	const owner = program.syscall(`find pid ${ref.plan.pid}`, SYS_pidfd_open, [ref.plan.pid, 0]);
	const fd = program.syscall(`share a file of pid ${ref.plan.pid}`, SYS_pidfd_getfd, [owner, ref.number, 0], {
		remedies,
	});
	program.syscall("let go of the other process", SYS_close, [owner]);
	return fd;
}

/** The kept descriptors of one task. */
export class KeptFiles {
	/** Numbers that are open now. */
	private readonly open = new Set<number>();
	/** Numbers that may be used again. */
	private readonly idle: number[] = [];
	private readonly named = new Map<string, number>();
	private readonly borrowed = new Map<string, (program: Program) => void>();
	private count = 0;

	constructor(private readonly plan: TaskPlan) {}

	/** Moves a descriptor to a number that stays until it's released. Works for any descriptor below the reserved ones. */
	keep(program: Program, fd: FdArg): number {
		const given = typeof fd === "number" ? this.idle.lastIndexOf(fd) : -1;
		if (typeof fd === "number" && given >= 0) {
			this.idle.splice(given, 1);
			this.open.add(fd);
			return fd;
		}
		const number = this.idle.pop() ?? this.plan.numbers.reserve(`kept file ${this.count++}`);
		program.move("keep it", fd, number);
		this.open.add(number);
		return number;
	}

	/** Replaces what a number stands for. */
	replace(program: Program, number: number, fd: OpRef): void {
		program.move("keep it", fd, number);
	}

	/** Hands a kept descriptor to whoever closes it next. */
	give(number: number): number {
		if (this.open.delete(number)) this.idle.push(number);
		return number;
	}

	release(program: Program, number: number): void {
		if (!this.open.delete(number)) return;
		program.syscall("close a kept file", SYS_close, [number]);
		this.idle.push(number);
	}

	/** Gives a descriptor of ours to the process, once per name. */
	pass(name: string, open: () => number): number {
		const known = this.named.get(name);
		if (known !== undefined) return known;
		const number = this.plan.numbers.pass(open(), name);
		this.named.set(name, number);
		this.open.add(number);
		return number;
	}

	/** The number kept under a name, made at first use. */
	once(name: string, make: () => number): number {
		const known = this.named.get(name);
		if (known !== undefined) return known;
		const number = make();
		this.named.set(name, number);
		return number;
	}

	/** Something that is made at first use and taken away at the end of the stage. */
	borrow(name: string, use: { begin(): void; end(program: Program): void }): void {
		if (this.borrowed.has(name)) return;
		use.begin();
		this.borrowed.set(name, use.end);
	}

	/** Closes all: what a task keeps may be needed by others until all have their files. */
	closeAll(program: Program): void {
		for (const end of this.borrowed.values()) end(program);
		this.borrowed.clear();
		for (const number of this.open) program.syscall("close a kept file", SYS_close, [number]);
		this.open.clear();
	}
}

const kept = new WeakMap<TaskPlan, KeptFiles>();

/** The kept descriptors of a task's plan. */
export function keptFilesOf(plan: TaskPlan): KeptFiles {
	let files = kept.get(plan);
	if (files === undefined) {
		files = new KeptFiles(plan);
		kept.set(plan, files);
	}
	return files;
}
