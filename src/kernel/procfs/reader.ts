// SPDX-License-Identifier: GPL-2.0-only
// Reads /proc files into one reused buffer, and turns errors of node:fs into KernelError.

import { CriuError, KernelError } from "../../errors.ts";
import { syscall } from "../../sys/host.ts";
import { errnoNumber } from "../abi/errno.ts";
import { AT_FDCWD, O_CLOEXEC, O_RDONLY } from "../abi/fcntl.ts";
import { SYS_close, SYS_openat, SYS_read } from "../abi/syscalls.x86_64.ts";

/** Where proc is mounted, unless the caller knows another mount of it. */
export const PROC_ROOT = "/proc";

const FIRST_SIZE = 256 * 1024;
/** With less room the kernel would have to cut what it has to tell. */
const LEAST_READ = 8192;
/** No file of /proc that we read can honestly be larger: 2^20 VMAs of smaps. */
const MAX_SIZE = 1 << 30;

let buffer = new Uint8Array(0);

/** The KernelError that an error thrown by node:fs stands for; anything else comes back as it is. */
export function asKernelError(error: unknown, what: string): unknown {
	if (!(error instanceof Error) || error instanceof CriuError) return error;
	const { errno, syscall, code } = error as NodeJS.ErrnoException;
	if (typeof errno === "number" && errno !== 0) return new KernelError(syscall ?? "open", Math.abs(errno), what);
	if (typeof code !== "string" || !/^E[A-Z0-9]+$/.test(code)) return error;
	try {
		return new KernelError(syscall ?? "open", errnoNumber(code), what);
	} catch {
		return error;
	}
}

/** Runs one operation of node:fs. @throws KernelError naming `what` when it fails. */
export function withKernelErrors<T>(what: string, run: () => T): T {
	try {
		return run();
	} catch (error) {
		throw asKernelError(error, what);
	}
}

/** Reads an open file from where it stands to its end. The view is valid until the next read. @throws KernelError */
export function readProcFd(fd: number, what: string): Uint8Array {
	if (buffer.length === 0) buffer = new Uint8Array(FIRST_SIZE);
	let length = 0;
	for (;;) {
		if (length === buffer.length) growBuffer(what);
		const count = syscall(SYS_read, fd, buffer.subarray(length), buffer.length - length);
		if (count < 0) throw new KernelError("read", -count, what);
		if (count === 0) return buffer.subarray(0, length);
		length += count;
	}
}

function growBuffer(what: string): void {
	if (buffer.length >= MAX_SIZE)
		throw new CriuError("PROC_PARSE", `cannot parse ${what}: it is larger than ${MAX_SIZE} bytes`);
	// In large steps: each one is fresh memory, which costs more than the reading.
	const larger = new Uint8Array(buffer.length * 4);
	larger.set(buffer);
	buffer = larger;
}

/**
 * The whole content of a /proc file as a view into one reused buffer: valid until the next read by this module, so parse or
 * copy it before. @throws KernelError: ENOENT or ESRCH when the task is gone, EACCES or EPERM without the right to look.
 */
export function readProcFile(path: string): Uint8Array {
	const fd = syscall(SYS_openat, AT_FDCWD, Buffer.from(`${path}\0`), O_RDONLY | O_CLOEXEC);
	if (fd < 0) throw new KernelError("open", -fd, path);
	try {
		return readProcFd(fd, path);
	} finally {
		syscall(SYS_close, fd);
	}
}

/**
 * Gives a /proc file in pieces: large ones needn't be held as a whole. A piece ends with a line that begins with what follows the newline in
 * `lastLine`, or with the file, and is valid only while it's taken. @throws KernelError as readProcFile
 */
export function readProcParts(path: string, lastLine: string, take: (bytes: Uint8Array) => void): void {
	const fd = syscall(SYS_openat, AT_FDCWD, Buffer.from(`${path}\0`), O_RDONLY | O_CLOEXEC);
	if (fd < 0) throw new KernelError("open", -fd, path);
	try {
		if (buffer.length === 0) buffer = new Uint8Array(FIRST_SIZE);
		let length = 0;
		for (;;) {
			if (buffer.length - length < LEAST_READ) {
				const bytes = Buffer.from(buffer.buffer, buffer.byteOffset, length);
				const line = bytes.lastIndexOf(lastLine);
				const end = line < 0 ? 0 : bytes.indexOf("\n", line + 1) + 1;
				if (end === 0) growBuffer(path);
				else {
					take(bytes.subarray(0, end));
					buffer.copyWithin(0, end, length);
					length -= end;
				}
			}
			const count = syscall(SYS_read, fd, buffer.subarray(length), buffer.length - length);
			if (count < 0) throw new KernelError("read", -count, path);
			if (count === 0) break;
			length += count;
		}
		if (length > 0) take(buffer.subarray(0, length));
	} finally {
		syscall(SYS_close, fd);
	}
}

/** Like readProcFile, but undefined on ENOENT: this kernel has no such file, or the task is gone. @throws KernelError */
export function findProcFile(path: string): Uint8Array | undefined {
	try {
		return readProcFile(path);
	} catch (error) {
		if (error instanceof KernelError && error.code === "ENOENT") return undefined;
		throw error;
	}
}
