// SPDX-License-Identifier: GPL-2.0-only
// Loads the C host library from memory and gives one wrapper for each of its exports. The library's bytes go into a
// sealed memfd: nothing is ever loaded from a path that somebody else could write to.

import { dlopen, FFIType, type Pointer, ptr } from "bun:ffi";
import { closeSync, writeSync } from "node:fs";
import { CriuError, KernelError } from "../errors.ts";
import { SYS_fcntl, SYS_memfd_create, syscallName } from "../kernel/abi/syscalls.x86_64.ts";
import { hostLibraryBytes } from "./embedded.ts";
import {
	CrGuard,
	CrProgress,
	CrPump,
	CrRequeue,
	CrSeize,
	CrSockopt,
	CrSpawn,
	CrStep,
	PUMP_PIPE,
	PUMP_STREAM,
} from "./host-layout.ts";
import { SYMBOLS } from "./host-symbols.ts";

/** The result of a thread that has ended, see stepTogether. */
export const STEP_GONE = 0x40000000;

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;
const F_SEAL_ALL = 0xf;

type Library = ReturnType<typeof dlopen<typeof SYMBOLS>>;
let library: Library | undefined;

/** memfd_create through libc: the host library isn't there yet. */
function openSealedMemfd(bytes: Uint8Array): number {
	const libc = dlopen("libc.so.6", {
		syscall: {
			args: [FFIType.i64, FFIType.i64, FFIType.i64, FFIType.i64],
			returns: FFIType.i64_fast,
		},
	});
	const name = new TextEncoder().encode("criu-host\0");
	const fd = Number(libc.symbols.syscall(SYS_memfd_create, ptr(name), MFD_CLOEXEC | MFD_ALLOW_SEALING, 0));
	const remedy = "free memory, or raise the memory limit of criu's cgroup";
	if (fd < 0) throw new CriuError("HOST_LIBRARY", "no memfd can be made for criu's own library", { remedy });
	try {
		for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
	} catch (cause) {
		throw new CriuError("HOST_LIBRARY", "criu's own library can't be written into a memfd", { cause, remedy });
	}
	libc.symbols.syscall(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_ALL);
	return fd;
}

function loadLibrary(): Library {
	const fd = openSealedMemfd(hostLibraryBytes());
	try {
		library = dlopen(`/proc/self/fd/${fd}`, SYMBOLS);
	} finally {
		closeSync(fd);
	}
	return library;
}

export type SyscallArg =
	| number
	| bigint
	| Uint8Array
	| Int32Array
	| Uint32Array
	| BigUint64Array
	| BigInt64Array
	| DataView;

function toWord(arg: SyscallArg): number | bigint {
	return typeof arg === "number" || typeof arg === "bigint" ? arg : arg.byteLength === 0 ? 0 : ptr(arg);
}

/**
 * Makes one system call. Buffers are passed by address and must stay referenced by the caller. Gives the kernel's result:
 * negative means -errno. Results of x86_64 fit a double, except signed 64-bit file offsets above 2^53.
 */
export function syscall(
	nr: number,
	a: SyscallArg = 0,
	b: SyscallArg = 0,
	c: SyscallArg = 0,
	d: SyscallArg = 0,
	e: SyscallArg = 0,
	f: SyscallArg = 0,
): number {
	const symbols = (library ?? loadLibrary()).symbols;
	return Number(symbols.cr_syscall(nr, toWord(a), toWord(b), toWord(c), toWord(d), toWord(e), toWord(f)));
}

/** Like syscall, but throws a KernelError that names `what`. */
export function mustSyscall(what: string, nr: number, ...args: SyscallArg[]): number {
	const ret = syscall(nr, ...(args as [SyscallArg]));
	if (ret < 0) throw new KernelError(syscallName(nr), -ret, what);
	return ret;
}

/** The address of a buffer, to be stored in structures. The caller keeps the buffer referenced. */
export function addressOf(buffer: Uint8Array | Int32Array | Uint32Array | BigUint64Array | DataView): bigint {
	return BigInt(ptr(buffer));
}

export interface SpawnRequest {
	/** clone3 flags: namespaces, CLONE_PARENT. */
	flags: bigint;
	/** Pids to take, innermost pid namespace first; empty: any. */
	setTid: readonly number[];
	/** Descriptors that the child gets: every `to` above all `from`, or equal to its `from`. */
	moves: ReadonlyArray<{ from: number; to: number }>;
	execFd: number;
	/** All other descriptors from here on are closed in the child. */
	closeFrom: number;
	/** SIGKILL for the child when the calling thread dies. */
	dieWithParent: boolean;
}

