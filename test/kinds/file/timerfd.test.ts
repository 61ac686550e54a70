// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { Program } from "../../../src/agent/program.ts";
import { fd_types, type file_entry, file_entrySchema } from "../../../src/images/gen/fdinfo_pb.ts";
import { type timerfd_entry, timerfd_entrySchema } from "../../../src/images/gen/file_pb.ts";
import { timens_entrySchema, timespecSchema } from "../../../src/images/gen/namespace_pb.ts";
import { create, KINDS } from "../../../src/images/index.ts";
import { O_NONBLOCK, O_RDWR } from "../../../src/kernel/abi/fcntl.ts";
import { viewOf } from "../../../src/kernel/abi/struct.ts";
import { SYS_ioctl, SYS_timerfd_create, SYS_timerfd_settime } from "../../../src/kernel/abi/syscalls.x86_64.ts";
import * as time from "../../../src/kernel/abi/time.ts";
import type { FdinfoKind } from "../../../src/kernel/procfs/fdinfo.ts";
import { emptyFown } from "../../../src/kinds/file/fown.ts";
import { timerfd } from "../../../src/kinds/file/timerfd.ts";
import { mustSyscall } from "../../../src/sys/host.ts";
import { imageOf } from "../task/fixtures.ts";
import { codeOf, fileDump, filePlan, fileRestore, OwnFds, ownFile, TempDir } from "./fixtures.ts";

const ABSTIME = 1;
const CANCEL_ON_SET = 2;
const NSEC = 1_000_000_000n;

function spec(value: readonly [bigint, bigint], interval: readonly [bigint, bigint] = [0n, 0n]): Uint8Array {
	return time.Itimerspec.encode({
		it_value: { tv_sec: value[0], tv_nsec: value[1] },
		it_interval: { tv_sec: interval[0], tv_nsec: interval[1] },
	});
}

function dump(fd: number): timerfd_entry {
	const file = ownFile(fd);
	expect(timerfd.matches(file)).toBe(true);
	expect(timerfd.findBlockers?.(file, fileDump(undefined))).toEqual([]);
	const { tfd } = timerfd.dump(file, 4, fileDump(undefined));
	if (tfd === undefined) throw new Error("no timer");
	return tfd;
}

function entryOf(fields: Partial<timerfd_entry>): file_entry {
	const { $typeName: _, ...rest } = fields;
	const tfd = create(timerfd_entrySchema, {
		id: 1,
		flags: O_RDWR,
		fown: emptyFown(),
		clockid: time.CLOCK_MONOTONIC,
		ticks: 0n,
		settimeFlags: 0,
		vsec: 0n,
		vnsec: 0n,
		isec: 0n,
		insec: 0n,
		...rest,
	});
	return create(file_entrySchema, { type: fd_types.TIMERFD, id: 1, tfd });
}

/** What is planned for the stages of making and arming. */
function plan(fields: Partial<timerfd_entry>, monotonic?: bigint) {
	using dir = new TempDir();
	if (monotonic !== undefined) {
		const at = () => create(timespecSchema, { tvSec: monotonic / NSEC, tvNsec: monotonic % NSEC });
		dir.images.writeEntry(KINDS.TIMENS, 0, create(timens_entrySchema, { monotonic: at(), boottime: at() }));
	}
	const context = fileRestore(dir.images);
	const own = filePlan();
	const program = new Program();
	const file = { program, plan: own, context, image: imageOf(100) };
	timerfd.plan(entryOf(fields), file);
	timerfd.finish?.(entryOf(fields), {
		...file,
		program: own.programs.release,
		number: 7,
		holders: [],
		find: () => undefined,
	});
	const armed = own.programs.arm.ops.find(({ nr }) => nr === SYS_timerfd_settime);
	const bytes = armed?.args[2];
	const set = bytes instanceof Uint8Array ? time.Itimerspec.read(viewOf(bytes)) : undefined;
	return { made: program.ops, release: own.programs.release.ops, arm: own.programs.arm.ops, armed, set };
}

