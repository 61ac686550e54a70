// SPDX-License-Identifier: GPL-2.0-only
// Reading a file through a descriptor that shares one of the program, so that nobody notices: its position stays, no lease is
// broken, whoever watches the file hears of nothing. Mappings do that. Source: mmap(2), inotify(7) "Limitations and caveats".

import { isErrno, KernelError } from "../../errors.ts";
import { MAP_PRIVATE, PROT_READ } from "../../kernel/abi/mman.ts";
import { SYS_mmap, SYS_munmap, SYS_write } from "../../kernel/abi/syscalls.x86_64.ts";
import { mustSyscall, syscall } from "../../sys/host.ts";
import { readMemory } from "../../sys/process.ts";

const PAGE = 4096n;
/** Mapped at a time. */
const WINDOW = 64n << 20n;

/** Maps a part of a file, whose start needn't be that of a page, for the time of one call. */
function withMapping<T>(fd: number, offset: bigint, length: bigint, use: (address: number) => T): T {
	const skip = offset % PAGE;
	const whole = length + skip;
	const address = mustSyscall("of an open file", SYS_mmap, 0, whole, PROT_READ, MAP_PRIVATE, fd, offset - skip);
	try {
		return use(address + Number(skip));
	} finally {
		syscall(SYS_munmap, address, whole);
	}
}

/** Copies a part of a file to the position of another. The part has to exist. @throws KernelError */
export function copySilently(from: number, to: number, offset: bigint, length: bigint): void {
	for (let done = 0n; done < length; ) {
		const left = length - done;
		const piece = left < WINDOW ? left : WINDOW;
		const written = withMapping(from, offset + done, piece, (address) => syscall(SYS_write, to, address, piece));
		if (written <= 0) throw new KernelError("write", written === 0 ? 5 : -written, "of a deleted file to its image");
		done += BigInt(written);
	}
}

/** Reads a part of a file, empty where the file is shorter. @throws KernelError */
export function readSilently(fd: number, length: number, offset: bigint): Uint8Array {
	if (length === 0) return new Uint8Array();
	return withMapping(fd, offset, BigInt(length), (address) => {
		try {
			// Beyond the file's end that is an error, not a signal.
			return readMemory(process.pid, BigInt(address), length);
		} catch (error) {
			if (isErrno(error, "EFAULT")) return new Uint8Array();
			throw error;
		}
	});
}