const SPAWN_STAGES = ["", "clone3", "dup3", "execveat", "prctl"];

/**
 * Makes a child that executes `execFd` with an empty environment and all signals blocked. May block until the child has
 * executed (microseconds). Gives the pid as seen here.
 *
 * @throws KernelError with the failed call.
 */
export function spawn(request: SpawnRequest): number {
	const tids = new Int32Array(Math.max(request.setTid.length, 1));
	tids.set(request.setTid);
	const moves = new Int32Array(Math.max(request.moves.length * 2, 1));
	for (const [i, move] of request.moves.entries()) moves.set([move.from, move.to], i * 2);
	const block = CrSpawn.encode({
		flags: request.flags,
		set_tid: request.setTid.length === 0 ? 0n : addressOf(tids),
		set_tid_size: BigInt(request.setTid.length),
		moves: addressOf(moves),
		nr_moves: request.moves.length,
		exec_fd: request.execFd,
		close_from: request.closeFrom,
		die_with_parent: request.dieWithParent ? 1 : 0,
	});
	const pid = Number((library ?? loadLibrary()).symbols.cr_spawn(ptr(block)));
	if (pid < 0) {
		const out = CrSpawn.read(new DataView(block.buffer, block.byteOffset));
		throw new KernelError(SPAWN_STAGES[out.stage] ?? "clone3", -pid, "of a new process");
	}
	return pid;
}

export interface PumpRequest {
	pid: number;
	/** `/proc/PID/mem`, for pages without read permission. */
	memFd: number;
	outFd: number;
	/** Where in the output file the first piece goes. */
	offset: bigint;
	/** Pairs of address and length in bytes, whole pages. */
	pieces: BigUint64Array;
	threads: number;
	/** PUMP_*. */
	flags?: number;
}

/**
 * Copies memory of a stopped process into a file. Blocks; memory use doesn't depend on the size. Gives the number of bytes.
 *
 * @throws KernelError `process_vm_readv`, `pwrite64` or `write`.
 */
export function pump(request: PumpRequest): number {
	if (request.pieces.length === 0) return 0;
	const block = CrPump.encode({
		pieces: addressOf(request.pieces),
		nr_pieces: BigInt(request.pieces.length >> 1),
		offset: request.offset,
		pid: request.pid,
		mem_fd: request.memFd,
		out_fd: request.outFd,
		nr_threads: request.threads,
		flags: request.flags ?? 0,
	});
	const bytes = Number((library ?? loadLibrary()).symbols.cr_pump(ptr(block)));
	if (bytes < 0) {
		const out = CrPump.read(new DataView(block.buffer, block.byteOffset));
		const writing = ((request.flags ?? 0) & PUMP_PIPE) !== 0 ? "write" : "pwrite64";
		if (out.failed_write === 1 && ((request.flags ?? 0) & PUMP_STREAM) !== 0)
			throw new KernelError("sendto", -bytes, "of pages to the page server");
		throw out.failed_write === 1
			? new KernelError(writing, -bytes, "of the pages image", {
					remedy: "make room on the file system of the images directory, or use another one (--images-dir)",
				})
			: new KernelError("process_vm_readv", -bytes, `of pid ${request.pid} at 0x${out.failed_at.toString(16)}`);
	}
	return bytes;
}

/** Protects memory for a snapshot, or copies it, once the tasks run on, or waits for that, or gives up; of a struct cr_snapshot that stays. */
export function stepSnapshot(address: number, step: "start" | "copy" | "end" | "cancel"): number {
	const { symbols } = library ?? loadLibrary();
	if (step === "start") return Number(symbols.cr_snapshot_start(address as Pointer));
	if (step === "copy") return Number(symbols.cr_snapshot_copy(address as Pointer));
	return Number(symbols.cr_snapshot_end(address as Pointer, step === "cancel" ? 1 : 0));
}

/** Begins to tell how far memory has been moved; -1 for nobody on a terminal or of JSON. Gives 0 or -errno. */
export function startProgress(what: string, ttyFd: number, jsonFd: number): number {
	const name = new Uint8Array(24);
	name.set(new TextEncoder().encode(what).subarray(0, 23));
	const block = CrProgress.encode({ counter: 0n, what: [...name], tty_fd: ttyFd, json_fd: jsonFd });
	return Number((library ?? loadLibrary()).symbols.cr_progress_start(ptr(block)));
}

