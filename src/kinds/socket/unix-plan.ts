// SPDX-License-Identifier: GPL-2.0-only
// Unix sockets, restore half: whoever needs a socket first makes it, and with it the other end of a pair. Queues that bring
// files, and connections to sockets of other tasks, have to wait for the last task (unix-late.ts).

import { loadFrom, type Program } from "../../agent/program.ts";
import { BugError } from "../../errors.ts";
import type { file_entry } from "../../images/gen/fdinfo_pb.ts";
import * as fcntl from "../../kernel/abi/fcntl.ts";
import { TCP_ESTABLISHED, TCP_LISTEN } from "../../kernel/abi/inet.ts";
import { AF_UNIX, MSG_DONTWAIT, MSG_NOSIGNAL, SOCK_DGRAM, SOCK_NONBLOCK } from "../../kernel/abi/socket.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { planSignals } from "../file/anon-inode.ts";
import { corruptImage } from "../file/image-checks.ts";
import { keyOfSocket, planInherited } from "../file/inherit-fd.ts";
import { keptFilesOf, planShare } from "../file/kept-files.ts";
import type { FdArg, FileFinish, FilePlan, FileRef, RestoreContext } from "../kind.ts";
import { UNIX_EXTRAS } from "./extra-options.ts";
import { planReuse, planSkFilter, planSkOpts } from "./sk-opts.ts";
import { nameKey, planAddressOf, planBind, planBindConnected } from "./unix-bind.ts";
import { planFill } from "./unix-fill.ts";
import { isIntricate, nameModel, type UnixModel, unixModelsOf } from "./unix-model.ts";
import { planAnswer } from "./unix-service.ts";
import { type BufferSizes, usualBuffers } from "./usual-buffers.ts";

/** Flags that F_SETFL changes, but for signals. */
const SETTABLE = fcntl.O_NONBLOCK | fcntl.O_APPEND | fcntl.O_NOATIME;
const MAKE_REMEDIES = {
	EMFILE: "raise the limit of descriptors for criu: ulimit -Hn 1048576",
	ENFILE: "raise the sysctl fs.file-max",
} as const;

/** What is made and what is still to be done, for all tasks of a restore. */
export interface Workshop {
	/** Ends that nobody has taken yet, by who keeps them. */
	readonly waiting: Map<UnixModel, FileRef>;
	/** Ends that belong to no file: they fill the queue of a socket, then they're closed. */
	readonly helpers: Map<UnixModel, FileRef>;
	/** Sockets whose queues the last task fills, and that get their options then. */
	readonly intricate: UnixModel[];
	/** Sockets that the last task connects. */
	readonly connecting: UnixModel[];
	/** Sockets that have to lose the peer that they were made with. */
	readonly leaving: UnixModel[];
}

export function workshopOf(context: RestoreContext): Workshop {
	return context.once("unix-workshop", () => ({
		waiting: new Map(),
		helpers: new Map(),
		intricate: [],
		connecting: [],
		leaving: [],
	}));
}

/** Flags with which a new socket is made. */
function makingFlags(...models: readonly UnixModel[]): number {
	return models.every(({ entry }) => (entry.flags & fcntl.O_NONBLOCK) !== 0) ? SOCK_NONBLOCK : 0;
}

export function planSocket(program: Program, type: number, what: string): FdArg {
	return program.syscall(`make ${what}`, nr.SYS_socket, [AF_UNIX, type, 0], { remedies: MAKE_REMEDIES });
}

function planPair(program: Program, type: number, what: string): readonly [FdArg, FdArg] {
	const ends = program.out(8);
	program.syscall(`make ${what}`, nr.SYS_socketpair, [AF_UNIX, type, 0, ends], { remedies: MAKE_REMEDIES });
	return [loadFrom(ends, 0), loadFrom(ends, 4)];
}

/**
 * Adds what a socket gets when its queue is filled: options, filter, flags. `made`: flags that it has from the start; `has`: sizes of
 * its buffers that are still as they were made.
 */
