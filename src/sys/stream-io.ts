// SPDX-License-Identifier: GPL-2.0-only
// Pipes and sockets as streams of bytes: all of it, whether or not somebody has made them non-blocking. Source: pipe(7), splice(2).

import { KernelError } from "../errors.ts";
import { errnoNumber } from "../kernel/abi/errno.ts";
import { POLLIN, POLLOUT } from "../kernel/abi/event-files.ts";
import { F_DUPFD_CLOEXEC, F_GETFL, F_SETPIPE_SZ, O_NONBLOCK } from "../kernel/abi/fcntl.ts";
import { FIONREAD, TCGETS } from "../kernel/abi/ioctl.ts";
import { MFD_CLOEXEC } from "../kernel/abi/mman.ts";
import { S_IFIFO, S_IFMT } from "../kernel/abi/stat.ts";
import * as nr from "../kernel/abi/syscalls.x86_64.ts";
import { openAt, readAt, statFd, toCString } from "./file.ts";
import { mustSyscall, noteProgress, syscall } from "./host.ts";
import { pollFds } from "./poll.ts";

const EINTR = errnoNumber("EINTR");
const EAGAIN = errnoNumber("EAGAIN");
const EIO = errnoNumber("EIO");
const PIECE = 1 << 20;
/** What memfd_create(2) takes, less what it adds. */
const MAX_NAME = 200;

/** Waits when that is what a call asks for; false for any other failure. */
function awaitAgain(ret: number, fd: number, events: number): boolean {
	if (ret === -EAGAIN) pollFds([{ fd, events }], -1);
	return ret === -EAGAIN || ret === -EINTR;
}

/** Writes all bytes, in their order. @throws KernelError */
export function writeStream(fd: number, bytes: Uint8Array): void {
	for (let at = 0; at < bytes.length; ) {
		const ret = syscall(nr.SYS_write, fd, bytes.subarray(at), bytes.length - at);
		if (ret > 0) at += ret;
		else if (!awaitAgain(ret, fd, POLLOUT)) throw new KernelError("write", ret === 0 ? EIO : -ret, "to a pipe");
	}
}

/** Reads until the bytes are full; gives how many came before the end. @throws KernelError */
export function readStream(fd: number, bytes: Uint8Array): number {
	let at = 0;
	while (at < bytes.length) {
		const ret = syscall(nr.SYS_read, fd, bytes.subarray(at), bytes.length - at);
		if (ret === 0) break;
		if (ret > 0) at += ret;
		else if (!awaitAgain(ret, fd, POLLIN)) throw new KernelError("read", -ret, "of a pipe");
	}
	return at;
}

/**
 * Copies a part of a file to a stream. Unlike what splice(2) and sendfile(2) move, it's the stream's own: later changes of the file
 * don't show.
 *
 * @throws KernelError also when the file is shorter
 */
export function copyToStream(from: number, start: bigint, to: number, length: bigint): void {
	for (let done = 0n; done < length; ) {
		const left = length - done;
		const bytes = readAt(from, left < PIECE ? Number(left) : PIECE, start + done);
		if (bytes.length === 0) throw new KernelError("pread64", EIO, "of a file: it shrank meanwhile");
		writeStream(to, bytes);
		done += BigInt(bytes.length);
		noteProgress(bytes.length, 0);
	}
}

/** Moves bytes of a pipe to the position of a file; fewer at the pipe's end. Gives how many. @throws KernelError */
export function spliceToFile(pipe: number, file: number, length: number): number {
	let done = 0;
	while (done < length) {
		const ret = syscall(nr.SYS_splice, pipe, 0, file, 0, Math.min(length - done, 1 << 30), 0);
		if (ret === 0) break;
		if (ret > 0) done += ret;
		else if (!awaitAgain(ret, pipe, POLLIN)) throw new KernelError("splice", -ret, "of a pipe");
	}
	return done;
}

/** How many bytes wait to be read in a pipe, by either of its ends. @throws KernelError */
export function countWaiting(fd: number): number {
	const bytes = new Int32Array(1);
	mustSyscall("of a pipe", nr.SYS_ioctl, fd, FIONREAD, bytes);
	return bytes[0] ?? 0;
}

/** A file in memory that has no name, close-on-exec. @throws KernelError */
export function makeMemoryFile(name: string): number {
	return mustSyscall(`of ${name}`, nr.SYS_memfd_create, toCString(name.slice(0, MAX_NAME)), MFD_CLOEXEC);
}

/** Moves bytes of a stream to the position of a file, inside the kernel where it's a pipe. Gives how many came. @throws KernelError */
export function moveToFile(from: number, file: number, length: number): number {
	if (isPipe(from)) return spliceToFile(from, file, length);
	const buffer = new Uint8Array(Math.min(PIECE, length));
	for (let done = 0; ; ) {
		const part = buffer.subarray(0, Math.min(PIECE, length - done));
		const got = readStream(from, part);
		writeStream(file, part.subarray(0, got));
		done += got;
		if (done === length || got < part.length) return done;
	}
}

/** True for a pipe or FIFO. @throws KernelError */
export function isPipe(fd: number): boolean {
	return (statFd(fd).mode & S_IFMT) === S_IFIFO;
}

export function isNonBlocking(fd: number): boolean {
	return (mustSyscall(`of fd ${fd}`, nr.SYS_fcntl, fd, F_GETFL, 0) & O_NONBLOCK) !== 0;
}

/** True for a terminal. */
export function isTerminal(fd: number): boolean {
	return syscall(nr.SYS_ioctl, fd, TCGETS, new Uint8Array(64)) === 0;
}

/** Another name for the same description, close-on-exec. @throws KernelError */
export function duplicate(fd: number): number {
	return mustSyscall(`of fd ${fd}`, nr.SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3);
}

/** Gives a file its length. @throws KernelError */
export function setLength(fd: number, length: number): void {
	mustSyscall(`to ${length} bytes`, nr.SYS_ftruncate, fd, length);
}

/**
 * A descriptor of ours for a stream that we were given, close-on-exec and blocking; a pipe gets room for `pipeSize` bytes where
 * that's allowed. `flags`: O_RDONLY or O_WRONLY.
 *
 * @throws KernelError
 */
export function takeStream(fd: number, flags: number, pipeSize: number): number {
	if (!isPipe(fd)) return duplicate(fd);
	// A description of its own: what others set doesn't matter, and they don't notice us.
	const own = openAt(`/proc/self/fd/${fd}`, flags);
	widenPipe(own, pipeSize);
	return own;
}

/** Gives a pipe room for so many bytes, where that's allowed. */
export function widenPipe(fd: number, bytes: number): void {
	syscall(nr.SYS_fcntl, fd, F_SETPIPE_SZ, bytes);
}
