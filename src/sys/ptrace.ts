// SPDX-License-Identifier: GPL-2.0-only
// ptrace(2). All of it belongs to the thread that attached: the main JavaScript thread.

import { KernelError } from "../errors.ts";
import { PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, PtraceSudConfig } from "../kernel/abi/ptrace.ts";
import { SYS_ptrace } from "../kernel/abi/syscalls.x86_64.ts";
import { UserDesc } from "../kernel/abi/user-regs.x86_64.ts";
import { addressOf, syscall } from "./host.ts";

export const PTRACE_CONT = 7;
const PTRACE_GETREGS = 12;
const PTRACE_SETREGS = 13;
export const PTRACE_DETACH = 17;
export const PTRACE_SYSCALL = 24;
export const PTRACE_SETOPTIONS = 0x4200;
export const PTRACE_GETREGSET = 0x4204;
export const PTRACE_SETREGSET = 0x4205;
export const PTRACE_SEIZE = 0x4206;
export const PTRACE_INTERRUPT = 0x4207;
export const PTRACE_LISTEN = 0x4208;
export const PTRACE_PEEKSIGINFO = 0x4209;
export const PTRACE_GETSIGMASK = 0x420a;
export const PTRACE_SETSIGMASK = 0x420b;
export const PTRACE_SECCOMP_GET_FILTER = 0x420c;
export const PTRACE_SECCOMP_GET_METADATA = 0x420d;
const PTRACE_GET_SYSCALL_INFO = 0x420e;
export const PTRACE_GET_RSEQ_CONFIGURATION = 0x420f;

export const PTRACE_O_TRACESYSGOOD = 1;
export const PTRACE_O_EXITKILL = 0x100000;
export const PTRACE_O_SUSPEND_SECCOMP = 0x200000;
export const PTRACE_EVENT_STOP = 128;

export const NT_386_IOPERM = 0x201;
export const NT_X86_XSTATE = 0x202;

const NAMES = new Map([
	[PTRACE_CONT, "PTRACE_CONT"],
	[PTRACE_GETREGS, "PTRACE_GETREGS"],
	[PTRACE_SETREGS, "PTRACE_SETREGS"],
	[PTRACE_DETACH, "PTRACE_DETACH"],
	[PTRACE_SYSCALL, "PTRACE_SYSCALL"],
	[PTRACE_GETREGSET, "PTRACE_GETREGSET"],
	[PTRACE_SETREGSET, "PTRACE_SETREGSET"],
	[PTRACE_SEIZE, "PTRACE_SEIZE"],
	[PTRACE_INTERRUPT, "PTRACE_INTERRUPT"],
	[PTRACE_PEEKSIGINFO, "PTRACE_PEEKSIGINFO"],
	[PTRACE_GETSIGMASK, "PTRACE_GETSIGMASK"],
	[PTRACE_SETSIGMASK, "PTRACE_SETSIGMASK"],
	[PTRACE_SECCOMP_GET_FILTER, "PTRACE_SECCOMP_GET_FILTER"],
	[PTRACE_SECCOMP_GET_METADATA, "PTRACE_SECCOMP_GET_METADATA"],
]);

/** Any ptrace request. @throws KernelError ESRCH when the tracee is gone or not stopped */
export function ptrace(request: number, tid: number, address: number | bigint = 0, data: number | bigint = 0): number {
	const ret = syscall(SYS_ptrace, request, tid, address, data);
	if (ret < 0)
		throw new KernelError("ptrace", -ret, `${NAMES.get(request) ?? `0x${request.toString(16)}`} of task ${tid}`);
	return ret;
}

/** What only the kernel points to must not be collected meanwhile: these live for ever. */
const iov = new BigUint64Array(2);
const maskWord = new BigUint64Array(1);
const peekArgs = new DataView(new ArrayBuffer(16));

/** AMX needs 8 KiB more than AVX-512; twice that is room for what comes. */
const regsetRoom = new Uint8Array(32 * 1024);

/** Reads a register set, as much of it as the kernel gives. */
export function getRegset(tid: number, type: number): Uint8Array {
	iov[0] = addressOf(regsetRoom);
	iov[1] = BigInt(regsetRoom.length);
	ptrace(PTRACE_GETREGSET, tid, type, addressOf(iov));
	return regsetRoom.slice(0, Number(iov[1]));
}

/** True when a stopped tracee has a register set that others lack. */
export function hasRegset(tid: number, type: number): boolean {
	iov[0] = addressOf(regsetRoom);
	iov[1] = BigInt(regsetRoom.length);
	return syscall(SYS_ptrace, PTRACE_GETREGSET, tid, type, addressOf(iov)) >= 0;
}

/** Writes a register set; atomic against our own death once the buffer is resident. */
export function setRegset(tid: number, type: number, bytes: Uint8Array): void {
	iov[0] = addressOf(bytes);
	iov[1] = BigInt(bytes.length);
	ptrace(PTRACE_SETREGSET, tid, type, addressOf(iov));
}

const generalRoom = new BigUint64Array(64);

/** `struct user_regs_struct` of a stopped tracee, `size` bytes, whatever code it runs. Source: arch/x86/kernel/ptrace.c. */
export function getGeneralRegisters(tid: number, size: number): BigUint64Array {
	ptrace(PTRACE_GETREGS, tid, 0, addressOf(generalRoom));
	return generalRoom.slice(0, size / 8);
}

/** Sets them; atomic against our own death once the buffer is resident. */
export function setGeneralRegisters(tid: number, regs: BigUint64Array): void {
	ptrace(PTRACE_SETREGS, tid, 0, addressOf(regs));
}

