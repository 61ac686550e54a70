// SPDX-License-Identifier: GPL-2.0-only
// Names of unix sockets, dump half: what a socket was bound to and where its file is now. The kernel keeps the name as the
// program gave it, and hands out the file itself. Source: unix(7), net/unix/af_unix.c SIOCUNIXFILE.

import { readdirSync } from "node:fs";
import { KernelError } from "../../errors.ts";
import { SIOCUNIXFILE } from "../../kernel/abi/socket.ts";
import { SYS_ioctl } from "../../kernel/abi/syscalls.x86_64.ts";
import type { UnixDiag } from "../../kernel/netlink/unix-diag.ts";
import { log } from "../../log.ts";
import { closeFd, type FileStat, readLinkAt, statFd, statPath } from "../../sys/file.ts";
import { syscall } from "../../sys/host.ts";
import { concatBytes, locateFile, rootPrefix } from "../file/file-path.ts";
import type { DumpContext, FdFacts } from "../kind.ts";

const SLASH = 0x2f;
const DOT = 0x2e;
/** More aren't looked at: tasks stand still meanwhile. */
const MAX_NAMES = 10_000;
const SEPARATOR = new Uint8Array([SLASH]);

/** A name in the file system. */
export interface SocketPath {
	/** Of the socket's file. */
	readonly stat: FileStat;
	/** The file has lost the name by which it's known. */
	readonly deleted: boolean;
	/** Of a relative name: what it's relative to; undefined when that can't be told. */
	readonly dir: Uint8Array | undefined;
	/** Where the file is, when the name doesn't lead there. */
	readonly filePath: Uint8Array | undefined;
	/** The file is out of reach: below another mount or in another mount namespace. */
	readonly unreachable: boolean;
}

/** The path in a sun_path: what's before its NUL. Abstract and empty names have none. */
export function pathOfName(name: Uint8Array | undefined): Uint8Array | undefined {
	if (name === undefined || name.length === 0 || name[0] === 0) return undefined;
	const end = name.indexOf(0);
	return end < 0 ? name : name.subarray(0, end);
}

function endsWith(bytes: Uint8Array, end: Uint8Array): boolean {
	const from = bytes.length - end.length;
	return from >= 0 && end.every((byte, i) => bytes[from + i] === byte);
}

/** A relative path without the steps that lead nowhere. */
function withoutDots(path: Uint8Array): Uint8Array {
	let from = 0;
	while (path[from] === DOT && path[from + 1] === SLASH) {
		from += 2;
		while (path[from] === SLASH) from++;
	}
	return path.subarray(from);
}

/** The directory that a relative path starts from, by where it leads; undefined when that doesn't end with it. */
export function cutName(full: Uint8Array, path: Uint8Array): Uint8Array | undefined {
	const end = concatBytes(SEPARATOR, withoutDots(path));
	if (!endsWith(full, end)) return undefined;
	const dir = full.slice(0, full.length - end.length);
	return dir.length === 0 ? SEPARATOR : dir;
}

function dirname(path: Uint8Array): Uint8Array {
	const at = path.lastIndexOf(SLASH);
	return at <= 0 ? SEPARATOR : path.slice(0, at);
}

/** Finds out about the name of a socket; undefined when it has none in the file system. @throws KernelError */
export function readSocketPath(file: FdFacts, diag: UnixDiag, context: DumpContext): SocketPath | undefined {
	const path = pathOfName(diag.name);
	if (path === undefined) return undefined;
	const fd = syscall(SYS_ioctl, file.ownFd, SIOCUNIXFILE, 0);
	if (fd < 0)
		throw new KernelError("ioctl", -fd, `SIOCUNIXFILE of fd ${file.fd}`, {
			remedy: "run criu as root (CAP_NET_ADMIN)",
		});
	try {
		const link = readLinkAt(`/proc/self/fd/${fd}`);
		const stat = statFd(fd);
		return locatePath(file, path, link, stat, context);
	} finally {
		closeFd(fd);
	}
}

function locatePath(
	file: FdFacts,
	path: Uint8Array,
	link: Uint8Array,
	stat: FileStat,
	context: DumpContext,
): SocketPath {
	const { task } = file;
	const { state, name: full } = locateFile({ task, link, stat }, context);
	const isAbsolute = path[0] === SLASH;
	const base = { stat, deleted: false, dir: undefined, filePath: undefined, unreachable: false };
	if (state === "unreachable") return { ...base, unreachable: true };
	const cut = isAbsolute ? undefined : cutName(full, path);
	if (state !== "there") {
		const dir = isAbsolute ? undefined : (cut ?? dirname(full));
		return { ...base, deleted: true, dir, filePath: findOtherName(file, dirname(full), stat, context) };
	}
	const leads = isAbsolute ? leadsTo(path, file, stat, context) : cut !== undefined;
	if (leads) return { ...base, dir: cut };
	return { ...base, dir: isAbsolute ? undefined : dirname(full), filePath: full };
}

/**
 * Another name of a file that has lost the one by which it's known, in the same directory: programs link a socket's file to its
 * final name and remove the first one, so that it appears in one step. Elsewhere it isn't looked for.
 */
function findOtherName(
	{ fd, task }: FdFacts,
	dir: Uint8Array,
	stat: FileStat,
	context: DumpContext,
): Uint8Array | undefined {
	if (stat.nlink === 0) return undefined;
	const base = dir.length === 1 ? dir : concatBytes(dir, SEPARATOR);
	const prefix = rootPrefix(task, context);
	for (const name of listNames(concatBytes(prefix, dir)).slice(0, MAX_NAMES)) {
		const path = concatBytes(base, name);
		if (isFile(concatBytes(prefix, path), stat)) return path;
	}
	log.warn(
		`pid ${task.pid}: the file of socket fd ${fd} has ${stat.nlink} other names somewhere: none of them will lead to it after a restore`,
	);
	return undefined;
}

function listNames(dir: Uint8Array): Uint8Array[] {
	try {
		return readdirSync(Buffer.from(dir), { encoding: "buffer" }) as unknown as Uint8Array[];
	} catch {
		// Gone with all that was in it, or nobody's to read.
		return [];
	}
}

function isFile(path: Uint8Array, stat: FileStat): boolean {
	try {
		const found = statPath(path, { follow: false });
		return found.ino === stat.ino && found.devMajor === stat.devMajor && found.devMinor === stat.devMinor;
	} catch (error) {
		if (error instanceof KernelError) return false;
		throw error;
	}
}

/** Whether an absolute name leads to the file, also through symbolic links. */
function leadsTo(path: Uint8Array, { task }: FdFacts, stat: FileStat, context: DumpContext): boolean {
	try {
		const found = statPath(concatBytes(rootPrefix(task, context), path));
		return found.ino === stat.ino && found.devMajor === stat.devMajor && found.devMinor === stat.devMinor;
	} catch (error) {
		if (error instanceof KernelError) return false;
		throw error;
	}
}
