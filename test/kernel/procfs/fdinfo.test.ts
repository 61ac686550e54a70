// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { parseFdinfo, parseFdinfoText, readFdinfo } from "../../../src/kernel/procfs/fdinfo.ts";
import { parseLocks, readLocks } from "../../../src/kernel/procfs/locks.ts";
import { listFds } from "../../../src/kernel/procfs/tasks.ts";
import { bytes, expectParseError } from "./samples.ts";

const HEAD = "pos:\t0\nflags:\t02000002\nmnt_id:\t17\nino:\t1038\n";

function kindOf(lines: string): unknown {
	return parseFdinfo(bytes(HEAD + lines)).kind;
}

describe("parseFdinfo", () => {
	test("gives what every descriptor has", () => {
		expect(
			parseFdinfo(bytes("pos:\t9223372036854775807\nflags:\t0100000\nmnt_id:\t-1\nino:\t18446744073709551615\n")),
		).toEqual({
			pos: 9223372036854775807n,
			flags: 0o100000,
			mntId: -1,
			ino: 18446744073709551615n,
			locks: [],
			kind: { type: "plain" },
			extra: new Map(),
		});
		expect(parseFdinfo(bytes("pos:\t-5\nflags:\t00\nmnt_id:\t3\n"))).toMatchObject({
			pos: -5n,
			flags: 0,
			ino: undefined,
		});
	});

	test("locks", () => {
		const { locks } = parseFdinfo(
			bytes(
				`${HEAD}lock:\t1: POSIX  ADVISORY  WRITE 123 fe:0a:18446744073709551615 0 EOF\nlock:\t2: FLOCK  ADVISORY  READ  7 00:2a:99 5 77\n`,
			),
		);
		expect(locks).toEqual([
			{
				id: 1,
				blocked: false,
				kind: "POSIX",
				mode: "ADVISORY",
				access: "WRITE",
				pid: 123,
				device: { major: 0xfe, minor: 10 },
				ino: 18446744073709551615n,
				start: 0n,
				end: undefined,
			},
			{
				id: 2,
				blocked: false,
				kind: "FLOCK",
				mode: "ADVISORY",
				access: "READ",
				pid: 7,
				device: { major: 0, minor: 42 },
				ino: 99n,
				start: 5n,
				end: 77n,
			},
		]);
	});

	test("eventfd", () => {
		expect(kindOf("eventfd-count: fffffffffffffffe\neventfd-id: 1\neventfd-semaphore: 1\n")).toEqual({
			type: "eventfd",
			count: 0xfffffffffffffffen,
			id: 1,
			semaphore: true,
		});
		expect(kindOf("eventfd-count:                5\n")).toEqual({
			type: "eventfd",
			count: 5n,
			id: undefined,
			semaphore: undefined,
		});
	});

	test("epoll, with and without the target's identity", () => {
		expect(
			kindOf(
				"tfd:        0 events:       19 data:     7fd000000000  pos:0 ino:1ff2b sdev:f\n" +
					"tfd:      500 events: 80000001 data: ffffffffffffffff\n",
			),
		).toEqual({
			type: "epoll",
			targets: [
				{ tfd: 0, events: 0x19, data: 0x7fd000000000n, pos: 0n, ino: 0x1ff2bn, sdev: 0xf },
				{
					tfd: 500,
					events: 0x80000001,
					data: 0xffffffffffffffffn,
					pos: undefined,
					ino: undefined,
					sdev: undefined,
				},
			],
		});
	});

	test("signalfd", () => {
		expect(kindOf("sigmask:\t8000000000000a00\n")).toEqual({ type: "signalfd", sigmask: 0x8000000000000a00n });
	});

	test("timerfd", () => {
		expect(
			kindOf(
				"clockid: 7\nticks: 18446744073709551615\nsettime flags: 01\nit_value: (3, 999999999)\nit_interval: (0, 1)\n",
			),
		).toEqual({
			type: "timerfd",
			clockId: 7,
			ticks: 18446744073709551615n,
			settimeFlags: 1,
			value: { sec: 3n, nsec: 999999999n },
			interval: { sec: 0n, nsec: 1n },
		});
	});

	test("inotify, with and without handles", () => {
		expect(
			kindOf(
				"inotify wd:2 ino:3f7e8 sdev:fe00000 mask:fff ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:e8f7030000000000\n" +
					"inotify wd:1 ino:1 sdev:2 mask:80000003 ignored_mask:0 \n",
			),
		).toEqual({
			type: "inotify",
			watches: [
				{
					wd: 2,
					ino: 0x3f7e8n,
					sdev: 0xfe00000,
					mask: 0xfff,
					ignoredMask: 0,
					handle: { type: 1, bytes: Uint8Array.of(0xe8, 0xf7, 3, 0, 0, 0, 0, 0) },
				},
				{ wd: 1, ino: 1n, sdev: 2, mask: 0x80000003, ignoredMask: 0, handle: undefined },
			],
		});
	});

	test("fanotify, all kinds of marks", () => {
		expect(
			kindOf(
				"fanotify flags:10 event-flags:8000\n" +
					"fanotify mnt_id:1b mflags:0 mask:20 ignored_mask:40\n" +
					"fanotify sdev:fe00000 mflags:1 mask:20 ignored_mask:0\n" +
					"fanotify ino:5 sdev:6 mflags:40 mask:3b ignored_mask:0 fhandle-bytes:2 fhandle-type:81 f_handle:0aff\n",
			),
		).toEqual({
			type: "fanotify",
			flags: 0x10,
			eventFlags: 0x8000,
			marks: [
				{ on: "mount", ino: 0n, sdev: 0, mntId: 0x1b, mflags: 0, mask: 0x20, ignoredMask: 0x40, handle: undefined },
				{ on: "sb", ino: 0n, sdev: 0xfe00000, mntId: 0, mflags: 1, mask: 0x20, ignoredMask: 0, handle: undefined },
				{
					on: "inode",
					ino: 5n,
					sdev: 6,
					mntId: 0,
					mflags: 0x40,
					mask: 0x3b,
					ignoredMask: 0,
					handle: { type: 0x81, bytes: Uint8Array.of(10, 255) },
				},
			],
		});
	});

	test("pidfd, alive, dead and invisible", () => {
		expect(kindOf("Pid:\t31\nNSpid:\t31\t2\n")).toEqual({ type: "pidfd", pid: 31, nsPids: [31, 2] });
		expect(kindOf("Pid:\t-1\nNSpid:\t-1\n")).toEqual({ type: "pidfd", pid: -1, nsPids: [-1] });
		expect(kindOf("Pid:\t0\n")).toEqual({ type: "pidfd", pid: 0, nsPids: [] });
	});

	test("unknown lines are kept, whatever they're called", () => {
		const { extra, kind } = parseFdinfo(
			bytes(`${HEAD}map_type:\t1\nmap_type:\t2\nconstructor:\tx\nno colon at all\n__proto__:y\niff:\ttap0\n`),
		);
		expect(kind).toEqual({ type: "plain" });
		expect([...extra]).toEqual([
			["map_type", ["1", "2"]],
			["constructor", ["x"]],
			["no colon at all", [""]],
			["__proto__", ["y"]],
			["iff", ["tap0"]],
		]);
	});

	test.each([
		"",
		"pos:\t0\n",
		"flags:\t00\n",
		"pos:\tx\nflags:\t0\n",
		"pos:\t0\nflags:\t09x\nmnt_id:\t\n",
		`${HEAD}eventfd-count: xyz\n`,
		`${HEAD}sigmask:\t\n`,
		`${HEAD}clockid: 0\n`,
		`${HEAD}clockid: 0\nticks: 0\nsettime flags: 00\nit_value: 1, 2\n`,
		`${HEAD}tfd: 1 data: 3\n`,
		`${HEAD}tfd: 1 events: 1fffffffffffffffff data: 3\n`,
		`${HEAD}inotify wd:1\n`,
		`${HEAD}inotify wd:1 ino:1 sdev:1 mask:1 ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:00\n`,
		`${HEAD}inotify wd:1 ino:1 sdev:1 mask:1 ignored_mask:0 fhandle-bytes:1 fhandle-type:1 f_handle:0\n`,
		`${HEAD}inotify wd\n`,
		`${HEAD}fanotify flags:1\n`,
		`${HEAD}fanotify nonsense\n`,
		`${HEAD}lock:\tx\n`,
	])("refuses %j", (sample) => {
		expectParseError(() => parseFdinfo(bytes(sample), "/proc/7/fdinfo/3"), "/proc/7/fdinfo/3");
	});

	test("every descriptor of ours can be parsed", () => {
		const kinds: string[] = [];
		for (const fd of listFds("self")) {
			try {
				kinds.push(readFdinfo("self", fd).kind.type);
			} catch (error) {
				// The descriptor that read the directory is closed by now.
				expect(error).toMatchObject({ code: "ENOENT" });
			}
		}
		expect(kinds).toContain("epoll");
	});
});