/** The blocked mask of a stopped tracee; inside sigsuspend and the like the one that will be put back. */
export function getSigmask(tid: number): bigint {
	ptrace(PTRACE_GETSIGMASK, tid, 8, addressOf(maskWord));
	return maskWord[0] ?? 0n;
}

export function setSigmask(tid: number, mask: bigint): void {
	maskWord[0] = mask;
	ptrace(PTRACE_SETSIGMASK, tid, 8, addressOf(maskWord));
}

const SYSCALL_INFO_ENTRY = 1;
const syscallInfo = new Uint8Array(88);

/** True when a stopped tracee stands before a system call, which it makes next. Since: Linux 5.3. */
export function isBeforeCall(tid: number): boolean {
	return (
		syscall(SYS_ptrace, PTRACE_GET_SYSCALL_INFO, tid, syscallInfo.length, addressOf(syscallInfo)) > 0 &&
		syscallInfo[0] === SYSCALL_INFO_ENTRY
	);
}

const PTRACE_GET_THREAD_AREA = 25;
const PTRACE_SET_THREAD_AREA = 26;
const userDesc = new Uint8Array(UserDesc.size);

/** What a slot of a stopped tracee's table of segments holds; undefined where the kernel runs no 32-bit code. Source: arch/x86/kernel/tls.c. */
export function getThreadArea(tid: number, slot: number): UserDesc | undefined {
	const ret = syscall(SYS_ptrace, PTRACE_GET_THREAD_AREA, tid, slot, addressOf(userDesc));
	return ret < 0 ? undefined : UserDesc.read(new DataView(userDesc.buffer));
}

/** Sets a slot. @throws KernelError EIO where the kernel runs no 32-bit code, EINVAL */
export function setThreadArea(tid: number, area: UserDesc): void {
	const bytes = UserDesc.encode(area);
	ptrace(PTRACE_SET_THREAD_AREA, tid, area.entry_number, addressOf(bytes));
}

const PEEK_BATCH = 64;
const SIGINFO_SIZE = 128;
const peeked = new Uint8Array(PEEK_BATCH * SIGINFO_SIZE);

/** All queued signals in queue order, 128-byte siginfo_t each: of the whole process, or private to the thread. */
export function peekSiginfo(tid: number, shared: boolean): Uint8Array[] {
	const found: Uint8Array[] = [];
	for (;;) {
		peekArgs.setBigUint64(0, BigInt(found.length), true);
		peekArgs.setUint32(8, shared ? 1 : 0, true);
		peekArgs.setInt32(12, PEEK_BATCH, true);
		const count = ptrace(PTRACE_PEEKSIGINFO, tid, addressOf(peekArgs), addressOf(peeked));
		for (let i = 0; i < count; i++) found.push(peeked.slice(i * SIGINFO_SIZE, (i + 1) * SIGINFO_SIZE));
		if (count < PEEK_BATCH) return found;
	}
}

/** Registration of restartable sequences; undefined when the kernel can't tell. Since: Linux 5.13. */
export function getRseq(tid: number): { pointer: bigint; size: number; signature: number; flags: number } | undefined {
	const buffer = new Uint8Array(24);
	const ret = syscall(SYS_ptrace, PTRACE_GET_RSEQ_CONFIGURATION, tid, buffer.length, addressOf(buffer));
	if (ret < 0) return undefined;
	const view = new DataView(buffer.buffer);
	return {
		pointer: view.getBigUint64(0, true),
		size: view.getUint32(8, true),
		signature: view.getUint32(12, true),
		flags: view.getUint32(16, true),
	};
}

const sudConfig = new Uint8Array(PtraceSudConfig.size);

/** True when system calls of a stopped tracee are handed back to it as SIGSYS; false where the kernel can't tell, before Linux 6.4. */
export function isDispatched(tid: number): boolean {
	const size = BigInt(sudConfig.length);
	const ret = syscall(SYS_ptrace, PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, tid, size, addressOf(sudConfig));
	return ret === 0 && PtraceSudConfig.read(new DataView(sudConfig.buffer), 0).mode !== 0n;
}

const SOCK_FILTER_SIZE = 8;
const ENOENT = 2;
const metadata = new BigUint64Array(2);

/**
 * A seccomp filter of a stopped tracee as it was installed, an array of sock_filter; undefined behind the last one. 0 is the
 * oldest. Needs CAP_SYS_ADMIN, and that we aren't under seccomp ourselves.
 *
 * @throws KernelError EACCES, EINVAL when it isn't in filter mode, EMEDIUMTYPE, EIO. Source: ptrace(2), kernel/seccomp.c.
 */
export function readSeccompFilter(tid: number, index: number): Uint8Array | undefined {
	let length: number;
	try {
		length = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, index, 0);
	} catch (error) {
		if (error instanceof KernelError && error.errno === ENOENT) return undefined;
		throw error;
	}
	const filter = new Uint8Array(length * SOCK_FILTER_SIZE);
	ptrace(PTRACE_SECCOMP_GET_FILTER, tid, index, addressOf(filter));
	return filter;
}

/** SECCOMP_FILTER_FLAG_* of a filter, as far as the kernel keeps them; 0 where it can't tell. Since: Linux 4.16. */
export function readSeccompFlags(tid: number, index: number): number {
	metadata[0] = BigInt(index);
	metadata[1] = 0n;
	const ret = syscall(SYS_ptrace, PTRACE_SECCOMP_GET_METADATA, tid, metadata.byteLength, addressOf(metadata));
	return ret < 0 ? 0 : Number(metadata[1]);
}
