// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { KernelError } from "../../../src/errors.ts";
import { AT_NULL, AT_PAGESZ } from "../../../src/kernel/abi/auxv.ts";
import { RLIM64_INFINITY, RLIMIT_NOFILE, RLIMIT_STACK } from "../../../src/kernel/abi/resource.ts";
import { findAuxv, parseAuxv, readAuxv } from "../../../src/kernel/procfs/auxv.ts";
import { parseCgroup, readCgroup } from "../../../src/kernel/procfs/cgroup.ts";
import { parseLimits, readLimits } from "../../../src/kernel/procfs/limits.ts";
import { findProcFile, readProcFile } from "../../../src/kernel/procfs/reader.ts";
import { parseStat, readStat } from "../../../src/kernel/procfs/stat.ts";
import { parseStatus, readStatus } from "../../../src/kernel/procfs/status.ts";
import * as files from "../../../src/kernel/procfs/task-files.ts";
import { listChildren, listFds, listProcesses, listThreads, parseChildren } from "../../../src/kernel/procfs/tasks.ts";
import { parseTimers, readTimers } from "../../../src/kernel/procfs/timers.ts";
import { bytes, Child, expectParseError, text } from "./samples.ts";

const STAT_TAIL =
	"S 4867 4868 2663 34816 -1 4194304 101 2 3 4 5 6 7 8 20 -5 12 0 60493 3133440 417 18446744073709551615 93957674749952 93957674769833 140732901859856 1 2 0 65536 4 65538 1 0 0 17 1 99 1 0 0 0 93957674785840 93957674787456 93957698949120 140732901862104 140732901862124 140732901862125 140732901863403 768\n";

describe("parseStat", () => {
	test("gives the fields by name", () => {
		expect(parseStat(bytes(`4876 (cat) ${STAT_TAIL}`))).toMatchObject({
			pid: 4876,
			comm: bytes("cat"),
			state: "S",
			ppid: 4867,
			pgrp: 4868,
			session: 2663,
			ttyNr: 34816,
			tpgid: -1,
			flags: 4194304,
			minflt: 101n,
			cmajflt: 4n,
			utime: 5n,
			cstime: 8n,
			priority: 20,
			nice: -5,
			numThreads: 12,
			starttime: 60493n,
			rsslim: RLIM64_INFINITY,
			startCode: 93957674749952n,
			startStack: 140732901859856n,
			kstkesp: 1n,
			kstkeip: 2n,
			exitSignal: 17,
			processor: 1,
			rtPriority: 99,
			policy: 1,
			startData: 93957674785840n,
			endData: 93957674787456n,
			startBrk: 93957698949120n,
			argStart: 140732901862104n,
			envEnd: 140732901863403n,
			exitCode: 768,
		});
	});

	test.each([") R 1 (", "a\nb", "((", "))", "", " ", "\xff\xfe\x01", "x) Z 1 2 3 4"])("takes the name %j", (comm) => {
		const stat = parseStat(bytes(`1 (${comm}) ${STAT_TAIL}`));
		expect([text(stat.comm), stat.state, stat.ppid]).toEqual([comm, "S", 4867]);
	});

	test.each(["", "1", "1 (x", "1 (x)", "1 (x) ", "1 (x) S", `1 (x) ${STAT_TAIL.slice(0, 200)}`, "x (y) S 1"])(
		"refuses %j",
		(sample) => {
			expectParseError(() => parseStat(bytes(sample), "/proc/1/stat"), "/proc/1/stat");
		},
	);
});

const STATUS = `Name:\ta\\nb\\\\c \\x
Umask:\t0027
State:\tt (tracing stop)
Tgid:\t30
Ngid:\t0
Pid:\t31
PPid:\t1
TracerPid:\t99
Uid:\t0\t1000\t4294967294\t3
Gid:\t4\t5\t6\t7
FDSize:\t256
Groups:\t10 20 4294967295 
NStgid:\t30\t7\t1
NSpid:\t31\t8\t2
NSpgid:\t30\t7\t1
NSsid:\t0\t0\t0
VmPeak:\t    3060 kB
VmSize:\t    3060 kB
VmLck:\t       4 kB
VmRSS:\t    1760 kB
HugetlbPages:\t       0 kB
THP_enabled:\t0
Threads:\t2
SigQ:\t3/18446744073709551615
SigPnd:\t0000000000000200
ShdPnd:\tffffffffffffffff
SigBlk:\t0000000000000001
SigIgn:\t0000000000001000
SigCgt:\t0000000180014a07
CapInh:\t0000000000000000
CapPrm:\t000001fffeffffff
CapEff:\t000001fffeffffff
CapBnd:\t000001ffffffffff
CapAmb:\t0000000000000400
NoNewPrivs:\t1
Seccomp:\t2
Seccomp_filters:\t3
x86_Thread_features:\tshstk wrss 
x86_Thread_features_locked:\tshstk 
Cpus_allowed_list:\t0-1
`;

