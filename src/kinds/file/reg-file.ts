// SPDX-License-Identifier: GPL-2.0-only
// Files that are known by a path: regular ones, directories, O_PATH handles, symbolic links by O_PATH, devices without a state.
// Images: files.img (reg_file_entry). Source: proc_pid_fdinfo(5), open(2).

import type { OpRef } from "../../agent/program.ts";
import type { CriuError } from "../../errors.ts";
import { fd_types, type file_entry } from "../../images/gen/fdinfo_pb.ts";
import { O_ACCMODE, O_PATH, O_WRONLY, SEEK_SET } from "../../kernel/abi/fcntl.ts";
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../kernel/abi/stat.ts";
import { SYS_lseek } from "../../kernel/abi/syscalls.x86_64.ts";
import { showPath } from "../../sys/file.ts";
import type { DumpContext, FdFacts, FileKind, FilePlan } from "../kind.ts";
import { refuseFd } from "./anon-inode.ts";
import { isStatelessDevice } from "./device-nodes.ts";
import { findExternalFile } from "./external.ts";
import { isUnmounted, startsWith } from "./file-path.ts";
import { findInheritedFile } from "./inherit-fd.ts";
import { findPathBlockers } from "./path-blockers.ts";
import { findTriggerBlockers } from "./pressure.ts";
import { encodeRegFile } from "./reg-dump.ts";
import { getRegFile, NO_SEEK, planAsync, planOpenReg, toOpenFlags } from "./reg-plan.ts";

const MEM_MAJOR = 1;
const KMSG_MINOR = 11;
const SLASH = 0x2f;
const MEMFD = new TextEncoder().encode("/memfd:");

/** A memfd's link looks like a path; its mount is one that nobody can see. */
function isMemfd(file: FdFacts): boolean {
	return startsWith(file.link, MEMFD) && file.stat.nlink === 0;
}

function matches(file: FdFacts): boolean {
	if (file.link[0] !== SLASH || isMemfd(file)) return false;
	const type = file.stat.mode & S_IFMT;
	if ((file.info.flags & O_PATH) !== 0) return true;
	if (type === S_IFCHR) return isStatelessDevice(file);
	return type === S_IFREG || type === S_IFDIR || type === S_IFLNK || type === S_IFBLK;
}

function named(file: FdFacts) {
	const { task, link, stat, ownFd, info, isAtPath } = file;
	return { task, link, stat, ownFd, mntId: info.mntId, isAtPath };
}

/** Position as images hold it: writers to the kernel's log must not seek. */
function positionOf({ stat, info }: FdFacts): bigint {
	const isKmsg = (stat.mode & S_IFMT) === S_IFCHR && stat.rdevMajor === MEM_MAJOR && stat.rdevMinor === KMSG_MINOR;
	return isKmsg && (info.flags & O_ACCMODE) === O_WRONLY ? NO_SEEK : info.pos;
}

function planRegFile(entry: file_entry, file: FilePlan): OpRef {
	const { program, plan, context } = file;
	const reg = getRegFile(entry.id, entry);
	const fd = planOpenReg(program, entry.id, toOpenFlags(reg.flags), plan, context);
	if ((reg.flags & O_PATH) !== 0) return fd;
	if (reg.pos !== NO_SEEK && reg.pos !== 0n)
		program.syscall(() => `go to position ${reg.pos} of ${showPath(reg.name)}`, SYS_lseek, [fd, reg.pos, SEEK_SET], {
			// What --inherit-fd brings in its place may be a pipe.
			...(findInheritedFile(reg, context.options) === undefined ? {} : { check: { okOr: "ESPIPE" } }),
			remedies: { EINVAL: "its file system takes no such position: put the file on one as that of the dump" },
		});
	planAsync(program, fd, reg.flags);
	return fd;
}

/** A mount that isn't attached anywhere is a mount only as long as its handle is there; its path is that of any root. */
function isDetachedMount(file: FdFacts, context: DumpContext): boolean {
	const { link, info } = file;
	return (info.flags & O_PATH) !== 0 && link.length === 1 && isUnmounted(named(file), context);
}

function findFileBlockers(file: FdFacts, context: DumpContext): CriuError[] {
	if (!isDetachedMount(file, context) || findExternalFile(named(file), context) !== undefined)
		return [...findPathBlockers(named(file), `fd ${file.fd}`, context), ...findTriggerBlockers(file, context)];
	return [
		refuseFd(
			file,
			"is a mount that is attached nowhere (fsmount(2), open_tree(2)), or not any more, which lives only as long as it's open",
			"let the program attach it (move_mount(2)) or close it first",
		),
	];
}

/** Regular files, directories, O_PATH handles, block devices and others without a state; what a block device holds stays where it is. */
export const regFile: FileKind = {
	name: "regular file",
	type: fd_types.REG,
	source: "/proc/PID/fd, /proc/PID/fdinfo, statx(2)",
	matches,
	findBlockers: findFileBlockers,
	dump: (file: FdFacts, id: number, context: DumpContext): file_entry =>
		encodeRegFile(named(file), { flags: file.info.flags, pos: positionOf(file), fown: file.fown }, id, context),
	plan: planRegFile,
};
