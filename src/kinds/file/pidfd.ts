// SPDX-License-Identifier: GPL-2.0-only
// Descriptors of processes and threads: living ones and zombies of the tree, and such that are gone for good.
// Images: files.img (pidfd_entry; the exit status of a dead one is a field of ours).
// Source: pidfd_open(2), proc_pid_fdinfo(5), linux/pidfd.h.

import { openEndedProcess } from "../../agent/ended-process.x86_64.ts";
import type { OpRef } from "../../agent/program.ts";
import { BugError, type CriuError } from "../../errors.ts";
import { fd_types, type file_entry, file_entrySchema } from "../../images/gen/fdinfo_pb.ts";
import { type pidfd_entry, pidfd_entrySchema } from "../../images/gen/file_pb.ts";
import { create, hasField } from "../../images/index.ts";
import { PIDFD_NONBLOCK, PIDFD_THREAD } from "../../kernel/abi/event-files.ts";
import { F_DUPFD, O_ACCMODE } from "../../kernel/abi/fcntl.ts";
import { PIDFD_GET_INFO } from "../../kernel/abi/ioctl.ts";
import { SYS_fcntl, SYS_ioctl, SYS_pidfd_open } from "../../kernel/abi/syscalls.x86_64.ts";
import { syscall } from "../../sys/host.ts";
import type { DumpContext, FdFacts, FileKind, FilePlan, RestoreContext } from "../kind.ts";
import { checkFlags, findHandleBlockers, hasAnonLink, imageFlags, planFlags, refuseFd } from "./anon-inode.ts";
import { startsWith } from "./file-path.ts";
import { checkInner, corruptImage } from "./image-checks.ts";
import { keptFilesOf } from "./kept-files.ts";

/** What fdinfo and images have for the pid of a process that is gone. */
const GONE = -1;
/** `struct pidfd_info`: the mask, and where the exit status is. */
const INFO_SIZE = 64;
const PIDFD_INFO_EXIT = 8n;
const EXIT_CODE_AT = 60;
const MAX_STATUS = 0xffff;
const MAX_DEAD = 65536;

const isAnonymous = hasAnonLink("[pidfd]");
const LINK = new TextEncoder().encode("pidfd:[");

function matches(file: FdFacts): boolean {
	return isAnonymous(file) || startsWith(file.link, LINK);
}

/** The process or thread in its own pid namespace, GONE, or undefined when it's none of the tree. */
function findPid(file: FdFacts, context: DumpContext): number | undefined {
	const { kind } = file.info;
	if (kind.type !== "pidfd") return undefined;
	if (kind.pid === GONE) return GONE;
	for (const { pid, vpid } of [...context.tasks, ...context.dead]) if (pid === kind.pid) return vpid;
	for (const { threads } of context.tasks) for (const { tid, vtid } of threads) if (tid === kind.pid) return vtid;
	return undefined;
}

function findPidfdBlockers(file: FdFacts, context: DumpContext): CriuError[] {
	const { kind } = file.info;
	const handle = findHandleBlockers(file);
	if (handle.length > 0 || kind.type !== "pidfd") return handle;
	if (findPid(file, context) !== undefined) return [];
	const which = kind.pid === 0 ? "a process that can't be seen from here" : `pid ${kind.pid}`;
	return [
		refuseFd(
			file,
			`refers to ${which}, which is outside of the dumped tree`,
			"close it in the program first, or dump a tree that includes that process",
		),
	];
}

/** How a process that is gone has ended, as wait(2) tells it; undefined where the kernel has forgotten. Since: 6.15. */
function readExitStatus(fd: number): number | undefined {
	const info = new Uint8Array(INFO_SIZE);
	const view = new DataView(info.buffer);
	view.setBigUint64(0, PIDFD_INFO_EXIT, true);
	if (syscall(SYS_ioctl, fd, PIDFD_GET_INFO, info) < 0) return undefined;
	return (view.getBigUint64(0, true) & PIDFD_INFO_EXIT) === 0n ? undefined : view.getUint32(EXIT_CODE_AT, true);
}

function dumpPidfd(file: FdFacts, id: number, context: DumpContext): file_entry {
	const nspid = findPid(file, context);
	if (nspid === undefined) throw new BugError(`fd ${file.fd} of pid ${file.task.pid} was not refused`);
	const exitCode = nspid === GONE ? readExitStatus(file.ownFd) : undefined;
	return create(file_entrySchema, {
		type: fd_types.PIDFD,
		id,
		pidfd: create(pidfd_entrySchema, {
			id,
			ino: Number(BigInt.asUintN(32, file.stat.ino)),
			flags: imageFlags(file) & ~O_ACCMODE,
			nspid,
			fown: file.fown,
			...(exitCode === undefined ? {} : { exitCode }),
		}),
	});
}

/** Flags of pidfd_open(2). */
function openFlags({ id, flags }: pidfd_entry): number {
	checkFlags(id, flags, PIDFD_THREAD);
	return flags & (PIDFD_NONBLOCK | PIDFD_THREAD);
}

/** Descriptors of ours for all entries of one dead process: they have to be made before that is gone, too. */
function openDead(ino: number, context: RestoreContext): Map<number, number> {
	return context.once(`dead-pidfds:${ino}`, () => {
		const entries = [...context.files.values()].flatMap(({ pidfd: one }) =>
			one !== undefined && one.nspid === GONE && one.ino === ino ? [one] : [],
		);
		if (entries.length > MAX_DEAD) throw corruptImage("files.img", `${entries.length} pidfds of one dead process`);
		const known = entries.find((one) => hasField(one, "exitCode"))?.exitCode ?? 0;
		if (known > MAX_STATUS) throw corruptImage("files.img", `exit_code of pidfd ${entries[0]?.id} is ${known}`);
		const fds = openEndedProcess(known, entries.map(openFlags));
		return new Map(entries.map(({ id }, i) => [id, fds[i] ?? -1]));
	});
}

function planDead(entry: pidfd_entry, { program, plan, context }: FilePlan): OpRef {
	const { id, ino } = entry;
	const number = keptFilesOf(plan).pass(`dead pidfd ${id}`, () => openDead(ino, context).get(id) ?? -1);
	return program.syscall(`take pidfd ${id} of a dead process`, SYS_fcntl, [number, F_DUPFD, 0]);
}

function planPidfd(entry: file_entry, file: FilePlan): OpRef {
	const { program, context } = file;
	const pidfd = checkInner(entry.id, "pidfd", entry.pidfd);
	const { nspid, flags } = pidfd;
	const own = openFlags(pidfd);
	if (nspid === GONE) return planDead(pidfd, file);
	const isThread =
		(flags & PIDFD_THREAD) !== 0 && context.tasks.some(({ threads }) => threads.some(({ tid }) => tid === nspid));
	if (!isThread && !context.pids.has(nspid))
		throw corruptImage("files.img", `pidfd ${entry.id} refers to pid ${nspid}`);
	const fd = program.syscall(`open pid ${nspid}`, SYS_pidfd_open, [nspid, own], {
		remedies: { EINVAL: "descriptors of this kind need a newer kernel: restore on the kernel of the dump" },
	});
	planFlags(program, fd, flags);
	return fd;
}

/** Descriptors of processes. */
export const pidfd: FileKind = {
	name: "pidfd",
	type: fd_types.PIDFD,
	source: "/proc/PID/fdinfo, statx(2), PIDFD_GET_INFO",
	matches,
	findBlockers: findPidfdBlockers,
	dump: dumpPidfd,
	plan: planPidfd,
};
