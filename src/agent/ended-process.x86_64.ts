// SPDX-License-Identifier: GPL-2.0-only
// Processes that exist only to have ended: what descriptors of dead processes (pidfd) and of their files in /proc refer to.
// Source: pidfd_open(2), ioctl_pidfd(2) PIDFD_INFO_EXIT, wait(2).

import { KernelError } from "../errors.ts";
import {
	SYS_exit_group,
	SYS_getpid,
	SYS_kill,
	SYS_pause,
	SYS_pidfd_open,
	SYS_prctl,
	SYS_rt_sigprocmask,
} from "../kernel/abi/syscalls.x86_64.ts";

import { closeFd } from "../sys/file.ts";
import { mustSyscall, spawn } from "../sys/host.ts";
import { __WALL, P_PID, WEXITED, waitId } from "../sys/process.ts";
import { buildCodeElf } from "./elf.x86_64.ts";
import { createExecutable } from "./executable.ts";

const SIGNAL_MASK = 0x7f;
const PR_SET_DUMPABLE = 4;
const SIG_SETMASK = 2;
const SIGKILL = 9;

const SYSCALL = [0x0f, 0x05];
const ZERO_SI = [0x31, 0xf6];
const ZERO_DX = [0x31, 0xd2];
const ZERO_R10 = [0x4d, 0x31, 0xd2];
const ZERO_R8 = [0x4d, 0x31, 0xc0];
const PUSH_ZERO = [0x6a, 0];
const SP_TO_SI = [0x48, 0x89, 0xe6];
const AX_TO_DI = [0x89, 0xc7];

function load(opcode: readonly number[], value: number): number[] {
	return [...opcode, ...new Uint8Array(Uint32Array.of(value).buffer)];
}

const loadAx = (value: number) => load([0xb8], value);
const loadDi = (value: number) => load([0xbf], value);
const loadSi = (value: number) => load([0xbe], value);
const loadR10 = (value: number) => load([0x41, 0xba], value);

/** Code that ends with that wait status; death by signal leaves no core file. */
export function buildEndCode(status: number): Uint8Array {
	const signal = status & SIGNAL_MASK;
	const exit = [...loadDi((status >> 8) & 0xff), ...loadAx(SYS_exit_group), ...SYSCALL];
	if (signal === 0) return Uint8Array.from(exit);
	return Uint8Array.from([
		...[...loadDi(PR_SET_DUMPABLE), ...ZERO_SI, ...ZERO_DX, ...ZERO_R10, ...ZERO_R8, ...loadAx(SYS_prctl), ...SYSCALL],
		...[...PUSH_ZERO, ...SP_TO_SI, ...loadDi(SIG_SETMASK), ...ZERO_DX, ...loadR10(8), ...loadAx(SYS_rt_sigprocmask)],
		...SYSCALL,
		...[...loadAx(SYS_getpid), ...SYSCALL, ...AX_TO_DI, ...loadSi(signal), ...loadAx(SYS_kill), ...SYSCALL],
		...exit,
	]);
}

/**
 * Descriptors (pidfds) of one process that has ended and been reaped, one for each of the given flags of pidfd_open(2).
 * `status`: as wait(2) tells it. The caller closes them.
 *
 * @throws KernelError
 */
export function openEndedProcess(status: number, flags: readonly number[]): number[] {
	const execFd = createExecutable(buildCodeElf(buildEndCode(status)));
	const opened: number[] = [];
	try {
		const pid = spawn({
			flags: 0n,
			setTid: [],
			moves: [{ from: execFd, to: execFd }],
			execFd,
			closeFrom: 0,
			dieWithParent: true,
		});
		try {
			for (const one of flags) opened.push(mustSyscall("of a process that ends", SYS_pidfd_open, pid, one));
		} finally {
			while (!reap(pid));
		}
		return opened;
	} catch (error) {
		for (const fd of opened) closeFd(fd);
		throw error;
	} finally {
		closeFd(execFd);
	}
}

/** Code that waits for ever. */
function buildIdleCode(): Uint8Array {
	const call = [...loadAx(SYS_pause), ...SYSCALL];
	return Uint8Array.from([...call, 0xeb, 256 - call.length - 2]);
}

/**
 * Makes a process of that pid, which does nothing and ends with us. Gives what ends it sooner.
 *
 * @throws KernelError EEXIST when the pid is taken
 */
export function standIn(pid: number): () => void {
	const execFd = createExecutable(buildCodeElf(buildIdleCode()));
	try {
		const made = spawn({
			flags: 0n,
			setTid: [pid],
			moves: [{ from: execFd, to: execFd }],
			execFd,
			closeFrom: 0,
			dieWithParent: true,
		});
		return () => {
			mustSyscall("of a process that stood in", SYS_kill, made, SIGKILL);
			while (!reap(made));
		};
	} finally {
		closeFd(execFd);
	}
}

/** False when a signal of ours came in between. */
function reap(pid: number): boolean {
	try {
		waitId(P_PID, pid, WEXITED | __WALL);
		return true;
	} catch (error) {
		if (error instanceof KernelError && error.errno === 4) return false;
		throw error;
	}
}
