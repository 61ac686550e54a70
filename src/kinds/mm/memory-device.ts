// SPDX-License-Identifier: GPL-2.0-only
// The device of the kernel's own memory files: shared anonymous memory, memfds, System V segments. Source: memfd_create(2).

import { SYS_close, SYS_memfd_create } from "../../kernel/abi/syscalls.x86_64.ts";
import type { VmaFacts } from "../../kernel/procfs/maps.ts";
import { statFd, toCString } from "../../sys/file.ts";
import { mustSyscall, syscall } from "../../sys/host.ts";

/** By the flags of memfd_create; the same as long as the machine runs. */
const known = new Map<number, { major: number; minor: number }>();

function learn(flags: number): { major: number; minor: number } {
	const fd = mustSyscall("to learn its device", SYS_memfd_create, toCString("criu"), flags);
	try {
		const { devMajor, devMinor } = statFd(fd);
		return { major: devMajor, minor: devMinor };
	} finally {
		syscall(SYS_close, fd);
	}
}

/** True when what is mapped is a memory file of the kernel's, of ordinary pages or of those that MFD_* flags ask for. @throws KernelError */
export function isKernelMemory(vma: VmaFacts, flags = 0): boolean {
	const device = known.get(flags) ?? learn(flags);
	known.set(flags, device);
	return vma.devMajor === device.major && vma.devMinor === device.minor;
}