describe("parseStatus", () => {
	test("gives the fields by name", () => {
		const status = parseStatus(bytes(STATUS));
		expect(text(status.name)).toBe("a\nb\\c \\x");
		expect(status).toMatchObject({
			umask: 0o27,
			state: "t",
			tgid: 30,
			pid: 31,
			ppid: 1,
			tracerPid: 99,
			uid: [0, 1000, 4294967294, 3],
			gid: [4, 5, 6, 7],
			groups: [10, 20, 4294967295],
			nsTgid: [30, 7, 1],
			nsPid: [31, 8, 2],
			nsSid: [0, 0, 0],
			threads: 2,
			sigQueued: 3,
			sigQueueLimit: RLIM64_INFINITY,
			sigPnd: 0x200n,
			shdPnd: 0xffffffffffffffffn,
			sigCgt: 0x180014a07n,
			capPrm: 0x1fffeffffffn,
			capAmb: 0x400n,
			noNewPrivs: true,
			seccomp: 2,
			seccompFilters: 3,
			thpEnabled: false,
			vmRssKb: 1760,
			threadFeatures: ["shstk", "wrss"],
		});
		expect(status.all.get("Cpus_allowed_list")).toBe("0-1");
	});

	test("what the kernel leaves out is undefined", () => {
		const status = parseStatus(bytes(STATUS.replace(/^(Umask|VmSize|VmRSS|Seccomp|x86_\w+|NS\w+):.*\n/gm, "")));
		expect([status.umask, status.vmSizeKb, status.seccomp]).toEqual([undefined, undefined, undefined]);
		expect([status.threadFeatures, status.nsPid]).toEqual([[], []]);
	});

	test.each([
		["VmSize", "5 kB", "vmSizeKb", 5],
		["VmRSS", "7 kB", "vmRssKb", 7],
		["VmLck", "8 kB", "vmLckKb", 8],
		["HugetlbPages", "2048 kB", "hugetlbKb", 2048],
		["THP_enabled", "1", "thpEnabled", true],
		["SigQ", "9/10", "sigQueued", 9],
		["SigPnd", "10", "sigPnd", 0x10n],
		["ShdPnd", "11", "shdPnd", 0x11n],
		["SigBlk", "12", "sigBlk", 0x12n],
		["SigIgn", "13", "sigIgn", 0x13n],
		["SigCgt", "14", "sigCgt", 0x14n],
		["CapInh", "15", "capInh", 0x15n],
		["CapPrm", "16", "capPrm", 0x16n],
		["CapEff", "17", "capEff", 0x17n],
		["CapBnd", "18", "capBnd", 0x18n],
		["CapAmb", "19", "capAmb", 0x19n],
		["NoNewPrivs", "0", "noNewPrivs", false],
		["Seccomp", "1", "seccomp", 1],
	] as const)("sees another %s after a task that is the same else", (key, value, field, parsed) => {
		const first = parseStatus(bytes(STATUS));
		const other = parseStatus(bytes(STATUS.replace(new RegExp(`^${key}:.*$`, "m"), `${key}:\t${value}`)));
		expect(other[field]).toBe(parsed as never);
		expect(parseStatus(bytes(STATUS))[field]).toBe(first[field] as never);
	});

	test.each(["Name", "Tgid", "Uid", "SigBlk", "CapEff", "State", "Groups"])("refuses a file without %s", (key) => {
		const sample = STATUS.replace(new RegExp(`^${key}:.*\n`, "m"), "");
		expectParseError(() => parseStatus(bytes(sample), "/proc/1/status"), "/proc/1/status");
	});

	test.each(["Uid:\t0 0 0", "Pid:\t", "SigPnd:\tzz", "SigQ:\t3", "State:\t", "Tgid:\t99999999999999999999"])(
		"refuses %j",
		(line) => {
			const key = line.split(":")[0];
			const sample = STATUS.replace(new RegExp(`^${key}:.*$`, "m"), line);
			expectParseError(() => parseStatus(bytes(sample), "/proc/1/status"), "/proc/1/status");
		},
	);
});