/** Counts bytes that were moved, and expects more of them. `counter`: address of what others count; 0: as before, 1: none. */
export function noteProgress(bytes: number, more: number, counter = 0): void {
	library?.symbols.cr_progress_note(bytes, more, counter);
}

/** Makes room on the terminal. */
export function hideProgress(): void {
	library?.symbols.cr_progress_hide();
}

/** Begins to watch whether our main thread hangs: a struct cr_stuck whose texts stay. Gives 0 or -errno. */
export function startStuckWatch(block: Uint8Array): number {
	return Number((library ?? loadLibrary()).symbols.cr_stuck_start(ptr(block)));
}

export function endStuckWatch(): void {
	library?.symbols.cr_stuck_end();
}

export function endProgress(ok: boolean): void {
	library?.symbols.cr_progress_end(ok ? 1 : 0);
}

/**
 * PTRACE_SEIZE of threads of one process, `others` of which are seized already. Gives 0 or -errno for each. Blocks while one
 * of them executes a program.
 *
 * @throws KernelError EAGAIN
 */
export function seizeTogether(
	leader: number,
	tids: readonly number[],
	others: readonly number[],
	options: number,
): Int32Array {
	const [targets, rest] = [Int32Array.from(tids), Int32Array.from(others)];
	const results = new Int32Array(tids.length);
	const address = (list: Int32Array) => (list.length === 0 ? 0n : addressOf(list));
	const block = CrSeize.encode({
		tids: address(targets),
		results: address(results),
		others: address(rest),
		nr_tids: tids.length,
		nr_others: others.length,
		leader,
		options,
	});
	const ret = Number((library ?? loadLibrary()).symbols.cr_seize(ptr(block)));
	if (ret < 0) throw new KernelError("pthread_create", -ret, "of a helper that freezes threads");
	return results;
}

/** What a guard does. */
export interface GuardRequest {
	/** The reading end of a pipe whose other end is ours alone: its end is ours, a byte sends the guard home. */
	readonly pipeFd: number;
	readonly stateFd: number;
	/** Written to `stateFd` when we're gone; at most 15 letters. */
	readonly end: string;
	/** Written when we take longer than that. */
	readonly late: string;
	readonly timeoutMs: number;
}

/** Starts a child that acts when we're gone. Gives its pid. @throws KernelError */
export function startGuard(request: GuardRequest): number {
	const block = CrGuard.encode({
		pipe_fd: request.pipeFd,
		state_fd: request.stateFd,
		timeout_ms: request.timeoutMs,
		end: textField(request.end),
		late: textField(request.late),
	});
	const pid = Number((library ?? loadLibrary()).symbols.cr_guard(ptr(block)));
	if (pid < 0) throw new KernelError("clone", -pid, "of a guard");
	return pid;
}

/** Starts a child that reads the CrLooks at `address` when we have ended, however that came; gives its pid. @throws KernelError */
export function startLooksGuard(address: number): number {
	const pid = Number((library ?? loadLibrary()).symbols.cr_guard_looks(address as Pointer));
	if (pid < 0) throw new KernelError("clone", -pid, "of a guard");
	return pid;
}

/** Starts a child that reads the CrLazyGuard at `address` when we have ended, however that came; gives its pid. @throws KernelError */
export function startLazyGuard(address: number): number {
	const pid = Number((library ?? loadLibrary()).symbols.cr_guard_lazy(address as Pointer));
	if (pid < 0) throw new KernelError("clone", -pid, "of a guard");
	return pid;
}

function textField(text: string): Uint8Array {
	const field = new Uint8Array(16);
	field.set(new TextEncoder().encode(text).subarray(0, 15));
	return field;
}

/**
 * One request (PTRACE_SYSCALL of tracees that stand still, PTRACE_INTERRUPT of those that run), for all at once, and a wait until
 * each has stopped. Gives for each: 0 at a system call stop, the code of another stop (signal, event above), STEP_GONE,
 * -EAGAIN when it didn't stop in time, -errno.
 */
export function stepTogether(request: number, tids: Int32Array, timeoutMs: number): Int32Array {
	const results = new Int32Array(tids.length);
	if (tids.length === 0) return results;
	const block = CrStep.encode({
		tids: addressOf(tids),
		results: addressOf(results),
		nr_tids: tids.length,
		timeout_ms: timeoutMs,
		request,
	});
	(library ?? loadLibrary()).symbols.cr_step(ptr(block));
	return results;
}

