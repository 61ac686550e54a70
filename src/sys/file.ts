// SPDX-License-Identifier: GPL-2.0-only
// Files by path bytes and descriptors: what node:fs can't do (paths that aren't UTF-8, *at calls, flags of its own).

import { KernelError } from "../errors.ts";
import { F_SETFD, FD_CLOEXEC } from "../kernel/abi/fcntl.ts";
import * as nr from "../kernel/abi/syscalls.x86_64.ts";
import { mustSyscall, syscall } from "./host.ts";

const AT_FDCWD = -100;
const O_CLOEXEC = 0o2000000;
const AT_EMPTY_PATH = 0x1000;
const AT_SYMLINK_NOFOLLOW = 0x100;
const STATX_BASIC_STATS = 0x7ff;
const EMPTY = new Uint8Array(1);
const STATX_MODE = 0x1c;
const STATX_SIZE = 0x28;
/** One for all calls. */
const statxRoom = new DataView(new ArrayBuffer(256));
/** Links in /proc are no longer than a page. */
const linkRoom = new Uint8Array(8192);

/** A path with its terminating NUL. @throws TypeError when it holds a NUL itself. */
export function toCString(path: string | Uint8Array): Uint8Array {
	encoder ??= new TextEncoder();
	const bytes = typeof path === "string" ? encoder.encode(path) : path;
	if (bytes.includes(0)) throw new TypeError("a path with a NUL byte");
	const out = new Uint8Array(bytes.length + 1);
	out.set(bytes);
	return out;
}

const pathRoom = new Uint8Array(4352);

/** The same in a place that the next path takes: a fresh array that's passed by address costs more than most calls. */
function placePath(path: string | Uint8Array): Uint8Array {
	encoder ??= new TextEncoder();
	const bytes = typeof path === "string" ? encoder.encode(path) : path;
	if (bytes.length >= pathRoom.length || bytes.includes(0)) return toCString(bytes);
	pathRoom.set(bytes);
	pathRoom[bytes.length] = 0;
	return pathRoom;
}

let encoder: TextEncoder | undefined;
let decoder: TextDecoder | undefined;
/** Letters that aren't shown as they are. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it's these that are looked for
const ODD = /[\x00-\x1f\x7f\ufffd]/;

/** A path for messages: control characters and what isn't UTF-8 are shown as escapes. */
export function showPath(path: string | Uint8Array): string {
	decoder ??= new TextDecoder();
	const text = typeof path === "string" ? path : decoder.decode(path);
	if (!ODD.test(text)) return text;
	let shown = "";
	for (const char of text) {
		const code = char.charCodeAt(0);
		const odd = code < 0x20 || code === 0x7f || code === 0xfffd;
		shown += odd ? `\\x${code.toString(16).padStart(2, "0")}` : char;
	}
	return shown;
}

/** Opens with close-on-exec, relative to `dirFd` where given. @throws KernelError */
export function openAt(path: string | Uint8Array, flags: number, mode = 0, dirFd: number = AT_FDCWD): number {
	const fd = syscall(nr.SYS_openat, dirFd, placePath(path), flags | O_CLOEXEC, mode);
	if (fd < 0) throw new KernelError("openat", -fd, `of ${showPath(path)}`);
	return fd;
}

/** Keeps a descriptor that we were given from programs that we start. @throws KernelError */
export function setCloseOnExec(fd: number): void {
	mustSyscall(`of fd ${fd}`, nr.SYS_fcntl, fd, F_SETFD, FD_CLOEXEC);
}

/** Closes a descriptor; errors are of no use to anybody here. */
export function closeFd(fd: number): void {
	syscall(nr.SYS_close, fd);
}

/** A descriptor that closes at the end of its scope. */
export function scopedFd(fd: number): { fd: number; [Symbol.dispose](): void } {
	return { fd, [Symbol.dispose]: () => closeFd(fd) };
}

/** Reads a symbolic link as bytes. @throws KernelError */
export function readLinkAt(path: string | Uint8Array, dirFd: number = AT_FDCWD): Uint8Array {
	const length = syscall(nr.SYS_readlinkat, dirFd, placePath(path), linkRoom, linkRoom.length);
	if (length < 0) throw new KernelError("readlinkat", -length, `of ${showPath(path)}`);
	return linkRoom.slice(0, length);
}

