// SPDX-License-Identifier: GPL-2.0-only
// Named pipes: opened again by their names; what they hold travels in the images. While one is opened, an end of both
// directions is held, so that no open waits for its partner.
// Images: files.img (fifo_entry and the reg_file_entry of its name), fifo-data.img. Source: fifo(7), proc_pid_fdinfo(5).

import type { OpRef } from "../../agent/program.ts";
import { type CriuError, UnsupportedError } from "../../errors.ts";
import { fd_types, type file_entry, file_entrySchema } from "../../images/gen/fdinfo_pb.ts";
import { fifo_entrySchema, type reg_file_entry } from "../../images/gen/file_pb.ts";
import { create, hasField } from "../../images/index.ts";
import { EPOLLERR, EPOLLHUP } from "../../kernel/abi/event-files.ts";
import * as fcntl from "../../kernel/abi/fcntl.ts";
import { S_IFIFO, S_IFMT } from "../../kernel/abi/stat.ts";
import { SYS_close, SYS_fcntl } from "../../kernel/abi/syscalls.x86_64.ts";
import { showPath } from "../../sys/file.ts";
import type { DumpContext, FdFacts, FileKind, FilePlan, TaskPlan } from "../kind.ts";
import { planFown } from "./fown.ts";
import { checkInner, corruptImage } from "./image-checks.ts";
import { readPoll } from "./open-files.ts";
import { findPathBlockers } from "./path-blockers.ts";
import { findPacketBlockers, isInPackets, isReadEnd, pipeIdOf } from "./pipe.ts";
import { countPipeBytes, dumpPipeData, FIFOS, planPipeContent } from "./pipe-data.ts";
import { encodeRegFile } from "./reg-dump.ts";
import { getRegFile, planOpenReg, toOpenFlags } from "./reg-plan.ts";

const SLASH = 0x2f;
const O_ASYNC = 0o20000;

function matches({ stat, link, info }: FdFacts): boolean {
	return (stat.mode & S_IFMT) === S_IFIFO && link[0] === SLASH && (info.flags & fcntl.O_PATH) === 0;
}

function named(file: FdFacts) {
	const { task, link, stat, ownFd, info } = file;
	return { task, link, stat, ownFd, mntId: info.mntId };
}

function findFifoBlockers(file: FdFacts, context: DumpContext): CriuError[] {
	const blockers = findPathBlockers(named(file), `fd ${file.fd}`, context);
	blockers.push(...findPacketBlockers(file, FIFOS, context));
	// Opening it for reading would let others in who wait for a reader.
	if (!isReadEnd(file) && (readPoll(file.ownFd, 0) & EPOLLERR) !== 0 && countPipeBytes(file.ownFd) > 0)
		blockers.push(
			new UnsupportedError(
				"FIFO_UNREAD",
				`pid ${file.task.pid}: fd ${file.fd} (${showPath(file.link)}) writes to a named pipe that holds data and that nobody has open for reading`,
				{ remedy: "let somebody open it for reading, or close it in the program" },
			),
		);
	return blockers;
}

/** True for a read end that no writer has come to since it was opened: it isn't hung up, though nobody writes. */
function isUnwritten(file: FdFacts): boolean {
	return (file.info.flags & fcntl.O_ACCMODE) === fcntl.O_RDONLY && (readPoll(file.ownFd, 0) & EPOLLHUP) === 0;
}

function dumpFifo(file: FdFacts, id: number, context: DumpContext): file_entry {
	const pipeId = pipeIdOf(file);
	const regfId = context.files.newId();
	const state = { flags: file.info.flags, pos: 0n, fown: file.fown };
	context.files.add(encodeRegFile(named(file), state, regfId, context));
	if (isReadEnd(file)) dumpPipeData(pipeId, file.ownFd, context, FIFOS, isInPackets(file, context));
	return create(file_entrySchema, {
		type: fd_types.FIFO,
		id,
		fifo: create(fifo_entrySchema, { id, pipeId, regfId, ...(isUnwritten(file) ? { unwritten: true } : {}) }),
	});
}

