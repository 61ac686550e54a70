// SPDX-License-Identifier: GPL-2.0-only
// Files without a name: memory to be shared, and programs to be executed. Source: memfd_create(2).

import { isErrno } from "../errors.ts";
import { SYS_memfd_create, SYS_pwrite64 } from "../kernel/abi/syscalls.x86_64.ts";
import { toCString } from "../sys/file.ts";
import { mustSyscall } from "../sys/host.ts";

const MFD_CLOEXEC = 1;
const MFD_EXEC = 0x10;

/** A memfd with close-on-exec. @throws KernelError */
export function createMemfd(name: string, flags: number): number {
	const fd = mustSyscall(`"${name}"`, SYS_memfd_create, toCString(name), flags | MFD_CLOEXEC);
	return fd;
}

/** An executable memfd; kernels before 6.3 don't know MFD_EXEC and don't need it. */
export function createExecutable(bytes: Uint8Array): number {
	let fd: number;
	try {
		fd = createMemfd("criu-agent", MFD_EXEC);
	} catch (error) {
		if (!isErrno(error, "EINVAL")) throw error;
		fd = createMemfd("criu-agent", 0);
	}
	mustSyscall("of the agent", SYS_pwrite64, fd, bytes, bytes.length, 0);
	return fd;
}
