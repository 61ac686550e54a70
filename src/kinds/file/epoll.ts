// SPDX-License-Identifier: GPL-2.0-only
// Epoll instances. Their registrations are made when all descriptors of all tasks are in place, each under the number that it
// had, so that the program can change or remove it. Images: files.img (eventpoll_file_entry). Source: epoll(7), epoll_ctl(2).

import type { OpRef, Program } from "../../agent/program.ts";
import type { CriuError } from "../../errors.ts";
import { fd_types, type file_entry, file_entrySchema } from "../../images/gen/fdinfo_pb.ts";
import {
	type eventpoll_file_entry,
	eventpoll_file_entrySchema,
	type eventpoll_tfd_entry,
	eventpoll_tfd_entrySchema,
} from "../../images/gen/file_pb.ts";
import { create, hasField } from "../../images/index.ts";
import * as ev from "../../kernel/abi/event-files.ts";
import { FD_CLOEXEC, O_CLOEXEC } from "../../kernel/abi/fcntl.ts";
import { EPIOCGPARAMS, EPIOCSPARAMS } from "../../kernel/abi/ioctl.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { syscall } from "../../sys/host.ts";
import type {
	DumpContext,
	FdFacts,
	FileFinish,
	FileKind,
	FilePlan,
	FileRef,
	RestoreContext,
	TaskImage,
} from "../kind.ts";
import { checkFlags, findHandleBlockers, hasAnonLink, imageFlags, planFlags, refuseFd } from "./anon-inode.ts";
import { findWatchedFiles, type WatchedFile } from "./epoll-targets.ts";
import { checkInner, corruptImage, MAX_FDS } from "./image-checks.ts";
import { planTake } from "./kept-files.ts";
import { isInFlight, readPoll } from "./open-files.ts";

/** Bits of a registration that stay when a one-shot has fired. Source: fs/eventpoll.c EP_PRIVATE_BITS. */
const LASTING = (ev.EPOLLWAKEUP | ev.EPOLLONESHOT | ev.EPOLLET | ev.EPOLLEXCLUSIVE) >>> 0;
const ALL_EVENTS = ev.EPOLLIN | ev.EPOLLOUT | ev.EPOLLPRI | ev.EPOLLRDNORM | ev.EPOLLWRNORM | ev.EPOLLRDHUP;
/** Epolls that are watched by others are few: the kernel walks through all of them again and again. */
const MAX_NESTED = 4096;
const MAX_NUMBERS_SHOWN = 5;
const TWO32 = 2 ** 32;

const ADD_REMEDIES = {
	EPERM: "the images name a file that can't be watched: dump again",
	ENOSPC: "raise the sysctl fs.epoll.max_user_watches",
	ENOMEM: "free memory",
	ELOOP: "the images nest epolls deeper than this kernel allows",
	EINVAL: "the images hold events that this kernel doesn't know: restore on the kernel of the dump or a newer one",
} as const;

function findEpollBlockers(file: FdFacts, context: DumpContext): CriuError[] {
	const handle = findHandleBlockers(file);
	if (handle.length > 0) return handle;
	const lost = findWatchedFiles(file, context).filter((watched) => watched.file === undefined);
	if (lost.length === 0) return [];
	const numbers = lost.slice(0, MAX_NUMBERS_SHOWN).map(({ target }) => target.tfd);
	const more = lost.length > numbers.length ? ` and ${lost.length - numbers.length} others` : "";
	return [
		refuseFd(
			file,
			`watches files that no descriptor of the tree refers to, added as fd ${numbers.join(", ")}${more}`,
			"let the program remove them from the epoll, or keep them open",
		),
	];
}

/** `single`: there's only one table of descriptors in which numbers could be looked up. */
function encodeTarget({ target, file }: WatchedFile, single: boolean): eventpoll_tfd_entry {
	const { tfd, events, data, ino, pos, sdev } = target;
	const number = file?.fd ?? tfd;
	const entry = create(eventpoll_tfd_entrySchema, {
		id: 0,
		tfd: number,
		events,
		data,
		...(sdev === undefined || ino === undefined || pos === undefined ? {} : { dev: sdev, inode: ino, pos }),
		...(number === tfd ? {} : { addedAs: tfd }),
		...(file === undefined || single ? {} : { holder: file.task.vpid }),
	});
	if (isDisarmed(entry) && file !== undefined) entry.ready = readPoll(file.ownFd, ALL_EVENTS);
	return entry;
}

