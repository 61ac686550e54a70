// SPDX-License-Identifier: GPL-2.0-only
// Open memfds. Their memory is that of shared-memory.ts, one inode however it's reached; here are the descriptions of it.
// Images: files.img (memfd_file_entry), memfd.img. Source: memfd_create(2), execve(2) ETXTBSY.

import type { OpRef } from "../../agent/program.ts";
import { fd_types, type file_entry, file_entrySchema } from "../../images/gen/fdinfo_pb.ts";
import { memfd_file_entrySchema } from "../../images/gen/file_pb.ts";
import { create } from "../../images/index.ts";
import * as fcntl from "../../kernel/abi/fcntl.ts";
import { HUGETLBFS_MAGIC } from "../../kernel/abi/magic.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { closeFd, openAt } from "../../sys/file.ts";
import { mustSyscall } from "../../sys/host.ts";
import type { DumpContext, FdFacts, FileKind, FilePlan } from "../kind.ts";
import { dumpSegment, findSegment, planGivenSegment, planHeldSegment } from "../mm/shared-memory.ts";
import { imageFlags } from "./anon-inode.ts";
import { startsWith } from "./file-path.ts";
import { checkInner, corruptImage } from "./image-checks.ts";
import { keptPath, planShare, planTake, takePath } from "./kept-files.ts";
import { toOpenFlags } from "./reg-plan.ts";

const LINK = new TextEncoder().encode("/memfd:");
const SETTABLE = fcntl.O_APPEND | fcntl.O_NONBLOCK | fcntl.O_NOATIME | fcntl.O_DIRECT;
const MAX_POS = (1n << 63n) - 1n;

/** A memfd's link looks like a path; its mount is one that nobody can see. */
function matches(file: FdFacts): boolean {
	return startsWith(file.link, LINK) && file.stat.nlink === 0;
}

/** log2 of the size of its huge pages; 0 for ordinary ones. Source: statfs(2). */
function readHugeShift(fd: number): number {
	const stat = new BigInt64Array(16);
	mustSyscall("of a memfd", nr.SYS_fstatfs, fd, stat);
	return stat[0] === BigInt(HUGETLBFS_MAGIC) ? Math.log2(Number(stat[1])) : 0;
}

function dumpMemfd(file: FdFacts, id: number, context: DumpContext): file_entry {
	// A description of our own: that of the program may be for writing only, and its position isn't ours.
	const fd = openAt(`/proc/self/fd/${file.ownFd}`, fcntl.O_RDONLY);
	const segment = dumpSegment(fd, file.link, readHugeShift(fd), context);
	if (segment.fd !== fd) closeFd(fd);
	return create(file_entrySchema, {
		type: fd_types.MEMFD,
		id,
		memfd: create(memfd_file_entrySchema, {
			id,
			flags: imageFlags(file),
			pos: file.info.pos,
			fown: file.fown,
			inodeId: Number(segment.inode.inodeId),
		}),
	});
}

/** One description is that of memfd_create(2): unlike those that are opened, it doesn't keep the file from being executed. */
function planDescription(entry: file_entry, file: FilePlan, flags: number): OpRef {
	const { program, plan, context } = file;
	const inode = findSegment(entry.id, context);
	const reopen = toOpenFlags(flags) & ~fcntl.O_NOFOLLOW;
	const given = planGivenSegment(inode, reopen, program, plan, context);
	if (given !== undefined) return given;
	const segment = planHeldSegment(inode, program, plan, context);
	const isFirst =
		(flags & fcntl.O_ACCMODE) === fcntl.O_RDWR &&
		(flags & fcntl.O_PATH) === 0 &&
		context.once(`first-memfd:${inode.inodeId}`, () => entry.id) === entry.id;
	if (!isFirst)
		return program.syscall(`open memfd ${inode.shmid} again`, nr.SYS_openat, [
			fcntl.AT_FDCWD,
			(segment.early ? takePath : keptPath)(segment, plan),
			reopen,
			0,
		]);
	const fd = (segment.early ? planTake : planShare)(program, segment, plan);
	if ((flags & SETTABLE) !== 0)
		program.syscall("set the flags of a memfd", nr.SYS_fcntl, [fd, fcntl.F_SETFL, flags & SETTABLE]);
	return fd;
}

function planMemfd(entry: file_entry, file: FilePlan): OpRef {
	const { flags, pos } = checkInner(entry.id, "memfd", entry.memfd);
	if ((flags & fcntl.O_ACCMODE) === fcntl.O_ACCMODE)
		throw corruptImage("files.img", `memfd ${entry.id} has flags ${flags}`);
	if (pos > MAX_POS) throw corruptImage("files.img", `pos of memfd ${entry.id} is ${pos}`);
	const fd = planDescription(entry, file, flags);
	if (pos !== 0n && (flags & fcntl.O_PATH) === 0)
		file.program.syscall(`go to position ${pos} of a memfd`, nr.SYS_lseek, [fd, pos, fcntl.SEEK_SET]);
	return fd;
}

/** Memory as a file. */
export const memfd: FileKind = {
	name: "memfd",
	type: fd_types.MEMFD,
	source: "/proc/PID/fdinfo, F_GET_SEALS, lseek(2) SEEK_DATA",
	matches,
	dump: dumpMemfd,
	plan: planMemfd,
};
