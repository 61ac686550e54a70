// SPDX-License-Identifier: GPL-2.0-only
// Pipes: each end is a description of its own; ends that share an inode number are joined. Ends that only outside processes
// hold are closed after a restore, unless --inherit-fd brings them; the log of a dump names who holds them.
// Images: files.img (pipe_entry), pipes-data.img. Source: pipe(7), fcntl(2) F_GETPIPE_SZ.

import { accessSync, constants, readlinkSync } from "node:fs";
import { loadFrom, type OpRef, type Program } from "../../agent/program.ts";
import { type CriuError, UnsupportedError } from "../../errors.ts";
import { fd_types, type file_entry, file_entrySchema } from "../../images/gen/fdinfo_pb.ts";
import { type pipe_entry, pipe_entrySchema } from "../../images/gen/file_pb.ts";
import { create } from "../../images/index.ts";
import { EPOLLERR } from "../../kernel/abi/event-files.ts";
import * as fcntl from "../../kernel/abi/fcntl.ts";
import { S_IFIFO, S_IFMT } from "../../kernel/abi/stat.ts";
import { SYS_fcntl, SYS_openat, SYS_pipe2 } from "../../kernel/abi/syscalls.x86_64.ts";
import { log } from "../../log.ts";
import { openAt, scopedFd, showPath } from "../../sys/file.ts";
import type { DumpContext, FdFacts, FileKind, FilePlan, RestoreContext, TaskPlan } from "../kind.ts";
import { isExternal } from "./external.ts";
import { startsWith } from "./file-path.ts";
import { checkInner, corruptImage } from "./image-checks.ts";
import { findInherited, keepInherited, keyOfPipe, planInherited } from "./inherit-fd.ts";
import { keptFilesOf, keptPath, ownFdPath, planShare } from "./kept-files.ts";
import { collectFds, readPoll } from "./open-files.ts";
import { findHoldersOf, showHolders } from "./outside-holders.ts";
import { dumpPipeData, PIPES, type PipeStore, packetsOf, planPipeContent } from "./pipe-data.ts";

const PIPE_LINK = new TextEncoder().encode("pipe:[");
const O_ASYNC = 0o20000;
/** Flags that F_SETFL changes. */
const SETTABLE = fcntl.O_APPEND | fcntl.O_NONBLOCK | fcntl.O_NOATIME | fcntl.O_DIRECT | O_ASYNC;
const WRITE_END = 2;
const BOTH_ENDS = 3;

function matches(file: FdFacts): boolean {
	return (file.stat.mode & S_IFMT) === S_IFIFO && startsWith(file.link, PIPE_LINK);
}

/** Inodes of pipes some end of which in the tree has a flag. */
function pipesWith(flag: number, context: DumpContext): ReadonlySet<bigint> {
	return context.once(`pipes-with-${flag}`, () => {
		const found = new Set<bigint>();
		for (const task of context.tasks)
			for (const { stat, info } of collectFds(task, context))
				if ((info.flags & flag) !== 0 && (stat.mode & S_IFMT) === S_IFIFO) found.add(stat.ino);
		return found;
	});
}

/** True when some end of the pipe keeps the borders of what is written. */
export function isInPackets(file: FdFacts, context: DumpContext): boolean {
	return pipesWith(fcntl.O_DIRECT, context).has(file.stat.ino);
}

/** Which ends of its pipe the tree has. */
function endsOf({ stat: { ino } }: FdFacts, context: DumpContext): number {
	const ends = context.once("pipe-ends", () => {
		const found = new Map<bigint, number>();
		for (const task of context.tasks)
			for (const { stat, info } of collectFds(task, context)) {
				if ((stat.mode & S_IFMT) !== S_IFIFO || (info.flags & fcntl.O_PATH) !== 0) continue;
				const access = info.flags & fcntl.O_ACCMODE;
				found.set(stat.ino, (found.get(stat.ino) ?? 0) | (access === fcntl.O_RDWR ? BOTH_ENDS : access + 1));
			}
		return found;
	});
	return ends.get(ino) ?? 0;
}

/** True for the end of a pipe that nobody has open for reading, which the program may come back to through /proc. */
function isUnread(file: FdFacts, context: DumpContext): boolean {
	if ((file.info.flags & fcntl.O_PATH) !== 0 || endsOf(file, context) !== WRITE_END) return false;
	if ((readPoll(file.ownFd, 0) & EPOLLERR) === 0) return false;
	// The owner would get a signal when the reader that we are for an instant goes.
	if (pipesWith(O_ASYNC, context).has(file.stat.ino)) return false;
	// Made by another user, for a criu without privileges: what nobody reads is no reason to refuse the program.
	if (opensAsPipe(file.ownFd, fcntl.O_RDONLY)) return true;
	log.warn(
		`pid ${file.task.pid}: fd ${file.fd} (${showPath(file.link)}): what waits unread in it is another user's, and is left out`,
	);
	return false;
}