describe("parseLimits", () => {
	const head = "Limit                     Soft Limit           Hard Limit           Units     \n";

	test("our own limits are 16 with infinity as 2^64 - 1", () => {
		const limits = parseLimits(readProcFile("/proc/self/limits"));
		expect(limits.length).toBe(16);
		expect(limits[RLIMIT_STACK]?.max).toBeGreaterThan(0n);
	});

	test("a missing line is refused", () => {
		expectParseError(() => parseLimits(bytes(head), "/proc/1/limits"), "/proc/1/limits");
	});

	test("a child's limits are what it set", async () => {
		await using child = await Child.start("ulimit -n 77; ulimit -S -c 0; echo ready; read line");
		const limits = readLimits(child.pid);
		expect(limits[RLIMIT_NOFILE]).toEqual({ cur: 77n, max: 77n });
		expect(limits.some((limit) => limit.max === RLIM64_INFINITY)).toBe(true);
	});
});

describe("parseTimers", () => {
	test("gives each timer", () => {
		const sample =
			"ID: 1\nsignal: 60/00007fff86e452a8\nnotify: signal/pid.2634\nClockID: 0\n" +
			"ID: 0\nsignal: 0/(null)\nnotify: none/tid.7\nClockID: -6\n";
		expect(parseTimers(bytes(sample))).toEqual([
			{ id: 1, signo: 60, sivalPtr: 0x7fff86e452a8n, notify: "signal", toThread: false, pid: 2634, clockId: 0 },
			{ id: 0, signo: 0, sivalPtr: 0n, notify: "none", toThread: true, pid: 7, clockId: -6 },
		]);
	});

	test.each(["ID: x\n", "ID: 1\nsignal: 60\n", "ID: 1\nsignal: 1/0\nnotify: quux/pid.1\nClockID: 0\n"])(
		"refuses %j",
		(sample) => {
			expectParseError(() => parseTimers(bytes(sample), "/proc/1/timers"), "/proc/1/timers");
		},
	);

	test("we have none, and a missing file is undefined", () => {
		expect(readTimers("self")).toEqual([]);
		expect(findProcFile("/proc/self/no-such-file")).toBeUndefined();
	});
});

describe("parseAuxv", () => {
	test("our own vector ends in AT_NULL and knows the page size", () => {
		const words = readAuxv("self");
		expect(findAuxv(words, AT_PAGESZ)).toBe(4096n);
		expect(findAuxv(words, 0x7777)).toBeUndefined();
		expect(words.at(-2)).toBe(BigInt(AT_NULL));
	});

	test("broken pairs are refused", () => {
		expect(parseAuxv(new Uint8Array(0))).toEqual([]);
		expectParseError(() => parseAuxv(new Uint8Array(24), "/proc/1/auxv"), "/proc/1/auxv");
	});
});

describe("parseCgroup", () => {
	test("both versions, odd names and dead cgroups", () => {
		const sample = "4:cpu,cpuacct:/a:b/c\n1:name=systemd:/\n0::/\xff x (deleted)\n";
		expect(parseCgroup(bytes(sample))).toEqual([
			{ hierarchy: 4, controllers: "cpu,cpuacct", path: bytes("/a:b/c"), deleted: false },
			{ hierarchy: 1, controllers: "name=systemd", path: bytes("/"), deleted: false },
			{ hierarchy: 0, controllers: "", path: bytes("/\xff x"), deleted: true },
		]);
		expect(readCgroup("self").length).toBeGreaterThan(0);
	});

	test.each(["x::/\n", "0:\n", "0\n"])("refuses %j", (sample) => {
		expectParseError(() => parseCgroup(bytes(sample), "/proc/1/cgroup"), "/proc/1/cgroup");
	});
});

