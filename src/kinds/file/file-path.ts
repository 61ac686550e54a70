// SPDX-License-Identifier: GPL-2.0-only
// Does the path that the kernel shows for an open file still lead to it? If not: is the file gone, or only renamed or hidden?

import { isErrno } from "../../errors.ts";
import { S_IFBLK, S_IFCHR, S_IFMT } from "../../kernel/abi/stat.ts";
import { Statfs } from "../../kernel/abi/stat.x86_64.ts";
import { SYS_fstatfs } from "../../kernel/abi/syscalls.x86_64.ts";
import { readNamespace } from "../../kernel/procfs/links.ts";
import { type MountFacts, readMountinfo } from "../../kernel/procfs/mountinfo.ts";
import { type FileStat, statPath } from "../../sys/file.ts";
import { syscall } from "../../sys/host.ts";
import type { DumpContext, DumpedTask } from "../kind.ts";

const DELETED = new TextEncoder().encode(" (deleted)");
const PROC = new TextEncoder().encode("/proc/");
const SLASH = 0x2f;

/** A file that a task refers to: by descriptor, mapping, exe, cwd or root. */
export interface NamedFile {
	readonly task: DumpedTask;
	/** The text of its link in /proc. */
	readonly link: Uint8Array;
	readonly stat: FileStat;
	/** A descriptor of ours for it, O_PATH is enough. */
	readonly ownFd: number;
	/** Id of its mount, where known. */
	readonly mntId?: number;
	/** Known already: the text of the link, as a path, leads to it. */
	readonly isAtPath?: boolean | undefined;
}

/** The type of the file system that a file lies on, a *_MAGIC; undefined when it doesn't tell. Source: statfs(2). */
export function fileSystemOf({ stat, ownFd }: NamedFile, context: Pick<DumpContext, "once">): bigint | undefined {
	return context.once(`file-system:${stat.devMajor}:${stat.devMinor}`, () => {
		const buffer = new Uint8Array(Statfs.size);
		if (syscall(SYS_fstatfs, ownFd, buffer) < 0) return undefined;
		return Statfs.read(new DataView(buffer.buffer), 0).f_type;
	});
}

/**
 * - there: the name leads to the file
 * - gone: it has no name any more
 * - renamed: it has names, but this isn't one
 * - unreachable: no path leads there in this mount namespace
 */
export interface FileLocation {
	readonly state: "there" | "gone" | "renamed" | "unreachable";
	/** Without the kernel's " (deleted)". */
	readonly name: Uint8Array;
}

type LocateContext = Pick<DumpContext, "once"> & Partial<Pick<DumpContext, "options">>;

function endsWith(bytes: Uint8Array, end: Uint8Array): boolean {
	const from = bytes.length - end.length;
	return from >= 0 && end.every((byte, i) => bytes[from + i] === byte);
}

export function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
	return bytes.length >= start.length && start.every((byte, i) => bytes[i] === byte);
}

/** True for paths below /proc, whose content depends on who looks. */
export function isProcPath(name: Uint8Array): boolean {
	return startsWith(name, PROC);
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
	const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
	let at = 0;
	for (const part of parts) {
		out.set(part, at);
		at += part.length;
	}
	return out;
}

/** What goes before a task's paths to reach them from here: nothing, or its root when it has mounts of its own. */
export function rootPrefix(task: DumpedTask, context: LocateContext): Uint8Array {
	return context.once(`root-prefix:${task.pid}`, () => {
		const isOwn = readNamespace(task.pid, "mnt") === readNamespace("self", "mnt");
		return new TextEncoder().encode(isOwn ? "" : `/proc/${task.pid}/root`);
	});
}

/** True when a path, taken literally, leads to the file. The kernel's paths have no symbolic links in them. */
function leadsTo(path: Uint8Array, stat: FileStat): boolean {
	try {
		const found = statPath(path, { follow: false });
		return (
			found.ino === stat.ino &&
			found.devMajor === stat.devMajor &&
			found.devMinor === stat.devMinor &&
			(found.mode & S_IFMT) === (stat.mode & S_IFMT)
		);
	} catch (error) {
		if (isErrno(error, "ENOENT", "ENOTDIR", "EACCES", "ELOOP", "ENAMETOOLONG", "ESTALE")) return false;
		throw error;
	}
}

/** True when another node of the same device is at a path (--evasive-devices). */
function isSameDevice(path: Uint8Array, stat: FileStat): boolean {
	const type = stat.mode & S_IFMT;
	if (type !== S_IFCHR && type !== S_IFBLK) return false;
	try {
		const found = statPath(path);
		const isSameNumber = found.rdevMajor === stat.rdevMajor && found.rdevMinor === stat.rdevMinor;
		return isSameNumber && (found.mode & S_IFMT) === type;
	} catch (error) {
		if (isErrno(error, "ENOENT", "ENOTDIR", "EACCES", "ELOOP", "ENAMETOOLONG", "ESTALE")) return false;
		throw error;
	}
}

/** Finds out where a file is. @throws KernelError */
export function locateFile(file: Omit<NamedFile, "ownFd">, context: LocateContext): FileLocation {
	const { link, stat, isAtPath = false } = file;
	if (isAtPath) return { state: "there", name: link };
	if (link[0] !== SLASH) return { state: "unreachable", name: link };
	const prefix = rootPrefix(file.task, context);
	if (leadsTo(concatBytes(prefix, link), stat)) return { state: "there", name: link };
	const name = endsWith(link, DELETED) ? link.slice(0, -DELETED.length) : link;
	if (stat.nlink === 0) return { state: "gone", name };
	if (name !== link && leadsTo(concatBytes(prefix, name), stat)) return { state: "there", name };
	if (context.options?.evasiveDevices && isSameDevice(concatBytes(prefix, name), stat)) return { state: "there", name };
	return { state: "renamed", name };
}

/** The mount that a path leads into: the last one mounted on the longest part of it. */
export function findMountOf(mounts: readonly MountFacts[], path: Uint8Array): MountFacts | undefined {
	let best: MountFacts | undefined;
	for (const mount of mounts) {
		const { mountpoint } = mount;
		const isRoot = mountpoint.length === 1;
		const covers = startsWith(path, mountpoint) && (isRoot || [undefined, SLASH].includes(path[mountpoint.length]));
		if (covers && (best === undefined || mountpoint.length >= best.mountpoint.length)) best = mount;
	}
	return best;
}

function mountsOf({ task }: NamedFile, context: LocateContext): readonly MountFacts[] {
	return context.once(`mountinfo:${task.pid}`, () => readMountinfo(task.pid));
}

/** True when the file system of a file is mounted nowhere any more. */
export function isUnmounted(file: NamedFile, context: LocateContext): boolean {
	const { mntId = -1 } = file;
	return mntId >= 0 && !mountsOf(file, context).some((mount) => mount.mntId === mntId);
}

/** True when another mount hides the path of a file. */
export function isOvermounted(file: NamedFile, name: Uint8Array, context: DumpContext): boolean {
	if (file.mntId === undefined || file.mntId < 0) return false;
	const mounts = mountsOf(file, context);
	const found = findMountOf(mounts, name);
	return found !== undefined && found.mntId !== file.mntId && mounts.some((mount) => mount.mntId === file.mntId);
}
