// SPDX-License-Identifier: GPL-2.0-only
// Content of private memory is written by a new process through its own /proc/self/mem: no page of it faults, and it can have its
// last protection by then, as for a debugger. Source: proc_pid_mem(5).

import { LOAD_BUFFER } from "../../agent/layout.ts";
import type { LoadWay, Program } from "../../agent/program.ts";
import { CriuError } from "../../errors.ts";
import type { vma_entry } from "../../images/gen/mm_pb.ts";
import { AT_FDCWD, O_CLOEXEC, O_RDWR } from "../../kernel/abi/fcntl.ts";
import * as mman from "../../kernel/abi/mman.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { closeFd, openAt, toCString } from "../../sys/file.ts";
import { syscall } from "../../sys/host.ts";
import { mapPrivate } from "../../sys/memory.ts";
import type { RestoreContext, TaskPlan } from "../kind.ts";

const OWN_MEMORY = "/proc/self/mem";
const PAGE = 4096;

/** True when this kernel lets a process write where it has no right to (proc_mem.force_override, Linux 6.12): tried on a page of ours. */
export function canWriteAnywhere(): boolean {
	using page = mapPrivate(PAGE);
	if (syscall(nr.SYS_mprotect, page.address, PAGE, mman.PROT_READ) < 0) return false;
	let fd: number;
	try {
		fd = openAt(OWN_MEMORY, O_RDWR);
	} catch (error) {
		if (error instanceof CriuError) return false;
		throw error;
	}
	try {
		return syscall(nr.SYS_pwrite64, fd, Uint8Array.of(1), 1, page.address) === 1;
	} finally {
		closeFd(fd);
	}
}

/** True for memory that can be written that way: private, of ordinary pages, and not where the kernel looks for text to be written. */
export function canForce({ flags, prot }: vma_entry, { options }: RestoreContext): boolean {
	if ((flags & (mman.MAP_SHARED | mman.MAP_HUGETLB)) !== 0) return false;
	return !options.allowUprobes || (prot & mman.PROT_EXEC) === 0;
}

/** Adds what gets a process ready to load memory. */
export function openOwnMemory(program: Program, plan: TaskPlan): LoadWay {
	const mem = program.syscall("open its memory", nr.SYS_openat, [
		AT_FDCWD,
		toCString(OWN_MEMORY),
		O_RDWR | O_CLOEXEC,
		0,
	]);
	const flags = mman.MAP_PRIVATE | mman.MAP_ANONYMOUS | mman.MAP_FIXED_NOREPLACE;
	const access = mman.PROT_READ | mman.PROT_WRITE;
	program.syscall("map a buffer for its pages", nr.SYS_mmap, [plan.scratch, LOAD_BUFFER, access, flags, -1, 0], {
		check: { equal: plan.scratch },
		remedies: { ENOMEM: "free memory, or raise vm.max_map_count" },
	});
	return { mem, buffer: plan.scratch };
}

/** Adds what ends it. */
export function closeOwnMemory(program: Program, plan: TaskPlan, { mem }: LoadWay): void {
	program.syscall("unmap the buffer for its pages", nr.SYS_munmap, [plan.scratch, LOAD_BUFFER]);
	program.syscall("close its memory", nr.SYS_close, [mem]);
}
