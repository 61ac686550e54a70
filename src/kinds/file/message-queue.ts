// SPDX-License-Identifier: GPL-2.0-only
// POSIX message queues: descriptors of mq_open(3). A queue stays in the kernel under its name, with its messages, as it outlives
// processes; one that is gone at restore, and was empty, is made again. Images: files.img (mqueue_file_entry, ours).
// Source: mq_overview(7), mq_open(3), mq_getattr(3), mq_notify(3), ipc/mqueue.c (mqueue_read_file).

import type { OpRef } from "../../agent/program.ts";
import { CriuError, KernelError, UnsupportedError } from "../../errors.ts";
import { fd_types, type file_entry, file_entrySchema } from "../../images/gen/fdinfo_pb.ts";
import { type mqueue_file_entry, mqueue_file_entrySchema } from "../../images/gen/file_pb.ts";
import { create } from "../../images/index.ts";
import * as fcntl from "../../kernel/abi/fcntl.ts";
import { MqAttr } from "../../kernel/abi/ipc.ts";
import { MQUEUE_MAGIC } from "../../kernel/abi/magic.ts";
import { S_IFMT, S_IFREG } from "../../kernel/abi/stat.ts";
import { Statfs } from "../../kernel/abi/stat.x86_64.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { readAt, scopedFd, showPath, statFd, toCString } from "../../sys/file.ts";
import { mustSyscall, syscall } from "../../sys/host.ts";
import type { DumpContext, FdFacts, FileKind, FilePlan, RestoreContext, TaskPlan } from "../kind.ts";
import { checkFlags, imageFlags, planFlags, refuseFd } from "./anon-inode.ts";
import { checkInner, corruptImage } from "./image-checks.ts";

/** The length that the kernel shows for any queue. */
const SHOWN_SIZE = 80n;
const SLASH = 0x2f;
const NAME_MAX = 255;
const ENOENT = 2;
/** "QSIZE:129 NOTIFY:0 SIGNO:0 NOTIFY_PID:8260" */
const OWNER = /NOTIFY_PID:(\d+)/;

// ---- dump -----------------------------------------------------------------------------------------------------------

function liesOnQueues(fd: number): boolean {
	const buffer = new Uint8Array(Statfs.size);
	if (syscall(nr.SYS_fstatfs, fd, buffer) < 0) return false;
	return Statfs.read(new DataView(buffer.buffer), 0).f_type === BigInt(MQUEUE_MAGIC);
}

/** Those that were opened as files, where the queues are mounted, are files by a path. */
function matches({ stat, info, isAtPath = false, ownFd }: FdFacts): boolean {
	if (isAtPath || stat.size !== SHOWN_SIZE || (stat.mode & S_IFMT) !== S_IFREG || stat.devMajor !== 0) return false;
	return (info.flags & fcntl.O_PATH) === 0 && liesOnQueues(ownFd);
}

/** The queue's name as system calls have it: without the slash. */
const nameOf = ({ link }: FdFacts) => (link[0] === SLASH ? link.subarray(1) : link);

/** Another description of the queue, to look at; undefined when no queue of that name is here. @throws KernelError */
function openByName(name: Uint8Array): ReturnType<typeof scopedFd> | undefined {
	const flags = fcntl.O_RDONLY | fcntl.O_NONBLOCK | fcntl.O_CLOEXEC;
	const fd = syscall(nr.SYS_mq_open, toCString(name), flags, 0, 0);
	if (fd === -ENOENT) return undefined;
	if (fd < 0) throw new KernelError("mq_open", -fd, `of ${showPath(name)}`);
	return scopedFd(fd);
}

function findQueueBlockers(file: FdFacts, { tasks }: DumpContext): CriuError[] {
	const refuse = (problem: string, remedy: string) => [refuseFd(file, `is a POSIX message queue ${problem}`, remedy)];
	if (file.stat.nlink === 0)
		return refuse(
			"that has no name any more (mq_unlink): its messages end with it",
			"let the program close it first, or remove its name later",
		);
	using queue = openByName(nameOf(file));
	const found = queue === undefined ? undefined : statFd(queue.fd);
	if (queue === undefined || found?.ino !== file.stat.ino || found.devMinor !== file.stat.devMinor)
		return refuse("of another IPC namespace", "let the program close it first");
	const owner = Number(OWNER.exec(Buffer.from(readAt(queue.fd, Number(SHOWN_SIZE), 0n)).toString("latin1"))?.[1] ?? 0);
	if (!tasks.some(({ pid }) => pid === owner)) return [];
	return refuse(
		`that is to tell pid ${owner} of its next message (mq_notify): the kernel doesn't show with which value`,
		"let the program take that back first (mq_notify with no request)",
	);
}

function readAttributes(fd: number): MqAttr {
	const attr = new Uint8Array(MqAttr.size);
	mustSyscall("of a message queue", nr.SYS_mq_getsetattr, fd, 0, attr);
	return MqAttr.read(new DataView(attr.buffer));
}

