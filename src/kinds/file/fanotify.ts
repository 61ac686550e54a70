// SPDX-License-Identifier: GPL-2.0-only
// fanotify: groups with their marks of inodes, mounts and file systems. Unread events stand in the way. Groups that decide about
// accesses are refused: while they stand still, so does whoever opens a file, criu included.
// Images: files.img (fanotify_file_entry). Source: fanotify(7), proc_pid_fdinfo(5), fs/notify/fanotify/fanotify_user.c.

import type { OpRef, Program } from "../../agent/program.ts";
import type { CriuError } from "../../errors.ts";
import { fd_types, type file_entry, file_entrySchema } from "../../images/gen/fdinfo_pb.ts";
import {
	fanotify_file_entrySchema,
	fanotify_fs_mark_entrySchema,
	fanotify_inode_mark_entrySchema,
	type fanotify_mark_entry,
	fanotify_mark_entrySchema,
	fanotify_mount_mark_entrySchema,
	mark_type,
} from "../../images/gen/fsnotify_pb.ts";
import { create } from "../../images/index.ts";
import { toKernelDev } from "../../kernel/abi/devices.ts";
import * as ev from "../../kernel/abi/event-files.ts";
import { AT_FDCWD } from "../../kernel/abi/fcntl.ts";
import { SYS_fanotify_init, SYS_fanotify_mark } from "../../kernel/abi/syscalls.x86_64.ts";
import type { FanotifyMark } from "../../kernel/procfs/fdinfo-kinds.ts";
import { type MountFacts, readMountinfo } from "../../kernel/procfs/mountinfo.ts";
import { showPath, toCString } from "../../sys/file.ts";
import type { DumpContext, FdFacts, FileFinish, FileKind, FilePlan } from "../kind.ts";
import { findHandleBlockers, hasAnonLink, imageFlags, planFlags, refuseFd } from "./anon-inode.ts";
import { checkInner, checkPath, corruptImage } from "./image-checks.ts";
import { planAsync } from "./reg-plan.ts";
import { planWatched, type WatchTarget } from "./watch-plan.ts";
import { encodeHandle, findPlace, mountsOf, refuseUnread, warnOfEvents } from "./watched.ts";

const PERMISSIONS = ev.FAN_OPEN_PERM | ev.FAN_ACCESS_PERM | ev.FAN_OPEN_EXEC_PERM | ev.FAN_PRE_ACCESS;
/** What fdinfo can show of a mark's own flags. */
const MARK_FLAGS = ev.FAN_MARK_IGNORED_SURV_MODIFY | ev.FAN_MARK_EVICTABLE | ev.FAN_MARK_IGNORE;
const MAX_MARKS = 1 << 20;

function marksOf({ info }: FdFacts): readonly FanotifyMark[] {
	return info.kind.type === "fanotify" ? info.kind.marks : [];
}

function findMount({ task }: FdFacts, mntId: number, context: DumpContext): MountFacts | undefined {
	const mounts = context.once(`mountinfo:${task.pid}`, () => readMountinfo(task.pid));
	return mounts.find((mount) => mount.mntId === mntId);
}

function refuseMark(file: FdFacts, mark: FanotifyMark, context: DumpContext): CriuError | undefined {
	const unmark = "let the program remove that mark first";
	if ((mark.mask & PERMISSIONS) !== 0)
		return refuseFd(
			file,
			"decides about accesses (permission events): while it stood still, so would all who open files, criu included",
			"let the program remove its marks with permission events first",
		);
	if (mark.on === "mntns") return refuseFd(file, "watches a mount namespace, which this version doesn't dump", unmark);
	if (mark.on === "mount" && findMount(file, mark.mntId, context) === undefined)
		return refuseFd(file, `watches mount ${mark.mntId}, which the task doesn't see`, unmark);
	if (mark.on === "sb" && mountsOf(file.task, mark.sdev, context).length === 0)
		return refuseFd(file, "watches a file system that the task doesn't see", unmark);
	if (mark.on === "inode" && findPlace(mark, file.task, context) === undefined)
		return refuseFd(
			file,
			`watches inode ${mark.ino}, to which no path was found`,
			"name a folder that it lies in with --irmap-scan-path",
		);
	return undefined;
}

