// SPDX-License-Identifier: GPL-2.0-only
// A child of 32-bit code that only waits: whether this kernel runs such code at all, and what it gives to it, only one shows.
// Source: elf(5).

import { KernelError } from "../errors.ts";
import { MFD_CLOEXEC } from "../kernel/abi/mman.ts";
import { SYS_memfd_create } from "../kernel/abi/syscalls.x86_64.ts";
import { scopedFd, toCString, writeAll } from "../sys/file.ts";
import { mustSyscall, spawn } from "../sys/host.ts";
import { __WALL, P_PID, sendSignal, WEXITED, WNOWAIT, WSTOPPED, waitId } from "../sys/process.ts";

const SIGKILL = 9;
const EHDR_SIZE = 52;
const PHDR_SIZE = 32;
const ET_EXEC = 2;
const EM_386 = 3;
const PT_LOAD = 1;
const PF_RX = 5;
const PAGE = 4096;
const ADDRESS = 0x8048000;
/** kill(getpid(), SIGSTOP), by which it tells that it has begun; then pause(2) for ever. */
const CODE = [
	...[0xb8, 20, 0, 0, 0], // mov $SYS_getpid, %eax
	...[0xcd, 0x80], //        int $0x80
	...[0x89, 0xc3], //        mov %eax, %ebx
	...[0xb9, 19, 0, 0, 0], // mov $SIGSTOP, %ecx
	...[0xb8, 37, 0, 0, 0], // mov $SYS_kill, %eax
	...[0xcd, 0x80], //        int $0x80
	...[0xb8, 29, 0, 0, 0], // mov $SYS_pause, %eax
	...[0xcd, 0x80], //        int $0x80
	...[0xeb, 0xf7], //        jmp to the call of pause
];

function makeProgram(): Uint8Array {
	const start = EHDR_SIZE + PHDR_SIZE;
	const bytes = new Uint8Array(start + CODE.length);
	const view = new DataView(bytes.buffer);
	bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]); // magic, 32 bit, little endian
	view.setUint16(16, ET_EXEC, true);
	view.setUint16(18, EM_386, true);
	view.setUint32(20, 1, true);
	view.setUint32(24, ADDRESS + start, true);
	view.setUint32(28, EHDR_SIZE, true);
	view.setUint16(40, EHDR_SIZE, true);
	view.setUint16(42, PHDR_SIZE, true);
	view.setUint16(44, 1, true);
	const { length } = bytes;
	for (const [i, word] of [PT_LOAD, 0, ADDRESS, ADDRESS, length, length, PF_RX, PAGE].entries())
		view.setUint32(EHDR_SIZE + 4 * i, word, true);
	bytes.set(CODE, start);
	return bytes;
}

/**
 * Asks `question` of such a child, which is gone afterwards; undefined where the kernel runs no 32-bit code.
 *
 * @throws KernelError
 */
export function askIa32Process<T>(question: (pid: number) => T): T | undefined {
	using program = scopedFd(mustSyscall("", SYS_memfd_create, toCString("criu-probe"), MFD_CLOEXEC));
	writeAll(program.fd, makeProgram());
	let pid: number;
	try {
		pid = spawn({
			flags: 0n,
			setTid: [],
			moves: [{ from: program.fd, to: program.fd }],
			execFd: program.fd,
			closeFrom: 0,
			dieWithParent: true,
		});
	} catch (error) {
		if (error instanceof KernelError) return undefined;
		throw error;
	}
	try {
		// Before that it may still have our memory: vfork(2) comes back when exec(2) is about to change it.
		const { kind } = waitId(P_PID, pid, WSTOPPED | WEXITED | WNOWAIT | __WALL) ?? {};
		return kind === "stopped" ? question(pid) : undefined;
	} finally {
		sendSignal(pid, SIGKILL);
		while (waitId(P_PID, pid, WEXITED | __WALL)?.kind === "stopped");
	}
}
