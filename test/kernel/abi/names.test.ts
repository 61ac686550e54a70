// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { statSync } from "node:fs";
import { CAP_LAST_CAP, CAPABILITY_NAMES } from "../../../src/kernel/abi/capability.ts";
import {
	fromKernelDev,
	fromUserDev,
	kernelToUserDev,
	toKernelDev,
	toUserDev,
	userToKernelDev,
} from "../../../src/kernel/abi/devices.ts";
import { _IO, _IOR, _IOW, _IOWR, PAGEMAP_SCAN, PROCMAP_QUERY, UFFDIO_API } from "../../../src/kernel/abi/ioctl.ts";
import { PmScanArg } from "../../../src/kernel/abi/pagemap-scan.ts";
import { ProcmapQuery } from "../../../src/kernel/abi/procmap-query.ts";
import { RLIMIT_NAMES, RLIMIT_NOFILE } from "../../../src/kernel/abi/resource.ts";
import { signalBit, signalName } from "../../../src/kernel/abi/signal.ts";
import * as numbers from "../../../src/kernel/abi/syscall-numbers.x86_64.ts";
import { SYS_clone3, SYS_openat, syscallName } from "../../../src/kernel/abi/syscalls.x86_64.ts";
import * as wait from "../../../src/kernel/abi/wait.ts";

describe("names", () => {
	test("system calls have names both ways", () => {
		expect([SYS_openat, SYS_clone3]).toEqual([257, 435]);
		expect([0, 257, 435, 462, 99999].map(syscallName)).toEqual(["read", "openat", "clone3", "mseal", "syscall_99999"]);
	});

	test("every system call's number gives its constant's name", () => {
		const wrong = Object.entries(numbers).filter(([name, nr]) => `SYS_${syscallName(nr)}` !== name);
		expect(wrong).toEqual([]);
	});

	test("signals have names", () => {
		expect([1, 9, 17, 31, 32, 34, 64, 65].map(signalName)).toEqual([
			"SIGHUP",
			"SIGKILL",
			"SIGCHLD",
			"SIGSYS",
			"SIGRTMIN",
			"SIGRTMIN+2",
			"SIGRTMIN+32",
			"SIG65",
		]);
		expect(signalBit(64)).toBe(1n << 63n);
	});

	test("capabilities and limits are as many as there are numbers", () => {
		expect(CAPABILITY_NAMES.length).toBe(CAP_LAST_CAP + 1);
		expect(RLIMIT_NAMES[RLIMIT_NOFILE]).toBe("NOFILE");
	});
});

describe("devices", () => {
	test.each([
		[0, 0],
		[1, 3],
		[8, 17],
		[136, 300],
		[254, 0],
		[4095, 0xfffff],
	])("%d:%d goes through both encodings", (major, minor) => {
		expect(fromKernelDev(toKernelDev(major, minor))).toEqual({ major, minor });
		expect(fromUserDev(toUserDev(major, minor))).toEqual({ major, minor });
		expect(userToKernelDev(kernelToUserDev(toKernelDev(major, minor)))).toBe(toKernelDev(major, minor));
	});

	test("/dev/null is 1:3", () => {
		expect(fromUserDev(statSync("/dev/null", { bigint: true }).rdev)).toEqual({ major: 1, minor: 3 });
	});
});

describe("ioctl numbers", () => {
	test("are composed as the kernel does", () => {
		expect([_IO("T", 0x41), _IOR("T", 0x30, 4), _IOW("T", 0x31, 4), UFFDIO_API]).toEqual([
			0x5441, 0x80045430, 0x40045431, 0xc018aa3f,
		]);
	});

	test("carry the size of their structs", () => {
		expect(PAGEMAP_SCAN).toBe(_IOWR("f", 16, PmScanArg.size));
		expect(PROCMAP_QUERY).toBe(_IOWR("f", 17, ProcmapQuery.size));
	});
});

describe("wait statuses", () => {
	test("exit, death, stop and going on are told apart", () => {
		expect([wait.WIFEXITED(0x300), wait.WEXITSTATUS(0x300)]).toEqual([true, 3]);
		expect([wait.WIFSIGNALED(0x8b), wait.WTERMSIG(0x8b), wait.WCOREDUMP(0x8b)]).toEqual([true, 11, true]);
		expect([wait.WIFSTOPPED(0x057f), wait.WSTOPSIG(0x857f)]).toEqual([true, 0x85]);
		expect([wait.WIFSTOPPED(0x8057f), wait.ptraceEventOf((128 << 16) | 0x57f)]).toEqual([true, 128]);
		expect([wait.WIFCONTINUED(0xffff), wait.WIFSIGNALED(0xffff), wait.WIFSTOPPED(0xffff)]).toEqual([
			true,
			false,
			false,
		]);
	});
});