export function planState(
	program: Program,
	fd: FdArg,
	{ id, entry, opts }: UnixModel,
	made: number,
	has?: BufferSizes,
): void {
	planSkOpts(program, fd, id, opts, UNIX_EXTRAS, has);
	planReuse(program, fd, opts);
	planSkFilter(program, fd, opts);
	const wanted = entry.flags & SETTABLE;
	if (wanted !== made) program.syscall("set the flags of a socket", nr.SYS_fcntl, [fd, fcntl.F_SETFL, wanted]);
}

/** Adds what ends one direction of a socket or both. */
export function planShutdown(program: Program, fd: FdArg, { entry, making }: UnixModel): void {
	const ended = making === "orphan" && entry.type !== SOCK_DGRAM;
	if (entry.shutdown === 0 || ended) return;
	program.syscall("end a direction of a socket", nr.SYS_shutdown, [fd, entry.shutdown - 1]);
}

/** Names of listening sockets. */
function listenerNames({ context }: FilePlan): ReadonlySet<string> {
	return context.once("unix-listeners", () => {
		const names = new Set<string>();
		for (const { entry } of unixModelsOf(context).byId.values())
			if (entry.state === TCP_LISTEN) names.add(nameKey(entry.name));
		return names;
	});
}

function planName(file: FilePlan, fd: FdArg, model: UnixModel): void {
	const { type, state } = model.entry;
	if (type !== SOCK_DGRAM && state === TCP_ESTABLISHED) planBindConnected(file, fd, model, listenerNames(file));
	else planBind(file, fd, model);
}

function makePair(model: UnixModel, peer: UnixModel, file: FilePlan, shop: Workshop): FdArg {
	const { program, plan } = file;
	const flags = makingFlags(model, peer);
	const both = [model, peer] as const;
	const what = `${nameModel(model)} and ${nameModel(peer)}`;
	const fds = planPair(program, model.entry.type | flags, what);
	const [fd, other] = fds;
	for (const [i, one] of both.entries()) planName(file, fds[i] as FdArg, one);
	if (both.some(isIntricate)) shop.intricate.push(...both);
	else {
		const usual = usualBuffers(file.context);
		const changesOther = planFill(file, other, model);
		const changed = [planFill(file, fd, peer), changesOther];
		for (const [i, one] of both.entries())
			planState(program, fds[i] as FdArg, one, flags, changed[i] === true ? undefined : usual);
		for (const [i, one] of both.entries()) planShutdown(program, fds[i] as FdArg, one);
	}
	shop.waiting.set(peer, { plan, number: keptFilesOf(plan).keep(program, other) });
	return fd;
}

/** A socket whose peer is gone. */
function makeOrphan(model: UnixModel, file: FilePlan, shop: Workshop): FdArg {
	const { program, plan } = file;
	const flags = makingFlags(model);
	const [fd, helper] = planPair(program, model.entry.type | flags, nameModel(model));
	planName(file, fd, model);
	if (isIntricate(model)) {
		shop.helpers.set(model, { plan, number: keptFilesOf(plan).keep(program, helper) });
		shop.intricate.push(model);
		return fd;
	}
	planFill(file, helper, model);
	planReset(program, fd, model);
	program.syscall("close the other end", nr.SYS_close, [helper]);
	planState(program, fd, model, flags, usualBuffers(file.context));
	planShutdown(program, fd, model);
	return fd;
}

/** The socket by which the program had asked for its dump. */
function makeService(model: UnixModel, { program }: FilePlan): FdArg {
	const flags = makingFlags(model);
	const [fd, other] = planPair(program, model.entry.type | flags, nameModel(model));
	planAnswer(program, other);
	planState(program, fd, model, flags);
	return fd;
}

/** A peer that is closed with unread data leaves an error behind. */
export function planReset(program: Program, fd: FdArg, { entry }: UnixModel): void {
	if (!entry.reset) return;
	program.syscall("leave data unread", nr.SYS_sendto, [fd, new Uint8Array([0]), 1, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0]);
}

