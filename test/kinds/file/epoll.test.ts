// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { fd_types, fdinfo_entrySchema, type file_entry, file_entrySchema } from "../../../src/images/gen/fdinfo_pb.ts";
import {
	eventfd_file_entrySchema,
	eventpoll_file_entrySchema,
	type eventpoll_tfd_entry,
	eventpoll_tfd_entrySchema,
} from "../../../src/images/gen/file_pb.ts";
import { create } from "../../../src/images/index.ts";
import * as ev from "../../../src/kernel/abi/event-files.ts";
import { O_CLOEXEC, O_NONBLOCK, O_RDWR } from "../../../src/kernel/abi/fcntl.ts";
import { viewOf } from "../../../src/kernel/abi/struct.ts";
import * as nr from "../../../src/kernel/abi/syscalls.x86_64.ts";
import { epoll, listWatchedNumbers } from "../../../src/kinds/file/epoll.ts";
import { findWatchedFiles } from "../../../src/kinds/file/epoll-targets.ts";
import { fdFinish, fdTable } from "../../../src/kinds/file/fd-table.ts";
import { emptyFown } from "../../../src/kinds/file/fown.ts";
import type { DumpedTask, FdFacts, TaskImage, TaskPlan } from "../../../src/kinds/kind.ts";
import { mustSyscall } from "../../../src/sys/host.ts";
import { emptyDraft, imageOf } from "../task/fixtures.ts";
import { codeOf, fileDump, filePlan, fileRestore, OwnFds, ownFile, TempDir } from "./fixtures.ts";

function add(epollFd: number, fd: number, events: number, data: bigint): void {
	const event = ev.EpollEvent.encode({ events: events >>> 0, data });
	mustSyscall("", nr.SYS_epoll_ctl, epollFd, ev.EPOLL_CTL_ADD, fd, event);
}

/** A dump of a tree whose only task has these descriptors of ours. */
function dumpOf(fds: readonly number[]) {
	const files = fds.map(ownFile);
	const task = files[0]?.task as DumpedTask;
	const own = files.map((file): FdFacts => ({ ...file, task }));
	const context = { ...fileDump(undefined), tasks: [task] };
	context.once(`fds:${task.pid}`, () => own);
	return { context, file: own[0] as FdFacts };
}

describe("what an epoll watches", () => {
	test("is found by number, and by kcmp where the number is another's", () => {
		using fds = new OwnFds();
		const watch = fds.make(nr.SYS_epoll_create1, 0);
		const one = fds.make(nr.SYS_eventfd2, 0, 0);
		const two = fds.make(nr.SYS_eventfd2, 0, 0);
		const moved = fds.make(nr.SYS_fcntl, two, 0, 600);
		add(watch, one, ev.EPOLLIN, 11n);
		add(watch, moved, ev.EPOLLOUT, 12n);
		mustSyscall("", nr.SYS_dup3, one, moved, 0);
		const { context, file } = dumpOf([watch, one, two, moved]);
		const found = findWatchedFiles(file, context).map((watched) => [watched.target.data, watched.file?.fd]);
		expect(new Map(found as [bigint, number][])).toEqual(
			new Map([
				[11n, one],
				[12n, two],
			]),
		);
		expect(epoll.findBlockers?.(file, context)).toEqual([]);
		const entry = epoll.dump(file, 5, context);
		const targets = [...(entry.epfd?.tfd ?? [])].sort((a, b) => Number(a.data - b.data));
		expect(targets).toMatchObject([
			{ tfd: one, data: 11n },
			{ tfd: two, data: 12n, addedAs: moved },
		]);
		expect(listWatchedNumbers([entry]).sort()).toEqual([one, moved].sort());
	});

	test("is refused when no descriptor refers to it", () => {
		using fds = new OwnFds();
		const watch = fds.make(nr.SYS_epoll_create1, 0);
		const one = fds.make(nr.SYS_eventfd2, 0, 0);
		const other = fds.make(nr.SYS_eventfd2, 0, 0);
		add(watch, one, ev.EPOLLIN, 1n);
		const { context, file } = dumpOf([watch, other]);
		const found = epoll.findBlockers?.(file, context) ?? [];
		expect(found.map(({ code }) => code)).toEqual(["UNSUPPORTED_FILE"]);
		expect(found[0]?.message).toContain(`added as fd ${one}`);
	});

	test("tells what a one-shot that has fired is ready for", () => {
		using fds = new OwnFds();
		const watch = fds.make(nr.SYS_epoll_create1, 0);
		const one = fds.make(nr.SYS_eventfd2, 1, 0);
		add(watch, one, ev.EPOLLIN | ev.EPOLLONESHOT, 1n);
		mustSyscall("", nr.SYS_epoll_pwait, watch, new Uint8Array(12), 1, 0, 0, 0);
		const { context, file } = dumpOf([watch, one]);
		const [target] = epoll.dump(file, 5, context).epfd?.tfd ?? [];
		expect(target).toMatchObject({ events: ev.EPOLLONESHOT });
		expect((target?.ready ?? 0) & (ev.EPOLLIN | ev.EPOLLOUT)).toBe(ev.EPOLLIN | ev.EPOLLOUT);
	});
});