describe("small files", () => {
	test("of ourselves", () => {
		expect(files.readPersonality("self")).toBeGreaterThanOrEqual(0);
		expect(Math.abs(files.readOomScoreAdj("self"))).toBeLessThanOrEqual(1000);
		expect(files.readTimerslackNs("self")).toBeGreaterThan(0n);
		expect(files.readCoredumpFilter("self")).toBeGreaterThan(0);
		expect(files.readIdMap("self", "uid_map")[0]?.count).toBeGreaterThan(0);
		expect(files.readTimensOffsets("self").map((offset) => offset.clock)).toEqual(["monotonic", "boottime"]);
		expect(text(files.readCmdline("self")).split("\0")[0]).toContain("bun");
		expect(files.readLoginuid("self") ?? 0).toBeGreaterThanOrEqual(0);
		expect(files.readWchan("self").length).toBeGreaterThanOrEqual(0);
	});

	test("system calls in all three forms", () => {
		expect(files.parseSyscall(bytes("running\n"))).toBeUndefined();
		expect(files.parseSyscall(bytes("-1 0x7ffe 0x40\n"))).toEqual({ nr: -1, args: [], sp: 0x7ffen, pc: 0x40n });
		expect(files.parseSyscall(bytes("34 0x1 0x2 0x3 0x4 0x5 0xffffffffffffffff 0x7 0x8\n"))).toEqual({
			nr: 34,
			args: [1n, 2n, 3n, 4n, 5n, 0xffffffffffffffffn],
			sp: 7n,
			pc: 8n,
		});
		expectParseError(() => files.parseSyscall(bytes("34 0x1\n"), "/proc/1/syscall"), "/proc/1/syscall");
	});

	test("id maps and clock offsets", () => {
		expect(files.parseIdMap(bytes("         0          0 4294967295\n  10 20 1\n"))).toEqual([
			{ inside: 0, outside: 0, count: 4294967295 },
			{ inside: 10, outside: 20, count: 1 },
		]);
		expect(files.parseTimensOffsets(bytes("monotonic           -5         1\n7 3 999999999\n"))).toEqual([
			{ clock: "monotonic", sec: -5n, nsec: 1n },
			{ clock: "boottime", sec: 3n, nsec: 999999999n },
		]);
		expectParseError(() => files.parseTimensOffsets(bytes("constructor 1 1\n"), "timens"), "timens");
		expectParseError(() => files.parseIdMap(bytes("0 0\n"), "uid_map"), "uid_map");
	});
});

describe("reading a live child", () => {
	test("a hostile name, its threads, children and descriptors", async () => {
		const dir = mkdtempSync("/tmp/procfs-test-");
		const name = `${dir}/) R 1 (\n`;
		try {
			writeFileSync(name, "#!/bin/sh\nsleep 1000 & echo ready; read line; kill $!\n");
			chmodSync(name, 0o755);
			await using child = await Child.start(`exec '${name}'`);
			const stat = readStat(child.pid);
			expect(text(stat.comm)).toBe(") R 1 (\n");
			expect([stat.pid, stat.ppid]).toEqual([child.pid, process.pid]);
			expect(text(files.readComm(child.pid))).toBe(") R 1 (\n");
			const status = readStatus(child.pid);
			expect([text(status.name), status.ppid, status.tgid]).toEqual([") R 1 (\n", process.pid, child.pid]);
			expect(listThreads(child.pid)).toEqual([child.pid]);
			expect(listFds(child.pid).slice(0, 3)).toEqual([0, 1, 2]);
			const children = listChildren(child.pid);
			expect(children.length).toBe(1);
			expect(listProcesses()).toContain(child.pid);
			expect(readStat(child.pid, "/proc", child.pid).pid).toBe(child.pid);
			for (const pid of children) process.kill(pid, "SIGKILL");
		} finally {
			rmSync(dir, { recursive: true });
		}
	});

	test("a task that's gone is ENOENT or ESRCH", async () => {
		let gone: number;
		{
			await using child = await Child.start("echo ready; read line");
			gone = child.pid;
		}
		for (const read of [readStat, readStatus, readLimits, readAuxv, listThreads, listChildren]) {
			let thrown: unknown;
			try {
				read(gone);
			} catch (error) {
				thrown = error;
			}
			expect(thrown).toBeInstanceOf(KernelError);
			expect(["ENOENT", "ESRCH"]).toContain((thrown as KernelError).code);
			expect((thrown as KernelError).message).toContain(String(gone));
		}
	});

	test("children files are blank-divided numbers", () => {
		expect(parseChildren(bytes("1 22 333 "))).toEqual([1, 22, 333]);
		expect(parseChildren(bytes(""))).toEqual([]);
		expectParseError(() => parseChildren(bytes("1 x"), "children"), "children");
	});

	test("a file larger than the first buffer is read whole", () => {
		const dir = mkdtempSync("/tmp/procfs-test-");
		try {
			const content = Buffer.alloc(700_001, "abcdefg");
			writeFileSync(`${dir}/big`, content);
			expect(Buffer.compare(Buffer.from(readProcFile(`${dir}/big`)), content)).toBe(0);
		} finally {
			rmSync(dir, { recursive: true });
		}
	});
});