/** How an epoll polls network devices; 0 when it doesn't, or on kernels before 6.9. */
function readBusyPoll(file: FdFacts): bigint {
	const params = new BigUint64Array(1);
	return syscall(nr.SYS_ioctl, file.ownFd, EPIOCGPARAMS, params) < 0 ? 0n : (params[0] ?? 0n);
}

function dumpEpoll(file: FdFacts, id: number, context: DumpContext): file_entry {
	const busyPoll = readBusyPoll(file);
	// One that's on its way through a socket is in no table.
	const single = context.tasks.length === 1 && !isInFlight(file);
	return create(file_entrySchema, {
		type: fd_types.EVENTPOLL,
		id,
		epfd: create(eventpoll_file_entrySchema, {
			id,
			flags: imageFlags(file),
			fown: file.fown,
			tfd: findWatchedFiles(file, context).map((watched) => encodeTarget(watched, single)),
			...(busyPoll === 0n ? {} : { busyPoll }),
		}),
	});
}

function planEpoll(entry: file_entry, { program }: FilePlan): OpRef {
	const { id, flags, busyPoll } = checkInner(entry.id, "epoll", entry.epfd);
	checkFlags(id, flags);
	const fd = program.syscall(`make epoll ${id}`, nr.SYS_epoll_create1, [0]);
	if (busyPoll !== 0n)
		program.syscall(
			`set the busy polling of epoll ${id}`,
			nr.SYS_ioctl,
			[fd, EPIOCSPARAMS, new Uint8Array(BigUint64Array.of(busyPoll).buffer)],
			{ remedies: { "": "this kernel can't poll network devices in that way: restore on the kernel of the dump" } },
		);
	planFlags(program, fd, flags, 0);
	return fd;
}

function idsByNumber(image: TaskImage, context: RestoreContext): ReadonlyMap<number, number> {
	return context.once(`ids-by-fd:${image.tid}`, () => new Map(image.fds.map(({ fd, id }) => [fd, id])));
}

/** Gives the ids of the files that registrations watch: by number in the table of the task that has them. */
function targetFinder(epoll: eventpoll_file_entry, { holders, context }: FileFinish) {
	const having = new Set(holders);
	// Images of CRIU don't tell whose number it is: it comes first upon tasks that are early in the tree.
	const likely = having.size === 0 ? context.tasks : context.tasks.filter((image) => having.has(image));
	const byPid = context.once("tasks-by-pid", () => new Map(context.tasks.map((image) => [image.tid, image])));
	return (target: eventpoll_tfd_entry): number => {
		const holder = byPid.get(target.holder);
		const images = hasField(target, "holder") ? (holder === undefined ? [] : [holder]) : likely;
		for (const image of images) {
			const found = idsByNumber(image, context).get(target.tfd);
			if (found !== undefined) return found;
		}
		throw corruptImage("files.img", `epoll ${epoll.id} watches fd ${target.tfd}, which isn't open`);
	};
}

/** Which epoll watches which, by the ids of files. @throws ImageError when they watch each other in a circle */
class Nesting {
	private readonly watched = new Map<number, number[]>();
	private count = 0;

	add(epoll: number, target: number): void {
		if (++this.count > MAX_NESTED) throw corruptImage("files.img", `epolls watch epolls more than ${MAX_NESTED} times`);
		const targets = this.watched.get(epoll) ?? [];
		this.watched.set(epoll, targets);
		targets.push(target);
		const reached = new Set([target]);
		for (const at of reached) for (const next of this.watched.get(at) ?? []) reached.add(next);
		if (reached.has(epoll)) throw corruptImage("files.img", `epoll ${epoll} watches itself`);
	}
}

/** A one-shot that has fired and waits to be armed again. */
function isDisarmed({ events }: eventpoll_tfd_entry): boolean {
	return (events & ev.EPOLLONESHOT) !== 0 && (events & ~LASTING) === 0;
}