function dumpQueue(file: FdFacts, id: number): file_entry {
	const { mq_maxmsg, mq_msgsize, mq_curmsgs } = readAttributes(file.ownFd);
	const { mode, uid, gid } = file.stat;
	return create(file_entrySchema, {
		type: fd_types.POSIX_MQ,
		id,
		mqueue: create(mqueue_file_entrySchema, {
			id,
			flags: imageFlags(file),
			pos: file.info.pos,
			fown: file.fown,
			name: nameOf(file),
			maxmsg: mq_maxmsg,
			msgsize: mq_msgsize,
			curmsgs: mq_curmsgs,
			mode: mode & 0o7777,
			uid,
			gid,
		}),
	});
}

// ---- restore --------------------------------------------------------------------------------------------------------

function checkQueue(queue: mqueue_file_entry): void {
	const { id, flags, name, maxmsg, msgsize, mode } = queue;
	checkFlags(id, flags);
	const isDots = name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e));
	if (name.length === 0 || name.length > NAME_MAX || name.includes(SLASH) || name.includes(0) || isDots)
		throw corruptImage("files.img", `message queue ${id} has no name that one can have`);
	if (maxmsg <= 0n || msgsize <= 0n || maxmsg >= 1n << 31n || msgsize >= 1n << 31n || mode > 0o7777)
		throw corruptImage("files.img", `message queue ${id} has room for ${maxmsg} messages of ${msgsize} bytes`);
}

/**
 * Says whether a queue is here still. @throws CriuError when it's another one, or its messages are gone with it
 */
function isHere({ name, maxmsg, msgsize, curmsgs }: mqueue_file_entry): boolean {
	using queue = openByName(name);
	const what = `message queue /${showPath(name)}`;
	if (queue === undefined) {
		if (curmsgs === 0n) return false;
		throw new CriuError("MESSAGE_QUEUE", `${what} isn't here; ${curmsgs} messages waited in it at the dump`, {
			remedy: "restore on the host of the dump, where queues stay until it restarts, or make it again first",
		});
	}
	const { mq_maxmsg, mq_msgsize } = readAttributes(queue.fd);
	if (mq_maxmsg === maxmsg && mq_msgsize === msgsize) return true;
	throw new UnsupportedError(
		"MESSAGE_QUEUE",
		`${what} has room for ${mq_maxmsg} messages of ${mq_msgsize} bytes here, ` + `not for ${maxmsg} of ${msgsize}`,
		{ remedy: "remove that queue, or give it its size at the dump" },
	);
}

/** True when a queue has to be made again; it's removed if the restore fails. */
function isMissing(queue: mqueue_file_entry, plan: TaskPlan, context: RestoreContext): boolean {
	const { name } = queue;
	return context.once(`message-queue:${Buffer.from(name).toString("latin1")}`, () => {
		const here = isHere(queue);
		if (!here) plan.undo.push(() => void syscall(nr.SYS_mq_unlink, toCString(name)));
		return !here;
	});
}

const MAKE_REMEDIES = {
	EINVAL: "raise the sysctls fs.mqueue.msg_max and fs.mqueue.msgsize_max to what they were at the dump",
	EMFILE: "raise the limit of bytes in message queues (ulimit -q)",
	ENOSPC: "raise the sysctl fs.mqueue.queues_max",
	ENOENT: "it was removed meanwhile: try again",
} as const;

function planQueue(entry: file_entry, { program, plan, context }: FilePlan): OpRef {
	const queue = checkInner(entry.id, "message queue", entry.mqueue);
	checkQueue(queue);
	const { name, flags, pos, maxmsg, msgsize, mode, uid, gid } = queue;
	const what = `message queue /${showPath(name)}`;
	const access = flags & fcntl.O_ACCMODE;
	const missing = isMissing(queue, plan, context);
	const attr = MqAttr.encode({ mq_maxmsg: maxmsg, mq_msgsize: msgsize });
	const fd = missing
		? program.syscall(`make ${what}`, nr.SYS_mq_open, [toCString(name), access | fcntl.O_CREAT, mode & 0o777, attr], {
				remedies: MAKE_REMEDIES,
			})
		: program.syscall(`open ${what}`, nr.SYS_mq_open, [toCString(name), access, 0, 0], { remedies: MAKE_REMEDIES });
	if (missing) {
		program.syscall(`give ${what} to its owner`, nr.SYS_fchown, [fd, uid, gid]);
		program.syscall(`set the mode of ${what}`, nr.SYS_fchmod, [fd, mode]);
	}
	if (pos !== 0n) program.syscall(`go to position ${pos} of ${what}`, nr.SYS_lseek, [fd, pos, fcntl.SEEK_SET]);
	planFlags(program, fd, flags, 0);
	return fd;
}

/** POSIX message queues that have a name. */
export const messageQueue: FileKind = {
	name: "message queue",
	type: fd_types.POSIX_MQ,
	source: "/proc/PID/fd, mq_getattr(3), statfs(2)",
	matches,
	findBlockers: findQueueBlockers,
	dump: dumpQueue,
	plan: planQueue,
};