type Target = Partial<eventpoll_tfd_entry>;

function epollEntry(id: number, targets: readonly Target[], flags = O_RDWR): file_entry {
	const tfd = targets.map(({ $typeName: _, ...rest }) =>
		create(eventpoll_tfd_entrySchema, { id: 0, tfd: 0, events: ev.EPOLLIN, data: 0n, ...rest }),
	);
	const epfd = create(eventpoll_file_entrySchema, { id, flags, fown: emptyFown(), tfd });
	return create(file_entrySchema, { type: fd_types.EVENTPOLL, id, epfd });
}

function eventEntry(id: number): file_entry {
	const efd = create(eventfd_file_entrySchema, { id, flags: O_RDWR, fown: emptyFown(), counter: 0n });
	return create(file_entrySchema, { type: fd_types.EVENTFD, id, efd });
}

/** A task with these descriptors: number, id, close-on-exec. */
function taskOf(pid: number, entries: readonly file_entry[], fds: readonly (readonly [number, number, boolean?])[]) {
	const types = new Map(entries.map(({ id, type }) => [id, type]));
	const image = imageOf(pid, {
		...emptyDraft(),
		fds: fds.map(([fd, id, cloexec]) =>
			create(fdinfo_entrySchema, { id, fd, flags: cloexec === true ? 1 : 0, type: types.get(id) ?? fd_types.UND }),
		),
	});
	return { image: { ...image, ids: { ...image.ids, filesId: pid } }, plan: { ...filePlan(), pid } };
}

/** Plans the tables of all tasks, and what comes when they're complete. */
function planTables(entries: readonly file_entry[], tasks: readonly { image: TaskImage; plan: TaskPlan }[]): void {
	using dir = new TempDir();
	const context = { ...fileRestore(dir.images, entries), tasks: tasks.map(({ image }) => image) };
	for (const { image, plan } of tasks) fdTable.plan?.(image, plan, context);
	for (const { image, plan } of tasks) fdFinish.plan?.(image, plan, context);
}

function additions(plan: TaskPlan) {
	return plan.programs.release.ops
		.filter((op) => op.nr === nr.SYS_epoll_ctl)
		.map(({ args: [on, , fd, event] }) => ({
			on,
			fd,
			...(event instanceof Uint8Array ? ev.EpollEvent.read(viewOf(event)) : {}),
		}));
}

