// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { fd_types, type file_entry, file_entrySchema } from "../../../src/images/gen/fdinfo_pb.ts";
import { type eventfd_file_entry, eventfd_file_entrySchema } from "../../../src/images/gen/file_pb.ts";
import { create } from "../../../src/images/index.ts";
import { EFD_NONBLOCK, EFD_SEMAPHORE } from "../../../src/kernel/abi/event-files.ts";
import { O_APPEND, O_CLOEXEC, O_NONBLOCK, O_PATH, O_RDWR } from "../../../src/kernel/abi/fcntl.ts";
import { SYS_eventfd2, SYS_fcntl, SYS_write } from "../../../src/kernel/abi/syscalls.x86_64.ts";
import { readFdinfo } from "../../../src/kernel/procfs/fdinfo.ts";
import { eventfd, probeSemaphore } from "../../../src/kinds/file/eventfd.ts";
import { emptyFown } from "../../../src/kinds/file/fown.ts";
import { openAt } from "../../../src/sys/file.ts";
import { codeOf, fileDump, fileRestore, OwnFds, ownFile, planEntry, TempDir } from "./fixtures.ts";

const MAX = (1n << 64n) - 1n;

function entryOf(fields: Partial<eventfd_file_entry>): file_entry {
	const { $typeName: _, ...rest } = fields;
	const efd = create(eventfd_file_entrySchema, { id: 1, flags: O_RDWR, fown: emptyFown(), counter: 0n, ...rest });
	return create(file_entrySchema, { type: fd_types.EVENTFD, id: 1, efd });
}

function plan(fields: Partial<eventfd_file_entry>) {
	using dir = new TempDir();
	return planEntry(eventfd, entryOf(fields), fileRestore(dir.images)).ops;
}

describe("a dump of an eventfd", () => {
	test.each([
		["a plain one", 5, EFD_NONBLOCK, { counter: 5n, flags: O_RDWR | O_NONBLOCK, semaphore: false }],
		["a semaphore", 7, EFD_SEMAPHORE | O_CLOEXEC, { counter: 7n, flags: O_RDWR, semaphore: true }],
	])("tells counter and flags: %s", (_, initial, flags, wanted) => {
		using fds = new OwnFds();
		const file = ownFile(fds.make(SYS_eventfd2, initial, flags));
		expect(eventfd.matches(file)).toBe(true);
		expect(eventfd.findBlockers?.(file, fileDump(undefined))).toEqual([]);
		expect(eventfd.dump(file, 9, fileDump(undefined))).toMatchObject({ type: fd_types.EVENTFD, id: 9, efd: wanted });
	});

	test("is refused for a handle", () => {
		using fds = new OwnFds();
		const fd = fds.make(SYS_eventfd2, 0, 0);
		using handle = new OwnFds();
		const path = openAt(`/proc/self/fd/${fd}`, O_PATH);
		handle.make(SYS_fcntl, path, 0, 0);
		const found = eventfd.findBlockers?.(ownFile(path), fileDump(undefined)) ?? [];
		expect(found.map(({ code }) => code)).toEqual(["UNSUPPORTED_FILE"]);
		expect(found[0]?.message).toContain("O_PATH");
	});

	test("is refused when it has overflowed", () => {
		using fds = new OwnFds();
		const file = ownFile(fds.make(SYS_eventfd2, 0, 0));
		const kind = { type: "eventfd", count: MAX, id: 1, semaphore: false } as const;
		const found = eventfd.findBlockers?.({ ...file, info: { ...file.info, kind } }, fileDump(undefined)) ?? [];
		expect(found.map(({ code }) => code)).toEqual(["UNSUPPORTED_FILE"]);
	});
});

describe("the probe of kernels that don't tell semaphores", () => {
	test.each([0, 1, 2, 3, 1000].flatMap((count) => [0, EFD_SEMAPHORE].map((flag) => [count, flag] as const)))(
		"finds it out and changes nothing: counter %d, flags %d",
		(count, flag) => {
			using fds = new OwnFds();
			const fd = fds.make(SYS_eventfd2, count, flag);
			const before = readFdinfo("self", fd);
			expect(probeSemaphore(fd, BigInt(count), before.flags)).toBe(flag !== 0);
			expect(readFdinfo("self", fd)).toEqual(before);
		},
	);
});

describe("the plan of an eventfd", () => {
	test("makes it with counter and flags at once", () => {
		const ops = plan({ counter: 90n, flags: O_RDWR | O_NONBLOCK, semaphore: true });
		expect(ops.map(({ nr, args }) => [nr, ...args])).toEqual([[SYS_eventfd2, 90n, O_NONBLOCK | EFD_SEMAPHORE]]);
	});

	test("writes a counter of more than 32 bits, and sets other flags", () => {
		const ops = plan({ counter: MAX - 1n, flags: O_RDWR | O_APPEND });
		expect(ops.map(({ nr }) => nr)).toEqual([SYS_eventfd2, SYS_write, SYS_fcntl]);
		expect(ops[0]?.args[0]).toBe(0n);
	});

	test.each([
		["an overflowed counter", { counter: MAX }],
		["flags of no kernel", { flags: 0x80000000 }],
		["another id inside", { id: 2 }],
	])("refuses %s", (_, fields) => {
		expect(codeOf(() => plan(fields))).toBe("IMAGE_CORRUPT");
	});

	test("refuses an entry without its part", () => {
		using dir = new TempDir();
		const bare = create(file_entrySchema, { type: fd_types.EVENTFD, id: 1 });
		expect(codeOf(() => planEntry(eventfd, bare, fileRestore(dir.images)))).toBe("IMAGE_CORRUPT");
	});
});
