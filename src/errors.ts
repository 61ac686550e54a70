// SPDX-License-Identifier: GPL-2.0-only
// Typed errors: every failure carries a stable code, its cause and a remedy, so that the user gets one clear line.

import { errnoName, errnoText } from "./kernel/abi/errno.ts";

/** Where in a run an error happened; filled by the engine as the error passes through it. */
export interface ErrorWhere {
	op?: "dump" | "restore" | "pre-dump" | "check";
	stage?: string;
	pid?: number;
	kind?: string;
	id?: string;
}

export interface CriuErrorOptions {
	/** Another error that made this one happen; never flattened to text. */
	cause?: unknown;
	/** One sentence of something the user can do; absent only for bugs of ours. */
	remedy?: string;
	where?: ErrorWhere;
}

/** Base of all errors that the program reports. `code` is stable: callers and tests match it, never the text. */
export class CriuError extends Error {
	readonly code: string;
	readonly remedy: string | undefined;
	where: ErrorWhere;
	/** Failures of undoing, met after this error; they never hide it. */
	readonly undo: unknown[] = [];

	constructor(code: string, message: string, options: CriuErrorOptions = {}) {
		super(message, options.cause === undefined ? undefined : { cause: options.cause });
		this.name = new.target.name;
		this.code = code;
		this.remedy = options.remedy;
		this.where = options.where ?? {};
	}
}

/** The command line, configuration or request is wrong. */
export class UsageError extends CriuError {}

/** A thing that was seen in the target, the images or the host and that cannot be kept. */
export class UnsupportedError extends CriuError {}

/** What stands against a dump just now and goes by, as a rule, when the program runs on for a moment. */
export class PassingError extends UnsupportedError {}

/** The same; when it doesn't go by in a short while the dump is made all the same. */
export class AvoidableError extends PassingError {}

/** An image is missing, damaged, foreign or inconsistent. */
export class ImageError extends CriuError {
	readonly file: string | undefined;
	readonly offset: number | undefined;

	constructor(code: string, message: string, options: CriuErrorOptions & { file?: string; offset?: number } = {}) {
		super(code, message, options);
		this.file = options.file;
		this.offset = options.offset;
	}
}

/** What helps, as a rule, when a system call fails so. */
const REMEDIES: Readonly<Record<string, string>> = {
	EACCES: "run criu as root, and see in the kernel's log (dmesg) whether a security module forbids it",
	EBUSY: "end what uses it, or try again",
	EDQUOT: "raise the disk quota, or free space",
	EMFILE: "raise criu's limit of open files (ulimit -n)",
	ENFILE: "raise the system's limit of open files (sysctl fs.file-max)",
	ENOMEM: "free memory, or raise the memory limit of criu's cgroup",
	ENOSPC: "free space, or name another directory with -D",
	ENOSYS: 'run a kernel that has this call; "criu check" tells what is missing',
	EPERM: "run criu as root with all capabilities, and see whether seccomp or a security module forbids the call",
	EROFS: "name a directory that can be written with -D",
	ESRCH: "try again: a process has ended meanwhile",
};
const LAST_REMEDY = "look into the kernel's log (dmesg) and, with -v4, into criu's";

/** A system call failed. `errno` is positive. */
export class KernelError extends CriuError {
	readonly syscall: string;
	readonly errno: number;
	readonly what: string;

	constructor(syscall: string, errno: number, what = "", options: CriuErrorOptions = {}) {
		const name = errnoName(errno);
		super(name, `${syscall}${what === "" ? "" : ` ${what}`}: ${errnoText(errno)} (${name})`, {
			remedy: REMEDIES[name] ?? LAST_REMEDY,
			...options,
		});
		this.syscall = syscall;
		this.errno = errno;
		this.what = what;
	}
}

/** An invariant of ours is broken; asks for a report. */
export class BugError extends CriuError {
	constructor(message: string, options: CriuErrorOptions = {}) {
		super("BUG", message, {
			remedy: "this is a bug in criu: please report it with the log file",
			...options,
		});
	}
}

/** Several findings of one preflight run, all told at once. */
export class BlockedError extends CriuError {
	readonly blockers: readonly CriuError[];

	constructor(message: string, blockers: readonly CriuError[]) {
		super("BLOCKED", message, { ...(blockers[0]?.remedy === undefined ? {} : { remedy: blockers[0].remedy }) });
		this.blockers = blockers;
	}
}

/** Does work on an object, which a failing system call doesn't know by the name that users do: it's told with the error. */
export function about<T>(object: () => string, work: () => T): T {
	try {
		return work();
	} catch (error) {
		throw withObject(error, object);
	}
}

/** The same for an error that has been caught: where work is done by the thousand, functions for each cost more than it. */
export function withObject(error: unknown, object: () => string): unknown {
	if (!(error instanceof KernelError) || /\bpid \d|\/proc\/\d/.test(error.what)) return error;
	const { syscall, errno, what, remedy, where } = error;
	const options = { cause: error.cause, where, ...(remedy === undefined ? {} : { remedy }) };
	return new KernelError(syscall, errno, `${what} (${object()})`.trimStart(), options);
}

/** True for a failed system call with one of the given errno names. */
export function isErrno(error: unknown, ...names: string[]): error is KernelError {
	return error instanceof KernelError && names.includes(error.code);
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}

/** The chain of causes below an error, outermost first, without the error itself. */
export function causesOf(error: unknown): unknown[] {
	const chain: unknown[] = [];
	let at = error instanceof Error ? error.cause : undefined;
	while (at !== undefined && chain.length < 16) {
		chain.push(at);
		at = at instanceof Error ? at.cause : undefined;
	}
	return chain;
}