/** A socket that can only be reached by the one that it's made with, and that one. */
function makeReachable(sender: UnixModel, model: UnixModel, file: FilePlan, shop: Workshop, wanted: UnixModel): FdArg {
	const { program, plan } = file;
	const flags = makingFlags(sender, model);
	const what = `${nameModel(sender)} and ${nameModel(model)}`;
	const [from, to] = planPair(program, SOCK_DGRAM | flags, what);
	planBind(file, from, sender);
	if (isIntricate(sender)) shop.intricate.push(sender);
	else planFill(file, to, sender);
	for (const [one, fd] of [
		[sender, from],
		[model, to],
	] as const) {
		if (one === sender && isIntricate(sender)) continue;
		planState(program, fd, one, flags);
		planShutdown(program, fd, one);
	}
	(model.peer === undefined ? shop.leaving : shop.connecting).push(model);
	const [fd, other, left] = wanted === sender ? [from, to, model] : [to, from, sender];
	shop.waiting.set(left, { plan, number: keptFilesOf(plan).keep(program, other) });
	return fd;
}

function makeAlone(model: UnixModel, file: FilePlan, shop: Workshop): FdArg {
	const { program } = file;
	const { entry, peer, queue } = model;
	const flags = makingFlags(model);
	const fd = planSocket(program, entry.type | flags, nameModel(model));
	planName(file, fd, model);
	if (entry.state === TCP_LISTEN) program.syscall(`let ${nameModel(model)} listen`, nr.SYS_listen, [fd, entry.backlog]);
	if (peer !== undefined) shop.connecting.push(model);
	if (isIntricate(model) || (peer === model && queue.length > 0)) {
		shop.intricate.push(model);
		return fd;
	}
	if (queue.length > 0) {
		const helper = planSocket(program, entry.type, "a socket that sends");
		const { address, release } = planAddressOf(program, fd, model, file.plan);
		program.syscall("connect it", nr.SYS_connect, [helper, address, address.length]);
		planFill(file, helper, model);
		program.syscall("close it", nr.SYS_close, [helper]);
		release();
	}
	planState(program, fd, model, flags, usualBuffers(file.context));
	planShutdown(program, fd, model);
	return fd;
}

function make(model: UnixModel, file: FilePlan, shop: Workshop): FdArg {
	const { making, peer, sender, entry } = model;
	switch (making) {
		case "pair":
			if (peer === undefined) throw new BugError("half a pair");
			return makePair(model, peer, file, shop);
		case "orphan":
			return makeOrphan(model, file, shop);
		case "alone":
			if (sender !== undefined) return makeReachable(sender, model, file, shop, model);
			if (peer?.sender === model) return makeReachable(model, peer, file, shop, model);
			return makeAlone(model, file, shop);
		case "service":
			return makeService(model, file);
		case "given": {
			const key = keyOfSocket(entry.ino);
			const fd = planInherited(file.program, key, file.context.options, file.plan);
			if (fd === undefined) throw new BugError(`no descriptor for ${key}`);
			return fd;
		}
		case "outside":
			throw corruptImage("files.img", `a descriptor refers to ${nameModel(model)}, which is outside of the dump`);
	}
}

/** Adds what gives a socket: it's made now, or it was with another one. @throws ImageError, CriuError */
export function planUnix({ id }: file_entry, file: FilePlan): FdArg {
	const { program, plan, context } = file;
	const model = unixModelsOf(context).byId.get(id);
	if (model === undefined) throw corruptImage("files.img", `entry ${id} has no unix socket`);
	const shop = workshopOf(context);
	const waiting = shop.waiting.get(model);
	if (waiting === undefined) return make(model, file, shop);
	shop.waiting.delete(model);
	return waiting.plan === plan ? keptFilesOf(plan).give(waiting.number) : planShare(program, waiting, plan);
}

/** Adds what waits until all queues are full. */
export function finishUnix({ usk }: file_entry, { program, number }: FileFinish): void {
	if (usk !== undefined) planSignals(program, number, usk.flags);
}