/** True when some end in the images writes. */
function isWritten(pipeId: number, { context }: FilePlan): boolean {
	const written = context.once("written-fifos", () => {
		const ids = new Set<number>();
		for (const { fifo, reg } of context.files.values()) {
			const own = fifo === undefined ? reg : context.files.get(fifo.regfId)?.reg;
			if (fifo !== undefined && ((own?.flags ?? 0) & fcntl.O_ACCMODE) !== fcntl.O_RDONLY) ids.add(fifo.pipeId);
		}
		return ids;
	});
	return written.has(pipeId);
}

/** Openers come one after the other: the end that one holds for a moment must not be seen by the next. */
function awaitOthers(pipeId: number, { context, plan }: FilePlan): void {
	const openers = context.once(`fifo-openers:${pipeId}`, () => new Set<TaskPlan>());
	for (const other of openers) if (other !== plan) plan.awaits.add(other.pid);
	openers.add(plan);
}

function planFifo(entry: file_entry, file: FilePlan): OpRef {
	const { program, plan, context } = file;
	const fifo = checkInner(entry.id, "named pipe", entry.fifo);
	const { pipeId, regfId } = fifo;
	if (!hasField(fifo, "regfId")) throw corruptImage("files.img", `named pipe ${entry.id} has no regf_id`);
	const reg = getRegFile(regfId, context.files.get(regfId));
	const access = reg.flags & fcntl.O_ACCMODE;
	if (access === fcntl.O_ACCMODE || (reg.flags & fcntl.O_PATH) !== 0)
		throw corruptImage("files.img", `named pipe ${entry.id} has flags ${reg.flags}`);
	awaitOthers(pipeId, file);
	const open = (flags: number) => planOpenReg(program, regfId, flags, plan, context, "fifo");
	const both = open(fcntl.O_RDWR | fcntl.O_NONBLOCK);
	context.once(`fifo-content:${pipeId}`, () => planPipeContent(program, pipeId, both, plan, context, FIFOS));
	const isFresh = fifo.unwritten && access === fcntl.O_RDONLY && !isWritten(pipeId, file);
	const fd = isFresh ? planFreshReader(file, both, open) : open(toOpenFlags(reg.flags) & ~fcntl.O_DIRECT);
	if (!isFresh) program.syscall("close both ends", SYS_close, [both]);
	finishFlags(file, fd, reg, isFresh);
	planFown(program, fd, reg.fown);
	return fd;
}

/** A reader that isn't hung up: it comes when nobody writes any more, and something else keeps the content meanwhile. */
function planFreshReader({ program }: FilePlan, both: OpRef, open: (flags: number) => OpRef): OpRef {
	const keeper = open(fcntl.O_RDONLY | fcntl.O_NONBLOCK);
	program.syscall("close both ends", SYS_close, [both]);
	const fd = open(fcntl.O_RDONLY | fcntl.O_NONBLOCK);
	program.syscall("close the keeper", SYS_close, [keeper]);
	return fd;
}

/** What open(2) doesn't do, and what it did only so that it doesn't wait. */
function finishFlags({ program }: FilePlan, fd: OpRef, reg: reg_file_entry, always: boolean): void {
	const late = fcntl.O_DIRECT | O_ASYNC;
	if (!always && (reg.flags & late) === 0) return;
	program.syscall(`set the flags of ${showPath(reg.name)}`, SYS_fcntl, [fd, fcntl.F_SETFL, reg.flags]);
}

/** Named pipes. */
export const fifo: FileKind = {
	name: "named pipe",
	type: fd_types.FIFO,
	source: "/proc/PID/fdinfo, tee(2), F_GETPIPE_SZ",
	matches,
	findBlockers: findFifoBlockers,
	dump: dumpFifo,
	plan: planFifo,
};