/** The content of a pipe without readers, by one that is there for an instant. */
function dumpUnread(file: FdFacts, pipeId: number, context: DumpContext): void {
	using end = scopedFd(openAt(`/proc/self/fd/${file.ownFd}`, fcntl.O_RDONLY | fcntl.O_NONBLOCK));
	dumpPipeData(pipeId, end.fd, context);
}

/** The pipe_id of an inode. */
export function pipeIdOf({ stat }: FdFacts): number {
	return Number(BigInt.asUintN(32, stat.ino));
}

/** True when the descriptor can read from its pipe. */
export function isReadEnd({ info }: FdFacts): boolean {
	return (info.flags & fcntl.O_PATH) === 0 && (info.flags & fcntl.O_ACCMODE) !== fcntl.O_WRONLY;
}

/** What stops the dump of a pipe in packet mode, with or without a name. */
export function findPacketBlockers(file: FdFacts, store: PipeStore, context: DumpContext): CriuError[] {
	if (!isReadEnd(file) || !isInPackets(file, context)) return [];
	if (packetsOf(pipeIdOf(file), file.ownFd, store, context) !== undefined) return [];
	const object = `pid ${file.task.pid}: fd ${file.fd} (${showPath(file.link)})`;
	return [
		new UnsupportedError(
			"PIPE_PACKETS",
			`${object} holds packets (O_DIRECT) and a stream, whose borders the kernel doesn't tell`,
			{ remedy: "let the program read the pipe first" },
		),
	];
}

/** Says, when all is done, who else has an end that the tree hasn't, when the kernel knows of such an end: the restored tree won't be joined to it. */
function noteOutsideEnds(file: FdFacts, context: DumpContext): void {
	if (endsOf(file, context) === BOTH_ENDS || readPoll(file.ownFd, 0) !== 0) return;
	const key = keyOfPipe(pipeIdOf(file));
	if (isExternal(key, context) || isExternal(key.replace(":", ""), context)) return;
	context
		.once("outside-pipes", () => {
			const pipes = new Set<string>();
			context.files.afterwards(() => tellOutsidePipes(pipes, context));
			return pipes;
		})
		.add(key);
}

function tellOutsidePipes(pipes: ReadonlySet<string>, context: DumpContext): void {
	for (const [key, holders] of findHoldersOf(pipes, context))
		log.warn(
			`${key}: its other end belongs to ${showHolders(holders)}; a restore gives the program ` +
				`that end back only with --inherit-fd fd[N]:${key}`,
		);
}

function dumpPipe(file: FdFacts, id: number, context: DumpContext): file_entry {
	const pipeId = pipeIdOf(file);
	if (isReadEnd(file)) dumpPipeData(pipeId, file.ownFd, context, PIPES, isInPackets(file, context));
	else if (isUnread(file, context)) dumpUnread(file, pipeId, context);
	noteOutsideEnds(file, context);
	return create(file_entrySchema, {
		type: fd_types.PIPE,
		id,
		pipe: create(pipe_entrySchema, {
			id,
			pipeId,
			flags: (file.info.flags & ~fcntl.O_CLOEXEC) >>> 0,
			fown: file.fown,
		}),
	});
}

/** A pipe of which some ends are made and others are still to be made. */
interface PipeState {
	/** The task that made it and keeps its ends until all are given away. */
	readonly maker: TaskPlan;
	readonly readEnd: number;
	readonly writeEnd: number;
	/** Access modes whose first descriptor, the one of pipe2, is given away. */
	readonly given: Set<number>;
	/** Descriptions that are still to be made. */
	left: number;
	/** Another task has taken an end. */
	shared: boolean;
}

/** How many descriptions of each pipe the images hold; each is made once, whichever tasks have it. */
function countDescriptions(context: RestoreContext): ReadonlyMap<number, number> {
	return context.once("pipe-counts", () => {
		const counts = new Map<number, number>();
		for (const { pipe: end } of context.files.values())
			if (end !== undefined) counts.set(end.pipeId, (counts.get(end.pipeId) ?? 0) + 1);
		return counts;
	});
}

function makePipe(file: FilePlan, pipeId: number): PipeState {
	const { program, plan, context } = file;
	const kept = keptFilesOf(plan);
	const ends = program.out(8);
	program.syscall(`create pipe ${pipeId}`, SYS_pipe2, [ends, fcntl.O_NONBLOCK], {
		remedies: { ENFILE: "raise the sysctl fs.pipe-user-pages-soft or fs.file-max", EMFILE: "raise ulimit -n for criu" },
	});
	const readEnd = kept.keep(program, loadFrom(ends, 0));
	const writeEnd = kept.keep(program, loadFrom(ends, 4));
	planPipeContent(program, pipeId, writeEnd, plan, context);
	const left = countDescriptions(context).get(pipeId) ?? 1;
	return { maker: plan, readEnd, writeEnd, given: new Set(), left, shared: false };
}

