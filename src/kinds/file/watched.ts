// SPDX-License-Identifier: GPL-2.0-only
// What inotify and fanotify watch: the kernel tells inodes and file handles, images want paths.
// Source: proc_pid_fdinfo(5), open_by_handle_at(2).

import { AvoidableError, type CriuError, isErrno, PassingError } from "../../errors.ts";
import { fd_types } from "../../images/gen/fdinfo_pb.ts";
import type { fh_entry } from "../../images/gen/fsnotify_pb.ts";
import { fh_entrySchema } from "../../images/gen/fsnotify_pb.ts";
import { create } from "../../images/index.ts";
import { fromKernelDev, toKernelDev } from "../../kernel/abi/devices.ts";
import { encodeFileHandle, MAX_HANDLE_SZ } from "../../kernel/abi/event-files.ts";
import { AT_FDCWD, O_CLOEXEC, O_PATH } from "../../kernel/abi/fcntl.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import type { FileHandleFacts } from "../../kernel/procfs/fdinfo-kinds.ts";
import { readFdLink } from "../../kernel/procfs/links.ts";
import { type MountFacts, readMountinfo } from "../../kernel/procfs/mountinfo.ts";
import { log } from "../../log.ts";
import { type FileStat, openAt, scopedFd, statFd, statPath, toCString } from "../../sys/file.ts";
import { syscall } from "../../sys/host.ts";
import type { DumpContext, DumpedTask, FdFacts } from "../kind.ts";
import { nameFd } from "./anon-inode.ts";
import { concatBytes, locateFile, rootPrefix } from "./file-path.ts";
import { emptyFown } from "./fown.ts";
import { InodeMap } from "./irmap.ts";
import { collectFds } from "./open-files.ts";
import { encodeRegFile } from "./reg-dump.ts";
import { countUnread } from "./unread.ts";

const HANDLE_WORDS = MAX_HANDLE_SZ / 8;

/** A watched inode as fdinfo tells of it. */
export interface WatchedInode {
	readonly ino: bigint;
	/** Kernel encoding. */
	readonly sdev: number;
	readonly handle: FileHandleFacts | undefined;
}

/** Where a watched file is: at a path, nowhere (the link is its old name), or at a name that only its handle leads to. */
export type WatchPlace =
	| { readonly at: "path"; readonly path: Uint8Array }
	| { readonly at: "nowhere"; readonly task: DumpedTask; readonly link: Uint8Array; readonly open: () => number }
	| { readonly at: "handle" };

/** The mounts of a task that show a file system. */
export function mountsOf(task: DumpedTask, sdev: number, context: Pick<DumpContext, "once">): readonly MountFacts[] {
	const mounts = context.once(`mountinfo:${task.pid}`, () => readMountinfo(task.pid));
	const { major, minor } = fromKernelDev(sdev);
	return mounts.filter(({ devMajor, devMinor }) => devMajor === major && devMinor === minor);
}

/**
 * Opens a handle on the file system of a directory. That is entered, not opened: whoever watches it would hear of that.
 * Undefined when the file system can't, or has no such file.
 */
function openHandle(directory: Uint8Array, handle: FileHandleFacts): number | undefined {
	using cwd = scopedFd(openAt(".", O_PATH));
	if (syscall(nr.SYS_chdir, toCString(directory)) < 0) return undefined;
	const fd = syscall(
		nr.SYS_open_by_handle_at,
		AT_FDCWD,
		encodeFileHandle(handle.type, handle.bytes),
		O_PATH | O_CLOEXEC,
	);
	syscall(nr.SYS_fchdir, cwd.fd);
	return fd < 0 ? undefined : fd;
}

function findByHandle(inode: WatchedInode, task: DumpedTask, context: DumpContext): WatchPlace | undefined {
	const { handle, sdev } = inode;
	if (handle === undefined || handle.bytes.length > MAX_HANDLE_SZ) return undefined;
	let place: WatchPlace | undefined;
	for (const { mountpoint } of mountsOf(task, sdev, context)) {
		const directory = concatBytes(rootPrefix(task, context), mountpoint);
		const fd = openHandle(directory, handle);
		if (fd === undefined) continue;
		using file = scopedFd(fd);
		const link = readFdLink("self", file.fd);
		const stat = statFd(file.fd);
		const { state, name } = locateFile({ task, link, stat }, context);
		if (state === "there") return { at: "path", path: name };
		const open = () => openHandle(directory, handle) ?? -1;
		if (state === "gone") return { at: "nowhere", task, link, open };
		// Other mounts of it may show a path.
		place = { at: "handle" };
	}
	return place;
}

function matchesInode(stat: FileStat, { ino, sdev }: WatchedInode): boolean {
	return stat.ino === ino && toKernelDev(stat.devMajor, stat.devMinor) === sdev;
}