/** Adds the registration of the open descriptor `number`. */
function planAdd(program: Program, epoll: number, number: number, target: eventpoll_tfd_entry): void {
	const { events, data, ready } = target;
	// What has fired must not tell of errors and hang-ups either, which any new registration does: so it fires once.
	const fires = isDisarmed(target) && ready !== 0;
	const event = new Uint8Array(ev.EpollEvent.size);
	const view = viewOf(event);
	view.setUint32(ev.EpollEvent.offsets.events, fires ? events | ready : events, true);
	view.setBigUint64(ev.EpollEvent.offsets.data, data, true);
	program.syscall(() => `watch fd ${number}`, nr.SYS_epoll_ctl, [epoll, ev.EPOLL_CTL_ADD, number, event], {
		remedies: ADD_REMEDIES,
	});
	if (!fires) return;
	const out = program.out(ev.EpollEvent.size);
	program.syscall(`let the watch of fd ${number} fire`, nr.SYS_epoll_pwait, [epoll, out, 1, 0, 0, 0]);
}

/** Adds a registration of a file that doesn't have the number under which it was added, by giving it that for a moment. */
function planAddAs(file: FileFinish, ref: FileRef, number: number, target: eventpoll_tfd_entry): void {
	const { program, plan, image } = file;
	const place = plan.numbers.reserve("watched file");
	const taken = planTake(program, ref, plan);
	program.syscall("move it out of the way", nr.SYS_dup3, [taken, place, 0]);
	program.syscall("close the first copy", nr.SYS_close, [taken]);
	const other = image.fds.find(({ fd }) => fd === number);
	const saved = other === undefined ? undefined : program.syscall("save a number", nr.SYS_dup, [number]);
	program.syscall(`make it fd ${number}`, nr.SYS_dup3, [place, number, 0], {
		remedies: { EBADF: "raise the limit of descriptors for criu: ulimit -Hn 1048576" },
	});
	planAdd(program, file.number, number, target);
	if (saved === undefined || other === undefined) program.syscall("free the number", nr.SYS_close, [number]);
	else {
		const flags = (other.flags & FD_CLOEXEC) !== 0 ? O_CLOEXEC : 0;
		program.syscall("give the number back", nr.SYS_dup3, [saved, number, flags]);
		program.syscall("close the saved number", nr.SYS_close, [saved]);
	}
	program.syscall("close the copy", nr.SYS_close, [place]);
}

/** Adds all registrations, by the task that made the epoll. */
function finishEpoll(entry: file_entry, file: FileFinish): void {
	const epoll = checkInner(entry.id, "epoll", entry.epfd);
	const { context, image, program } = file;
	const nesting = context.once("epoll-nesting", () => new Nesting());
	const added = new Set<number>();
	const ordered = [...epoll.tfd.filter(isDisarmed), ...epoll.tfd.filter((target) => !isDisarmed(target))];
	const own = idsByNumber(image, context);
	const findId = targetFinder(epoll, file);
	for (const target of ordered) {
		const id = findId(target);
		const number = hasField(target, "addedAs") ? target.addedAs : target.tfd;
		if (number >= MAX_FDS) throw corruptImage("files.img", `epoll ${epoll.id} watches fd ${number}`);
		const key = number * TWO32 + id;
		if (added.has(key)) throw corruptImage("files.img", `epoll ${epoll.id} watches fd ${number} twice`);
		added.add(key);
		if (context.files.get(id)?.type === fd_types.EVENTPOLL) nesting.add(epoll.id, id);
		const ref = file.find(id);
		if (ref === undefined) throw corruptImage("files.img", `epoll ${epoll.id} watches file ${id}, which nobody has`);
		if (own.get(number) === id) planAdd(program, file.number, number, target);
		else planAddAs(file, ref, number, target);
	}
}

/** Numbers under which files were added to epolls: whoever adds them again needs these for a moment. */
export function listWatchedNumbers(files: Iterable<file_entry>): number[] {
	const numbers: number[] = [];
	for (const { epfd } of files)
		for (const target of epfd?.tfd ?? []) numbers.push(hasField(target, "addedAs") ? target.addedAs : target.tfd);
	return numbers.filter((number) => number < MAX_FDS);
}

/** Epoll instances. */
export const epoll: FileKind = {
	name: "epoll",
	type: fd_types.EVENTPOLL,
	source: "/proc/PID/fdinfo, kcmp(2)",
	matches: hasAnonLink("[eventpoll]"),
	findBlockers: findEpollBlockers,
	dump: dumpEpoll,
	plan: planEpoll,
	finish: finishEpoll,
};