export interface RequeueRequest {
	/** A terminal's end, and the other one. */
	readonly fd: number;
	readonly otherFd: number;
	/** Settings (`struct termios` of TCGETS) of a slave; a master has none of its own. */
	readonly termios?: {
		readonly raw: Uint8Array;
		/** Undefined where it doesn't read by lines. */
		readonly lines: Uint8Array | undefined;
		readonly own: Uint8Array;
		readonly locks: Uint8Array | undefined;
	};
	/** What is read begins with a byte of status. */
	readonly packets: boolean;
	readonly capacity: number;
}

/**
 * Reads what waits in a terminal's queue and puts it back; a kill of this process in between loses nothing. Gives the bytes,
 * for each line twice its length, plus 1 where an end of file ended it, and for a master whether further output is stopped.
 *
 * @throws KernelError when something may be lost
 */
export function requeue(request: RequeueRequest): { data: Uint8Array; ends: number[]; stopped: boolean } {
	const { fd, otherFd, termios, packets, capacity } = request;
	const data = new Uint8Array(capacity);
	const ends = new Uint32Array(capacity);
	// Settings are copied: the call writes to some of them.
	const copies = [termios?.raw, termios?.lines, termios?.own, termios?.locks].map((bytes) => bytes?.slice());
	const [raw = 0n, lines = 0n, own = 0n, locks = 0n] = copies.map((bytes) =>
		bytes === undefined ? 0n : addressOf(bytes),
	);
	const block = CrRequeue.encode({
		raw,
		lines,
		own,
		locks,
		data: addressOf(data),
		ends: addressOf(ends),
		capacity,
		max_ends: capacity,
		fd,
		other_fd: otherFd,
		packets: packets ? 1 : 0,
	});
	const ret = Number((library ?? loadLibrary()).symbols.cr_requeue(ptr(block)));
	if (ret < 0 || copies.length === 0) throw new KernelError("ioctl", -ret, "TIOCSTI of a terminal's queue");
	const out = CrRequeue.read(new DataView(block.buffer, block.byteOffset));
	return { data: data.slice(0, out.length), ends: [...ends.subarray(0, out.nr_ends)], stopped: out.stopped !== 0 };
}

/**
 * Reads options of a socket as CrSockopt tells; what comes of it stands in the list and among the values. Gives how many failed
 * (not for want of the option) or differ from the usual values.
 */
export function readSockopts(fd: number, list: Uint8Array, values: Uint8Array, usual: Uint8Array): number {
	if (list.length === 0) return 0;
	const nr = list.length / CrSockopt.size;
	return Number((library ?? loadLibrary()).symbols.cr_sockopts(fd, ptr(list), nr, ptr(values), ptr(usual)));
}

/** Looks at descriptors of another process, as CrFds tells; gives how many, or -errno. */
export function readFds(request: Uint8Array): number {
	return Number((library ?? loadLibrary()).symbols.cr_fds(ptr(request)));
}

/** Looks into a pipe, as CrPipePeek tells; 0 or -errno. */
export function peekPipe(request: Uint8Array): number {
	return Number((library ?? loadLibrary()).symbols.cr_pipe_peek(ptr(request)));
}

/** Writes the first byte of a file over and over; gives the last result. */
export const rewrite = (fd: number, times: number): number =>
	Number((library ?? loadLibrary()).symbols.cr_rewrite(fd, times));

/** Closes descriptors of ours. */
export function closeAll(fds: readonly number[]): void {
	if (fds.length > 0) (library ?? loadLibrary()).symbols.cr_close_all(ptr(Int32Array.from(fds)), fds.length);
}

/** Pre-opens the library, so that later calls can't fail for want of it. */
export function loadHost(): void {
	if (library === undefined) loadLibrary();
}

/** The cpuid instruction: eax, ebx, ecx, edx. */
export function cpuid(leaf: number, subleaf: number): readonly [number, number, number, number] {
	const out = new Uint32Array(4);
	(library ?? loadLibrary()).symbols.cr_cpuid(leaf, subleaf, ptr(out));
	return [out[0] ?? 0, out[1] ?? 0, out[2] ?? 0, out[3] ?? 0];
}

/** Starts the program that a block of CrLaunch describes; its pid, or -errno. */
export function launchBlock(block: Uint8Array): number {
	return Number((library ?? loadLibrary()).symbols.cr_launch(ptr(block)));
}

/** Notes the first of each signal (bit N-1 for signal N) in a place that must live for ever; without one: as by default. */
export function noteSignals(place: Int32Array | undefined, signals: number): void {
	(library ?? loadLibrary()).symbols.cr_note_signals(place === undefined ? null : ptr(place), signals);
}
