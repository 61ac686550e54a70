// SPDX-License-Identifier: GPL-2.0-only
// Calls about other processes: waiting, signals, pidfds, kcmp, memory.

import { KernelError } from "../errors.ts";
import * as nr from "../kernel/abi/syscalls.x86_64.ts";
import { addressOf, mustSyscall, syscall } from "./host.ts";

export const P_ALL = 0;
export const P_PID = 1;
export const WNOHANG = 1;
export const WSTOPPED = 2;
export const WEXITED = 4;
export const WNOWAIT = 0x01000000;
export const __WALL = 0x40000000;

const CLD_EXITED = 1;
const CLD_KILLED = 2;
const CLD_DUMPED = 3;
const CLD_TRAPPED = 4;

/** What waitid(2) reports: an end, or a stop of a tracee (`status` = signal | event << 8). */
export interface WaitReport {
	pid: number;
	kind: "exited" | "killed" | "stopped";
	/** Exit code, signal number, or for a stop the ptrace code: signal in the low byte, event above. */
	status: number;
}

/**
 * waitid(2). Gives undefined when WNOHANG found nothing. Blocks without WNOHANG.
 *
 * @throws KernelError ECHILD, EINTR
 */
export function waitId(idType: number, id: number, options: number): WaitReport | undefined {
	const info = new Int32Array(32);
	const ret = syscall(nr.SYS_waitid, idType, id, info, options, 0);
	if (ret < 0) throw new KernelError("waitid", -ret, `for ${idType === P_PID ? `pid ${id}` : "any child"}`);
	const pid = info[4] ?? 0;
	if (pid === 0) return undefined;
	const code = info[2];
	const kind = code === CLD_EXITED ? "exited" : code === CLD_KILLED || code === CLD_DUMPED ? "killed" : "stopped";
	return { pid, kind: code === CLD_TRAPPED ? "stopped" : kind, status: info[6] ?? 0 };
}

/** kill(2); false when the process is gone. */
export function sendSignal(pid: number, signal: number): boolean {
	return syscall(nr.SYS_kill, pid, signal) === 0;
}

/** A descriptor for a process. @throws KernelError */
export function openPidfd(pid: number, flags = 0): number {
	return mustSyscall(`of pid ${pid}`, nr.SYS_pidfd_open, pid, flags);
}

/** A copy of a descriptor of another process, close-on-exec. @throws KernelError */
export function getPidfdFd(pidfd: number, remoteFd: number): number {
	return mustSyscall(`of fd ${remoteFd}`, nr.SYS_pidfd_getfd, pidfd, remoteFd, 0);
}

export const KCMP_FILE = 0;
export const KCMP_VM = 1;
export const KCMP_FILES = 2;
export const KCMP_FS = 3;
export const KCMP_SIGHAND = 4;
export const KCMP_SYSVSEM = 6;

/** kcmp(2): 0 equal, 1 and 2 an order, 3 different without order. @throws KernelError */
export function compareKernel(pid1: number, pid2: number, type: number, id1 = 0, id2 = 0): number {
	return mustSyscall(`of pids ${pid1} and ${pid2}`, nr.SYS_kcmp, pid1, pid2, type, id1, id2);
}

/** Two iovecs, local and remote. Lives for ever: what only the kernel points to must not be collected meanwhile. */
const iov = new BigUint64Array(4);
const timeout = new BigInt64Array(2);

function transfer(call: number, pid: number, address: bigint, bytes: Uint8Array): number {
	iov[0] = addressOf(bytes);
	iov[1] = BigInt(bytes.length);
	iov[2] = address;
	iov[3] = BigInt(bytes.length);
	return mustSyscall(`of pid ${pid} at 0x${address.toString(16)}`, call, pid, iov, 1, addressOf(iov) + 16n, 1, 0);
}

/** Writes into another process's memory; all or an error. @throws KernelError */
export function writeMemory(pid: number, address: bigint, bytes: Uint8Array): void {
	const done = transfer(nr.SYS_process_vm_writev, pid, address, bytes);
	const at = `of pid ${pid} at 0x${address.toString(16)}`;
	if (done !== bytes.length) throw new KernelError("process_vm_writev", 14, at);
}

/** Reads another process's memory; all or an error. @throws KernelError */
export function readMemory(pid: number, address: bigint, length: number): Uint8Array {
	const bytes = new Uint8Array(length);
	if (length === 0) return bytes;
	const done = transfer(nr.SYS_process_vm_readv, pid, address, bytes);
	const at = `of pid ${pid} at 0x${address.toString(16)}`;
	if (done !== length) throw new KernelError("process_vm_readv", 14, at);
	return bytes;
}

/** FUTEX_WAIT on shared memory with a timeout in milliseconds; returns for any reason. */
export function futexWait(address: number, value: number, timeoutMs: number): void {
	const seconds = Math.floor(timeoutMs / 1000);
	timeout[0] = BigInt(seconds);
	timeout[1] = BigInt(Math.floor((timeoutMs - seconds * 1000) * 1e6));
	syscall(nr.SYS_futex, address, 0, value, timeout, 0, 0);
}

/** FUTEX_WAKE of all waiters. */
export function futexWake(address: number): void {
	syscall(nr.SYS_futex, address, 1, 0x7fffffff, 0, 0, 0);
}