describe("the plan of an epoll", () => {
	test("adds what it watches when all is in place", () => {
		const entries = [epollEntry(1, [{ tfd: 9, data: 5n }], O_RDWR | O_NONBLOCK), eventEntry(2)];
		const task = taskOf(100, entries, [
			[4, 1],
			[9, 2],
		]);
		planTables(entries, [task]);
		const { files, release } = task.plan.programs;
		expect(files.ops.some((op) => op.nr === nr.SYS_epoll_ctl)).toBe(false);
		expect(additions(task.plan)).toEqual([{ on: 4, fd: 9, events: ev.EPOLLIN, data: 5n }]);
		expect(release.ops).toHaveLength(1);
		expect(files.ops.some((op) => op.nr === nr.SYS_fcntl && op.args[2] === O_NONBLOCK)).toBe(true);
	});

	test("gives a file another number for a moment, and that back to its owner", () => {
		const entries = [epollEntry(1, [{ tfd: 9, addedAs: 5 }]), eventEntry(2), eventEntry(3)];
		const task = taskOf(100, entries, [
			[4, 1],
			[9, 2],
			[5, 3, true],
		]);
		planTables(entries, [task]);
		const dups = task.plan.programs.release.ops.filter((op) => op.nr === nr.SYS_dup3).map(({ args }) => args);
		expect(dups.map((args) => args.slice(1))).toEqual([
			[expect.any(Number), 0],
			[5, 0],
			[5, O_CLOEXEC],
		]);
		expect(additions(task.plan)).toMatchObject([{ on: 4, fd: 5 }]);
	});

	test("takes a file from another task, also from one that's made later", () => {
		const entries = [epollEntry(1, [{ tfd: 7, holder: 101 }]), eventEntry(2)];
		const parent = taskOf(100, entries, [[4, 1]]);
		const child = taskOf(101, entries, [
			[4, 1],
			[7, 2],
		]);
		planTables(entries, [parent, child]);
		const taken = parent.plan.programs.release.ops.find((op) => op.nr === nr.SYS_pidfd_getfd);
		expect(taken?.args[1]).toBe(7);
		expect(additions(parent.plan)).toMatchObject([{ on: 4, fd: 7 }]);
		expect([...parent.plan.awaits]).toEqual([]);
		expect(additions(child.plan)).toEqual([]);
	});

	test("finds numbers of images of the peer in the table of whoever has the epoll", () => {
		const entries = [epollEntry(1, [{ tfd: 7 }]), eventEntry(2)];
		const parent = taskOf(100, entries, [[4, 1]]);
		const child = taskOf(101, entries, [
			[4, 1],
			[7, 2],
		]);
		planTables(entries, [parent, child]);
		expect(additions(parent.plan)).toMatchObject([{ fd: 7 }]);
	});

	test("lets one-shots fire that have fired, before all others", () => {
		const targets = [
			{ tfd: 5, data: 1n },
			{ tfd: 6, data: 2n, events: ev.EPOLLONESHOT, ready: ev.EPOLLOUT },
		];
		const entries = [epollEntry(1, targets), eventEntry(2), eventEntry(3)];
		const task = taskOf(100, entries, [
			[4, 1],
			[5, 2],
			[6, 3],
		]);
		planTables(entries, [task]);
		expect(task.plan.programs.release.ops.map((op) => op.nr)).toEqual([
			nr.SYS_epoll_ctl,
			nr.SYS_epoll_pwait,
			nr.SYS_epoll_ctl,
		]);
		expect(additions(task.plan)[0]).toMatchObject({ fd: 6, events: ev.EPOLLONESHOT | ev.EPOLLOUT });
	});

	const twoEpolls = (first: readonly Target[], second: readonly Target[]) => {
		const entries = [epollEntry(1, first), epollEntry(2, second)];
		return () =>
			planTables(entries, [
				taskOf(100, entries, [
					[4, 1],
					[5, 2],
				]),
			]);
	};
	test.each([
		["a number that isn't open", twoEpolls([{ tfd: 6 }], [])],
		["a number beyond all limits", twoEpolls([{ tfd: 5, addedAs: 0xffffffff }], [])],
		["a file twice", twoEpolls([{ tfd: 5 }, { tfd: 5 }], [])],
		["itself", twoEpolls([{ tfd: 4 }], [])],
		["one that watches it", twoEpolls([{ tfd: 5 }], [{ tfd: 4 }])],
		["a task that isn't there", twoEpolls([{ tfd: 5, holder: 9999 }], [])],
	])("refuses %s", (_, run) => {
		expect(codeOf(run)).toBe("IMAGE_CORRUPT");
	});

	test("refuses long circles and chains", () => {
		const ring = (length: number, last: number) => () => {
			const entries = Array.from({ length }, (_unused, i) =>
				epollEntry(i + 1, i + 1 < length ? [{ tfd: 11 + i }] : last < 0 ? [] : [{ tfd: 10 + last }]),
			);
			planTables(entries, [
				taskOf(
					100,
					entries,
					entries.map(({ id }) => [9 + id, id]),
				),
			]);
		};
		expect(codeOf(ring(4, 0))).toBe("IMAGE_CORRUPT");
		expect(codeOf(ring(4, 2))).toBe("IMAGE_CORRUPT");
		expect(codeOf(ring(6000, -1))).toBe("IMAGE_CORRUPT");
		expect(codeOf(ring(4, -1))).toBe("nothing");
	});

	test("allows one to be watched by two ways", () => {
		const entries = [epollEntry(1, [{ tfd: 5 }, { tfd: 6 }]), epollEntry(2, [{ tfd: 6 }]), epollEntry(3, [])];
		const task = taskOf(100, entries, [
			[4, 1],
			[5, 2],
			[6, 3],
		]);
		planTables(entries, [task]);
		expect(additions(task.plan)).toHaveLength(3);
	});
});