describe("parseFdinfoText", () => {
	test.each([
		"",
		"scm_fds: 0\n",
		"scm_fds: 7\n",
		"scm_fds: 0\nmore:\t1\n",
		"eventfd-count:               2a\neventfd-id: 7\neventfd-semaphore: 1\n",
	])("gives what parseFdinfo gives of %j", (lines) => {
		const own = HEAD + lines;
		const all = `before\n${own}after\n`;
		const end = 7 + own.length;
		expect(parseFdinfoText(all, 7, end, () => bytes(own))).toEqual(parseFdinfo(bytes(own)));
	});
});

describe("parseLocks", () => {
	test("leases, OFD locks, waiters and locks without inode", () => {
		const sample =
			"1: OFDLCK ADVISORY  READ -1 08:01:5 0 9223372036854775806\n" +
			"2: LEASE  ACTIVE    WRITE 707 fe:00:1234 0 EOF\n" +
			"3: POSIX  *NOINODE* WRITE 7 <none>:0 1 2\n" +
			"3: -> POSIX  ADVISORY  WRITE 8 00:01:2 0 0\n" +
			"3:  -> POSIX  ADVISORY  UNLCK 9 00:01:2 0 0\n";
		expect(
			parseLocks(bytes(sample)).map(({ id, blocked, kind, mode, pid, end }) => [id, blocked, kind, mode, pid, end]),
		).toEqual([
			[1, false, "OFDLCK", "ADVISORY", -1, 9223372036854775806n],
			[2, false, "LEASE", "ACTIVE", 707, undefined],
			[3, false, "POSIX", "*NOINODE*", 7, 2n],
			[3, true, "POSIX", "ADVISORY", 8, 0n],
			[3, true, "POSIX", "ADVISORY", 9, 0n],
		]);
		expect(parseLocks(bytes(sample))[2]?.device).toBeUndefined();
	});

	test.each(["1\n", "1: POSIX\n", "1: POSIX ADVISORY READ x\n", "1: POSIX ADVISORY READ 1 0:0 0 EOF\n"])(
		"refuses %j",
		(sample) => {
			expectParseError(() => parseLocks(bytes(sample), "/proc/locks"), "/proc/locks");
		},
	);

	test("this machine's locks can be parsed", () => {
		expect(Array.isArray(readLocks())).toBe(true);
	});
});