function findFanotifyBlockers(file: FdFacts, context: DumpContext): CriuError[] {
	const handle = findHandleBlockers(file);
	if (handle.length > 0) return handle;
	const refused = marksOf(file).flatMap((mark) => refuseMark(file, mark, context) ?? []);
	return [...refused, ...refuseUnread(file, "fanotify", context)];
}

function encodeMark(mark: FanotifyMark, file: FdFacts, context: DumpContext): fanotify_mark_entry {
	const { mflags, mask, ignoredMask } = mark;
	const common = { id: 0, mflags, mask, ignoredMask };
	if (mark.on === "inode")
		return create(fanotify_mark_entrySchema, {
			...common,
			type: mark_type.INODE,
			sDev: mark.sdev,
			ie: create(fanotify_inode_mark_entrySchema, { iIno: mark.ino, fHandle: encodeHandle(mark, file.task, context) }),
		});
	const mount = findMount(file, mark.mntId, context);
	return create(fanotify_mark_entrySchema, {
		...common,
		type: mark_type.MOUNT,
		sDev: mount === undefined ? 0 : toKernelDev(mount.devMajor, mount.devMinor),
		me: create(fanotify_mount_mark_entrySchema, {
			mntId: mark.mntId,
			...(mount === undefined ? {} : { path: mount.mountpoint }),
		}),
	});
}

function dumpFanotify(file: FdFacts, id: number, context: DumpContext): file_entry {
	warnOfEvents(file, "fanotify");
	const marks = marksOf(file);
	const { kind } = file.info;
	const fsMark = marks.flatMap(({ on, sdev, mflags, mask, ignoredMask }) => {
		const [mount] = on === "sb" ? mountsOf(file.task, sdev, context) : [];
		if (mount === undefined) return [];
		return [create(fanotify_fs_mark_entrySchema, { mflags, mask, ignoredMask, sDev: sdev, path: mount.mountpoint })];
	});
	return create(file_entrySchema, {
		type: fd_types.FANOTIFY,
		id,
		ffy: create(fanotify_file_entrySchema, {
			id,
			flags: imageFlags(file),
			fown: file.fown,
			faflags: kind.type === "fanotify" ? kind.flags : 0,
			evflags: kind.type === "fanotify" ? kind.eventFlags : 0,
			mark: marks.filter(({ on }) => on === "inode" || on === "mount").map((mark) => encodeMark(mark, file, context)),
			fsMark,
		}),
	});
}

/** A mark with the way to its object. */
interface PlannedMark {
	readonly type: number;
	readonly mflags: number;
	readonly mask: number;
	readonly ignoredMask: number;
	readonly target: WatchTarget;
}

function literal(path: Uint8Array, field: string): WatchTarget {
	checkPath("files.img", field, path);
	return { path: toCString(path), follow: true, shown: showPath(path) };
}

