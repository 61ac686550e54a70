// SPDX-License-Identifier: GPL-2.0-only
// The magic links of /proc/PID: fd/N, exe, cwd, root, ns/*, map_files/*. Their text is raw bytes; stat goes through them to the
// object itself.

import { type BigIntStats, readdirSync, statSync } from "node:fs";
import { KernelError } from "../../errors.ts";
import { statPath } from "../../sys/file.ts";
import { syscall } from "../../sys/host.ts";
import { errnoNumber } from "../abi/errno.ts";
import { AT_FDCWD, O_RDONLY, O_RDWR, O_WRONLY } from "../abi/fcntl.ts";
import type { NamespaceName } from "../abi/namespaces.ts";
import { SYS_readlinkat } from "../abi/syscalls.x86_64.ts";
import { asciiText, procParseError } from "./parse.ts";
import { PROC_ROOT, withKernelErrors } from "./reader.ts";

/** What stat(2) tells of the object behind a link; devices in the user encoding (devices.ts). */
export interface LinkStat {
	dev: bigint;
	ino: bigint;
	/** Type and permission bits (S_IF* of stat.ts). */
	mode: number;
	nlink: bigint;
	uid: number;
	gid: number;
	rdev: bigint;
	size: bigint;
	blocks: bigint;
	blksize: bigint;
	atimeNs: bigint;
	mtimeNs: bigint;
	ctimeNs: bigint;
}

export type MagicLink = "exe" | "cwd" | "root";

const ENAMETOOLONG = errnoNumber("ENAMETOOLONG");
/** Room for the longest text: a path, and what the kernel adds. */
const linkText = new Uint8Array(8192);

/** The text of a link, raw. @throws KernelError: ENOENT when the task, the descriptor or (exe) the memory is gone. */
export function readLink(path: string): Uint8Array {
	const length = syscall(SYS_readlinkat, AT_FDCWD, Buffer.from(`${path}\0`), linkText, linkText.length);
	if (length === -ENAMETOOLONG)
		throw new KernelError("readlink", -length, `of ${path}: the kernel tells no path of more than 4096 bytes`, {
			remedy: "rename folders that the path goes through, or close the file in the program first",
		});
	if (length < 0) throw new KernelError("readlink", -length, path);
	return linkText.slice(0, length);
}

/** The object behind a link, also when its path is gone. @throws KernelError */
export function statLink(path: string): LinkStat {
	return linkStat(withKernelErrors(path, () => statSync(path, { bigint: true })));
}

function linkStat(st: BigIntStats): LinkStat {
	return {
		dev: st.dev,
		ino: st.ino,
		mode: Number(st.mode),
		nlink: st.nlink,
		uid: Number(st.uid),
		gid: Number(st.gid),
		rdev: st.rdev,
		size: st.size,
		blocks: st.blocks,
		blksize: st.blksize,
		atimeNs: st.atimeNs,
		mtimeNs: st.mtimeNs,
		ctimeNs: st.ctimeNs,
	};
}

/** Path of the link of a descriptor. */
export function fdLinkPath(pid: number | "self", fd: number, procRoot = PROC_ROOT): string {
	return `${procRoot}/${pid}/fd/${fd}`;
}

/** What a descriptor's link says: a path, `pipe:[123]`, `socket:[123]`, `anon_inode:[eventfd]`, … @throws KernelError */
export function readFdLink(pid: number | "self", fd: number, procRoot = PROC_ROOT): Uint8Array {
	return readLink(fdLinkPath(pid, fd, procRoot));
}

/** The object that a descriptor has open. @throws KernelError */
export function statFd(pid: number | "self", fd: number, procRoot = PROC_ROOT): LinkStat {
	return statLink(fdLinkPath(pid, fd, procRoot));
}

/** The text of /proc/PID/exe, cwd or root. @throws KernelError */
export function readMagicLink(pid: number | "self", link: MagicLink, procRoot = PROC_ROOT): Uint8Array {
	return readLink(`${procRoot}/${pid}/${link}`);
}

/** The object behind /proc/PID/exe, cwd or root. @throws KernelError */
export function statMagicLink(pid: number | "self", link: MagicLink, procRoot = PROC_ROOT): LinkStat {
	return statLink(`${procRoot}/${pid}/${link}`);
}

/** The inode of a namespace link's text, `net:[4026531840]`. @throws CriuError PROC_PARSE */
export function parseNamespaceLink(text: Uint8Array, file = "ns"): bigint {
	const match = /^[a-z_]+:\[(\d{1,20})\]$/.exec(asciiText(text));
	if (match?.[1] === undefined) throw procParseError(file, "it is not a namespace link");
	return BigInt(match[1]);
}

/** The inode of a task's namespace; `pid_for_children` and `time_for_children` are taken too. @throws KernelError */
export function readNamespace(
	pid: number | "self",
	name: NamespaceName | "pid_for_children" | "time_for_children",
	procRoot = PROC_ROOT,
): bigint {
	const path = `${procRoot}/${pid}/ns/${name}`;
	return parseNamespaceLink(readLink(path), path);
}

/** Path of the map_files link of a VMA. */
export function mapFilePath(pid: number | "self", start: bigint, end: bigint, procRoot = PROC_ROOT): string {
	return `${procRoot}/${pid}/map_files/${start.toString(16)}-${end.toString(16)}`;
}

/** The names in map_files, `start-end` in hex: VMAs that have a file. Needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE to follow. */
export function listMapFiles(pid: number | "self", procRoot = PROC_ROOT): { start: bigint; end: bigint }[] {
	const path = `${procRoot}/${pid}/map_files`;
	return withKernelErrors(path, () => readdirSync(path)).map((name) => {
		const match = /^([0-9a-f]{1,16})-([0-9a-f]{1,16})$/.exec(name);
		if (match === null) throw procParseError(path, "an entry is not a range");
		return { start: BigInt(`0x${match[1]}`), end: BigInt(`0x${match[2]}`) };
	});
}

/**
 * How a link's object was opened, O_RDONLY, O_WRONLY or O_RDWR: the permission bits of the link itself tell. Works for fd/N and
 * map_files/*. @throws KernelError
 */
export function readLinkAccess(path: string): number {
	const { mode } = statPath(path, { follow: false });
	const readable = (mode & 0o400) !== 0;
	const writable = (mode & 0o200) !== 0;
	return writable ? (readable ? O_RDWR : O_WRONLY) : O_RDONLY;
}