/** Looks among the files that the tree has open and its directories. */
function findInTree(inode: WatchedInode, context: DumpContext): WatchPlace | undefined {
	for (const task of context.tasks) {
		for (const { stat, link, ownFd } of collectFds(task, context)) {
			if (!matchesInode(stat, inode)) continue;
			const { state, name } = locateFile({ task, link, stat }, context);
			if (state === "there") return { at: "path", path: name };
			if (state === "gone") return { at: "nowhere", task, link, open: () => openAt(`/proc/self/fd/${ownFd}`, O_PATH) };
		}
		for (const magic of ["cwd", "root", "exe"] as const) {
			const path = `/proc/${task.pid}/${magic}`;
			try {
				const stat = statPath(path);
				if (!matchesInode(stat, inode)) continue;
				using file = scopedFd(openAt(path, O_PATH));
				const link = readFdLink("self", file.fd);
				const { state, name } = locateFile({ task, link, stat }, context);
				if (state === "there") return { at: "path", path: name };
				if (state === "gone") return { at: "nowhere", task, link, open: () => openAt(path, O_PATH) };
			} catch (error) {
				// A task without an executable.
				if (!isErrno(error, "ENOENT")) throw error;
			}
		}
	}
	return undefined;
}

function findByScan({ sdev, ino }: WatchedInode, task: DumpedTask, context: DumpContext): WatchPlace | undefined {
	const map = context.once(
		`irmap:${task.pid}`,
		() => new InodeMap(rootPrefix(task, context), context.options.irmapScanPaths),
	);
	const path = map.find(sdev, ino);
	return path === undefined ? undefined : { at: "path", path };
}

/** Where a watched file is; undefined when nothing leads there. Looked for once. */
export function findPlace(inode: WatchedInode, task: DumpedTask, context: DumpContext): WatchPlace | undefined {
	return context.once(`watched:${inode.sdev}:${inode.ino}`, () =>
		context.options.forceIrmap
			? (findByScan(inode, task, context) ?? findInTree(inode, context))
			: (findByHandle(inode, task, context) ?? findInTree(inode, context) ?? findByScan(inode, task, context)),
	);
}

/** A file without a name travels like one that is open: as a REG entry with a ghost. */
function dumpNameless(place: WatchPlace & { at: "nowhere" }, inode: WatchedInode, context: DumpContext): number {
	return context.once(`watched-file:${inode.sdev}:${inode.ino}`, () => {
		using file = scopedFd(place.open());
		const id = context.files.newId();
		const { task, link } = place;
		const named = { task, link, stat: statFd(file.fd), ownFd: file.fd };
		const entry = encodeRegFile(named, { flags: 0, pos: 0n, fown: emptyFown() }, id, context);
		if (entry.type === fd_types.REG) context.files.add(entry);
		return id;
	});
}

/** The handle of a watched file for images, with the path or whatever leads to it. */
export function encodeHandle(inode: WatchedInode, task: DumpedTask, context: DumpContext): fh_entry {
	const bytes = new Uint8Array(MAX_HANDLE_SZ);
	const known = inode.handle === undefined || inode.handle.bytes.length > MAX_HANDLE_SZ ? undefined : inode.handle;
	bytes.set(known?.bytes ?? new Uint8Array());
	const place = findPlace(inode, task, context);
	return create(fh_entrySchema, {
		bytes: known?.bytes.length ?? 0,
		type: (known?.type ?? 0) >>> 0,
		handle: Array.from(new BigUint64Array(bytes.buffer, 0, HANDLE_WORDS)),
		...(place?.at === "path" ? { path: place.path } : {}),
		...(place?.at === "nowhere" ? { fileId: dumpNameless(place, inode, context) } : {}),
	});
}

/** Unread events stand against a dump, unless their loss was accepted. */
export function refuseUnread(file: FdFacts, what: string, context: DumpContext): CriuError[] {
	if (context.options.dropUnread) return [];
	const unread = countUnread(file.ownFd);
	if (unread === 0) return [];
	return [
		new PassingError(
			"UNREAD_EVENTS",
			`${nameFd(file)}: ${unread} bytes of ${what} events are unread, which can't be kept`,
			{
				remedy: "try again when the program has read them, or let them be lost by --drop-unread",
			},
		),
	];
}

/** Unread events that a restore can tell the loss of. They are better read in time. */
export function avoidUnread(file: FdFacts, what: string, context: DumpContext): CriuError[] {
	return refuseUnread(file, what, context).map(({ code, message }) => new AvoidableError(code, message, {}));
}

/** Says what is lost, and how the program hears of it; gives whether anything is. */
export function warnOfEvents(file: FdFacts, what: string, instead = "they won't be there after a restore"): boolean {
	const unread = countUnread(file.ownFd);
	if (unread > 0) log.warn(`${nameFd(file)}: ${unread} bytes of ${what} events are unread; ${instead}`);
	return unread > 0;
}