function planMarks(entry: file_entry, file: FilePlan): PlannedMark[] {
	const { id, mark, fsMark } = checkInner(entry.id, "fanotify", entry.ffy);
	if (mark.length + fsMark.length > MAX_MARKS) throw corruptImage("files.img", `fanotify ${id} has too many marks`);
	const planned: PlannedMark[] = [];
	for (const [i, { type, mflags, mask, ignoredMask, sDev, ie, me }] of mark.entries()) {
		const field = `mark ${i} of fanotify ${id}`;
		const common = { mflags, mask, ignoredMask };
		if (type === mark_type.INODE) {
			if (ie?.fHandle === undefined) throw corruptImage("files.img", `${field} has no handle`);
			planned.push({ ...common, type: ev.FAN_MARK_INODE, target: planWatched(ie.fHandle, sDev, field, file) });
		} else {
			if (me === undefined) throw corruptImage("files.img", `${field} has no mount`);
			planned.push({ ...common, type: ev.FAN_MARK_MOUNT, target: literal(me.path, `mount of ${field}`) });
		}
	}
	for (const { mflags, mask, ignoredMask, path } of fsMark) {
		const target = literal(path, `file system of fanotify ${id}`);
		planned.push({ mflags, mask, ignoredMask, type: ev.FAN_MARK_FILESYSTEM, target });
	}
	for (const { mask, ignoredMask, mflags } of planned)
		if (((mask | ignoredMask) & PERMISSIONS) !== 0 || (mflags & ~MARK_FLAGS) !== 0 || (mask | ignoredMask) === 0)
			throw corruptImage("files.img", `fanotify ${id} has a mark 0x${mask.toString(16)}`);
	return planned;
}

function planFanotify(entry: file_entry, file: FilePlan): OpRef {
	const { program, context } = file;
	const { id, flags, faflags, evflags } = checkInner(entry.id, "fanotify", entry.ffy);
	const marks = planMarks(entry, file);
	context.once(`fanotify-marks:${id}`, (): readonly PlannedMark[] => marks);
	const fd = program.syscall(`make fanotify ${id}`, SYS_fanotify_init, [faflags, evflags], {
		remedies: {
			EPERM: "run criu as root: it takes CAP_SYS_ADMIN",
			EMFILE: "raise the sysctl fs.fanotify.max_user_groups",
			EINVAL: "this kernel doesn't know such groups: restore on the kernel of the dump or a newer one",
			ENOSYS: "this kernel has no fanotify: restore on the kernel of the dump",
		},
	});
	planFlags(program, fd, flags);
	planAsync(program, fd, flags);
	return fd;
}

const MARK_REMEDIES = {
	ENOENT: "the watched file was removed since the dump: copy it back",
	ENOTDIR: "the watched file was removed since the dump: copy it back",
	ENOSPC: "raise the sysctl fs.fanotify.max_user_marks",
	EINVAL: "this kernel doesn't know such marks: restore on the kernel of the dump or a newer one",
	ENODEV: "its file system can't be watched in that way: put the file on one like that of the dump",
	EXDEV: "its file system can't be watched in that way: put the file on one like that of the dump",
} as const;

function addMark(program: Program, number: number, flags: number, mask: number, { target }: PlannedMark): void {
	const follow = target.follow ? 0 : ev.FAN_MARK_DONT_FOLLOW;
	const args = [number, (ev.FAN_MARK_ADD | flags | follow) >>> 0, BigInt(mask >>> 0), AT_FDCWD, target.path];
	program.syscall(`watch ${target.shown}`, SYS_fanotify_mark, args, { remedies: MARK_REMEDIES });
}

function finishFanotify(entry: file_entry, { program, number, context }: FileFinish): void {
	const marks = context.once(`fanotify-marks:${entry.id}`, (): readonly PlannedMark[] => []);
	// The kernel lists the newest first.
	for (const mark of [...marks].reverse()) {
		const { type, mflags, mask, ignoredMask } = mark;
		const evictable = mflags & ev.FAN_MARK_EVICTABLE;
		if (mask !== 0) addMark(program, number, type | evictable, mask, mark);
		if (ignoredMask === 0) continue;
		const ignore = (mflags & ev.FAN_MARK_IGNORE) !== 0 ? 0 : ev.FAN_MARK_IGNORED_MASK;
		addMark(program, number, type | mflags | ignore, ignoredMask, mark);
	}
}

/** fanotify groups. */
export const fanotify: FileKind = {
	name: "fanotify",
	type: fd_types.FANOTIFY,
	source: "/proc/PID/fdinfo, open_by_handle_at(2)",
	matches: hasAnonLink("[fanotify]"),
	findBlockers: findFanotifyBlockers,
	dump: dumpFanotify,
	plan: planFanotify,
	finish: finishFanotify,
};