describe("a dump of a timerfd", () => {
	test("tells what is left and the interval", () => {
		using fds = new OwnFds();
		const fd = fds.make(SYS_timerfd_create, time.CLOCK_BOOTTIME, O_NONBLOCK);
		mustSyscall("", SYS_timerfd_settime, fd, 0, spec([1000n, 0n], [5n, 6n]), 0);
		const got = dump(fd);
		expect(got).toMatchObject({ clockid: time.CLOCK_BOOTTIME, ticks: 0n, settimeFlags: 0, isec: 5n, insec: 6n });
		expect(Number(got.vsec)).toBeGreaterThan(900);
		expect(Object.hasOwn(got, "deadlineSec")).toBe(false);
	});

	test("tells the moment of an absolute one, never early", () => {
		using fds = new OwnFds();
		const fd = fds.make(SYS_timerfd_create, time.CLOCK_REALTIME, 0);
		const moment = BigInt(Date.now()) * 1_000_000n + 1000n * NSEC;
		mustSyscall("", SYS_timerfd_settime, fd, ABSTIME, spec([moment / NSEC, moment % NSEC]), 0);
		const { deadlineSec, deadlineNsec } = dump(fd);
		const late = deadlineSec * NSEC + deadlineNsec - moment;
		expect(late).toBeGreaterThanOrEqual(0n);
		expect(late).toBeLessThan(NSEC);
	});

	test("counts all expirations that nobody has read", async () => {
		using fds = new OwnFds();
		const fd = fds.make(SYS_timerfd_create, time.CLOCK_MONOTONIC, 0);
		mustSyscall("", SYS_timerfd_settime, fd, 0, spec([0n, 1n], [0n, 1_000_000n]), 0);
		const start = performance.now();
		while (performance.now() < start + 20) await new Promise((resolve) => setImmediate(resolve));
		const { ticks, vnsec } = dump(fd);
		expect(ticks).toBeGreaterThan(15n);
		expect(vnsec).toBeGreaterThan(0n);
	});

	const cancelled: FdinfoKind = {
		type: "timerfd",
		clockId: 0,
		ticks: 1n,
		settimeFlags: ABSTIME | CANCEL_ON_SET,
		value: { sec: 5n, nsec: 0n },
		interval: { sec: 0n, nsec: 0n },
	};
	test.each([
		["armed, with a tick", cancelled, 1],
		["expired once", { ...cancelled, value: { sec: 0n, nsec: 0n } }, 0],
		["expired and set", { ...cancelled, value: { sec: 0n, nsec: 0n }, ticks: 2n }, 1],
		["armed", { ...cancelled, ticks: 0n }, 0],
		["not to be cancelled", { ...cancelled, settimeFlags: ABSTIME }, 0],
	] as const)("is refused where the clock may have been set: %s", (_, kind, count) => {
		using fds = new OwnFds();
		const file = ownFile(fds.make(SYS_timerfd_create, 0, 0));
		const found = timerfd.findBlockers?.({ ...file, info: { ...file.info, kind } }, fileDump(undefined)) ?? [];
		expect(found.map(({ code }) => code)).toEqual(Array(count).fill("UNSUPPORTED_FILE"));
	});
});

describe("the plan of a timerfd", () => {
	test("arms it last, with what was left", () => {
		const { made, set, armed } = plan({ vsec: 3n, vnsec: 4n, isec: 1n, flags: O_RDWR | O_NONBLOCK });
		expect(made.map(({ nr, args }) => [nr, ...args])).toEqual([[SYS_timerfd_create, 1, O_NONBLOCK]]);
		expect(set).toEqual({ it_interval: { tv_sec: 1n, tv_nsec: 0n }, it_value: { tv_sec: 3n, tv_nsec: 4n } });
		expect(armed?.args.slice(0, 2)).toEqual([7, 0]);
	});

	test("leaves one alone that was never armed", () => {
		const { release, arm } = plan({});
		expect([...release, ...arm]).toEqual([]);
	});

	test("arms one that wakes the machine up while it has the rights for that", () => {
		const { release, arm } = plan({ clockid: time.CLOCK_REALTIME_ALARM, vsec: 3n });
		expect(release.map(({ nr }) => nr)).toEqual([SYS_timerfd_settime]);
		expect(arm).toEqual([]);
	});

	test("sets ticks after arming, and lets an expired periodic one go on", () => {
		const { arm, set } = plan({ ticks: 3n, isec: 9n });
		expect(arm.map(({ nr }) => nr)).toEqual([SYS_timerfd_settime, SYS_ioctl]);
		expect(set?.it_value).toEqual({ tv_sec: 9n, tv_nsec: 0n });
	});

	test("keeps the moment of an absolute one", () => {
		const { set, armed } = plan({ settimeFlags: ABSTIME, vsec: 1n, deadlineSec: 77n, deadlineNsec: 8n });
		expect(set?.it_value).toEqual({ tv_sec: 77n, tv_nsec: 8n });
		expect(armed?.args[1]).toBe(ABSTIME);
	});

	test("counts from the restored clock where images don't tell the moment", () => {
		const { set } = plan({ settimeFlags: ABSTIME, vsec: 5n, vnsec: 999_999_999n }, 100n * NSEC + 2n);
		expect(set?.it_value).toEqual({ tv_sec: 106n, tv_nsec: 1n });
		const wall = plan({ settimeFlags: ABSTIME, vsec: 5n, clockid: time.CLOCK_REALTIME }, 100n * NSEC).set?.it_value;
		expect(Number(wall?.tv_sec ?? 0n)).toBeGreaterThan(Date.now() / 1000 + 3);
	});

	test.each([
		["a clock that has no timers", { clockid: time.CLOCK_PROCESS_CPUTIME_ID }],
		["too many nanoseconds", { vnsec: NSEC }],
		["too many nanoseconds of interval", { insec: NSEC }],
		["too many seconds", { vsec: 1n << 63n }],
		["a moment beyond all time", { deadlineSec: 1n << 63n }],
		["unknown flags of settime", { settimeFlags: 4 }],
		["flags of no kernel", { flags: 0o1000 }],
	])("refuses %s", (_, fields) => {
		expect(codeOf(() => plan(fields))).toBe("IMAGE_CORRUPT");
	});
});