/** One more description of an end: the one that pipe2 made, or one opened through /proc as the original was. */
function planEnd({ program, plan }: FilePlan, pipe: PipeState, { flags, pipeId }: pipe_entry): OpRef {
	const access = flags & fcntl.O_ACCMODE;
	const end = { plan: pipe.maker, number: access === fcntl.O_WRONLY ? pipe.writeEnd : pipe.readEnd };
	const isPlain = access !== fcntl.O_RDWR && (flags & (fcntl.O_LARGEFILE | fcntl.O_PATH)) === 0;
	if (!isPlain || pipe.given.has(access)) return planReopen(program, keptPath(end, plan), `pipe ${pipeId}`, flags);
	pipe.given.add(access);
	const fd = planShare(program, end, plan);
	program.syscall(`set the flags of pipe ${pipeId}`, SYS_fcntl, [fd, fcntl.F_SETFL, flags & SETTABLE]);
	return fd;
}

/** Adds what opens a pipe that the path leads to: packet mode is none that open(2) knows. */
export function planReopen(program: Program, path: Uint8Array, what: string, flags: number): OpRef {
	const wanted = flags & ~(fcntl.O_CLOEXEC | fcntl.O_DIRECT | fcntl.O_NOFOLLOW);
	const fd = program.syscall(`open ${what} again`, SYS_openat, [fcntl.AT_FDCWD, path, wanted, 0]);
	if ((flags & fcntl.O_DIRECT) !== 0 && (flags & fcntl.O_PATH) === 0)
		program.syscall(`set the flags of ${what}`, SYS_fcntl, [fd, fcntl.F_SETFL, flags & SETTABLE]);
	return fd;
}

/** True when a descriptor of ours leads to an anonymous pipe that we may open as `access` says. */
function opensAsPipe(fd: number, access: number): boolean {
	const path = `/proc/self/fd/${fd}`;
	try {
		if (!readlinkSync(path).startsWith("pipe:[")) return false;
		accessSync(path, access === fcntl.O_WRONLY ? constants.W_OK : constants.R_OK);
		return true;
	} catch {
		return false;
	}
}

/**
 * An end that criu was given. Of a pipe the program gets a description of its own, so that its flags don't become the caller's, and
 * either end of it will do; of anything else it shares the caller's, whose position and state count.
 */
function takeOver(file: FilePlan, { pipeId, flags }: pipe_entry): OpRef | undefined {
	const { program, plan, context } = file;
	const key = keyOfPipe(pipeId);
	const given = findInherited(key, context.options);
	if (given !== undefined && opensAsPipe(given.fd, flags & fcntl.O_ACCMODE))
		return planReopen(program, ownFdPath(keepInherited(given, plan)), `fd ${given.fd} as ${key}`, flags);
	const fd = planInherited(program, key, context.options, plan);
	if (fd !== undefined && (flags & fcntl.O_PATH) === 0)
		program.syscall(`set the flags of pipe ${pipeId}`, SYS_fcntl, [fd, fcntl.F_SETFL, flags & SETTABLE]);
	return fd;
}

function planPipe(entry: file_entry, file: FilePlan): OpRef {
	const { program, plan, context } = file;
	const pipe = checkInner(entry.id, "pipe", entry.pipe);
	const { pipeId, flags } = pipe;
	if ((flags & fcntl.O_ACCMODE) === fcntl.O_ACCMODE)
		throw corruptImage("files.img", `pipe ${entry.id} has flags ${flags}`);
	const inherited = takeOver(file, pipe);
	if (inherited !== undefined) return inherited;
	const made = context.once(`pipe:${pipeId}`, () => makePipe(file, pipeId));
	const fd = planEnd(file, made, pipe);
	made.left--;
	if (made.maker !== plan) made.shared = true;
	// What others still have to take stays until all have their files.
	if (made.left > 0 || made.shared) return fd;
	// What nobody here holds goes now: readers must see the end of file.
	const kept = keptFilesOf(plan);
	kept.release(program, made.readEnd);
	kept.release(program, made.writeEnd);
	return fd;
}

/** Anonymous pipes. */
export const pipe: FileKind = {
	name: "pipe",
	type: fd_types.PIPE,
	source: "/proc/PID/fdinfo, tee(2), F_GETPIPE_SZ",
	matches,
	findBlockers: (file, context) => findPacketBlockers(file, PIPES, context),
	dump: dumpPipe,
	plan: planPipe,
};
