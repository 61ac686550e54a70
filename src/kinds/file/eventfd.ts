// SPDX-License-Identifier: GPL-2.0-only
// Event counters. Images: files.img (eventfd_file_entry). Source: eventfd(2), proc_pid_fdinfo(5).

import type { OpRef } from "../../agent/program.ts";
import { BugError, type CriuError } from "../../errors.ts";
import { fd_types, type file_entry, file_entrySchema } from "../../images/gen/fdinfo_pb.ts";
import { eventfd_file_entrySchema } from "../../images/gen/file_pb.ts";
import { create } from "../../images/index.ts";
import { EFD_SEMAPHORE } from "../../kernel/abi/event-files.ts";
import { F_SETFL, O_NONBLOCK } from "../../kernel/abi/fcntl.ts";
import { SYS_eventfd2, SYS_fcntl, SYS_read, SYS_write } from "../../kernel/abi/syscalls.x86_64.ts";
import { mustSyscall } from "../../sys/host.ts";
import type { FdFacts, FileKind, FilePlan } from "../kind.ts";
import { checkFlags, findHandleBlockers, hasAnonLink, imageFlags, planFlags, refuseFd } from "./anon-inode.ts";
import { checkInner, corruptImage } from "./image-checks.ts";

const OVERFLOWED = (1n << 64n) - 1n;
/** eventfd2 takes an unsigned int. */
const MAX_INITIAL = 0xffffffffn;

function findEventfdBlockers(file: FdFacts): CriuError[] {
	const { kind } = file.info;
	if (kind.type !== "eventfd") return findHandleBlockers(file);
	if (kind.count !== OVERFLOWED) return [];
	return [refuseFd(file, "has overflowed, which can't be made again", "let the program read it first")];
}

/**
 * Finds out whether reads take 1 or everything, for kernels before 6.5, which don't tell: puts 2 in and takes them out
 * again. The tasks that have it stand still.
 */
export function probeSemaphore(fd: number, count: bigint, flags: number): boolean {
	const value = new BigUint64Array([2n]);
	const put = () => mustSyscall("of an eventfd", SYS_write, fd, value, value.byteLength);
	const take = () => mustSyscall("of an eventfd", SYS_read, fd, value, value.byteLength);
	// Should somebody outside of the tree read it just now, we mustn't wait.
	mustSyscall("of an eventfd", SYS_fcntl, fd, F_SETFL, flags | O_NONBLOCK);
	try {
		put();
		take();
		const isSemaphore = value[0] === 1n;
		value[0] = count;
		if (isSemaphore) take();
		else if (count > 0n) put();
		return isSemaphore;
	} finally {
		mustSyscall("of an eventfd", SYS_fcntl, fd, F_SETFL, flags);
	}
}

function dumpEventfd(file: FdFacts, id: number): file_entry {
	const { kind, flags } = file.info;
	if (kind.type !== "eventfd") throw new BugError(`fd ${file.fd} of pid ${file.task.pid} is no eventfd`);
	const semaphore = kind.semaphore ?? probeSemaphore(file.ownFd, kind.count, flags);
	return create(file_entrySchema, {
		type: fd_types.EVENTFD,
		id,
		efd: create(eventfd_file_entrySchema, {
			id,
			flags: imageFlags(file),
			fown: file.fown,
			counter: kind.count,
			...(semaphore ? { semaphore } : {}),
		}),
	});
}

function planEventfd(entry: file_entry, { program }: FilePlan): OpRef {
	const { id, flags, counter, semaphore } = checkInner(entry.id, "eventfd", entry.efd);
	if (counter === OVERFLOWED) throw corruptImage("files.img", `the counter of eventfd ${id} has overflowed`);
	const initial = counter > MAX_INITIAL ? 0n : counter;
	const fd = program.syscall(() => `make eventfd ${id}`, SYS_eventfd2, [
		initial,
		checkFlags(id, flags) | (semaphore ? EFD_SEMAPHORE : 0),
	]);
	if (counter !== initial) {
		const value = new Uint8Array(BigUint64Array.of(counter).buffer);
		program.syscall(`set the counter of eventfd ${id}`, SYS_write, [fd, value, value.length], { check: { equal: 8 } });
	}
	planFlags(program, fd, flags);
	return fd;
}

/** Event counters and semaphores. */
export const eventfd: FileKind = {
	name: "eventfd",
	type: fd_types.EVENTFD,
	source: "/proc/PID/fdinfo",
	matches: hasAnonLink("[eventfd"),
	findBlockers: findEventfdBlockers,
	dump: dumpEventfd,
	plan: planEventfd,
};