/** What statx(2) tells; device numbers are split as the kernel splits them. */
export interface FileStat {
	mode: number;
	nlink: number;
	uid: number;
	gid: number;
	ino: bigint;
	size: bigint;
	/** 512-byte units. */
	blocks: bigint;
	devMajor: number;
	devMinor: number;
	rdevMajor: number;
	rdevMinor: number;
	atime: { sec: bigint; nsec: number };
	mtime: { sec: bigint; nsec: number };
}

/** The `struct statx` at an offset of a view. */
export function decodeStatx(view: DataView, at = 0): FileStat {
	return {
		nlink: view.getUint32(at + 0x10, true),
		uid: view.getUint32(at + 0x14, true),
		gid: view.getUint32(at + 0x18, true),
		mode: view.getUint16(at + 0x1c, true),
		ino: view.getBigUint64(at + 0x20, true),
		size: view.getBigUint64(at + 0x28, true),
		blocks: view.getBigUint64(at + 0x30, true),
		atime: { sec: view.getBigInt64(at + 0x40, true), nsec: view.getUint32(at + 0x48, true) },
		mtime: { sec: view.getBigInt64(at + 0x70, true), nsec: view.getUint32(at + 0x78, true) },
		rdevMajor: view.getUint32(at + 0x80, true),
		rdevMinor: view.getUint32(at + 0x84, true),
		devMajor: view.getUint32(at + 0x88, true),
		devMinor: view.getUint32(at + 0x8c, true),
	};
}

/** Status of what a descriptor refers to. @throws KernelError */
export function statFd(fd: number): FileStat {
	const ret = syscall(nr.SYS_statx, fd, EMPTY, AT_EMPTY_PATH, STATX_BASIC_STATS, statxRoom);
	if (ret < 0) throw new KernelError("statx", -ret, `of fd ${fd}`);
	return decodeStatx(statxRoom);
}

/** Status of a path, following symbolic links unless told otherwise. @throws KernelError */
export function statPath(path: string | Uint8Array, options: { follow?: boolean; dirFd?: number } = {}): FileStat {
	const flags = options.follow === false ? AT_SYMLINK_NOFOLLOW : 0;
	fillStatx(options.dirFd ?? AT_FDCWD, path, flags);
	return decodeStatx(statxRoom);
}

function fillStatx(dirFd: number, path: string | Uint8Array, flags: number): void {
	const ret = syscall(nr.SYS_statx, dirFd, placePath(path), flags, STATX_BASIC_STATS, statxRoom);
	if (ret < 0) throw new KernelError("statx", -ret, `of ${showPath(path)}`);
}

/** The same, but only type and size, for many files. @throws KernelError */
export function lookAtPath(path: Uint8Array, follow: boolean): Pick<FileStat, "mode" | "size"> {
	fillStatx(AT_FDCWD, path, follow ? 0 : AT_SYMLINK_NOFOLLOW);
	return { mode: statxRoom.getUint16(STATX_MODE, true), size: statxRoom.getBigUint64(STATX_SIZE, true) };
}

/** Reads up to `length` bytes at an offset; short only at the end of the file. @throws KernelError */
export function readAt(fd: number, length: number, offset: number | bigint): Uint8Array {
	const buffer = new Uint8Array(length);
	let done = 0;
	while (done < length) {
		const got = mustSyscall(
			`of fd ${fd}`,
			nr.SYS_pread64,
			fd,
			buffer.subarray(done),
			length - done,
			BigInt(offset) + BigInt(done),
		);
		if (got === 0) break;
		done += got;
	}
	return done === length ? buffer : buffer.subarray(0, done);
}

/** Writes all bytes at the descriptor's own position. @throws KernelError */
export function writeAll(fd: number, bytes: Uint8Array): void {
	for (let at = 0; at < bytes.length; )
		at += mustSyscall(`of fd ${fd}`, nr.SYS_write, fd, bytes.subarray(at), bytes.length - at);
}

/** Writes a short text to an existing file such as those of /proc. @throws KernelError */
export function writeFileText(path: string, text: string): void {
	using file = scopedFd(openAt(path, 1));
	writeAll(file.fd, new TextEncoder().encode(text));
}
