// SPDX-License-Identifier: GPL-2.0-only
// A child with one file of each kind and a POSIX timer: what this kernel writes is what the parsers expect.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { userToKernelDev } from "../../../src/kernel/abi/devices.ts";
import { type FdinfoKind, readFdinfo } from "../../../src/kernel/procfs/fdinfo.ts";
import { readLocks } from "../../../src/kernel/procfs/locks.ts";
import { readSyscall } from "../../../src/kernel/procfs/task-files.ts";
import { readTimers } from "../../../src/kernel/procfs/timers.ts";
import { Child } from "./samples.ts";

const PROGRAM = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
static void put(int want, int fd) { if (fd != want) { dup2(fd, want); close(fd); } }
int main(int argc, char **argv) {
	(void)argc;
	put(50, eventfd(5, EFD_SEMAPHORE));
	put(51, epoll_create1(0));
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.u64 = 0xfedcba9876543210ull };
	epoll_ctl(51, EPOLL_CTL_ADD, 50, &ev);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMAX);
	put(52, signalfd(-1, &set, 0));
	put(53, timerfd_create(CLOCK_BOOTTIME, 0));
	struct itimerspec its = { .it_value = { 1000, 0 }, .it_interval = { 2, 3 } };
	timerfd_settime(53, 0, &its, NULL);
	put(54, inotify_init1(0));
	inotify_add_watch(54, argv[1], IN_CREATE | IN_DELETE);
	put(55, syscall(SYS_pidfd_open, getpid(), 0));
	put(56, open(argv[0], O_RDONLY | O_CLOEXEC));
	struct flock fl = { .l_type = F_RDLCK, .l_start = 5, .l_len = 10 };
	fcntl(56, F_OFD_SETLK, &fl);
	struct sigevent sev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2, .sigev_value.sival_ptr = (void *)0x1234567890ul };
	timer_t timer;
	timer_create(CLOCK_MONOTONIC, &sev, &timer);
	write(1, "ready\\n", 6);
	char c;
	return read(0, &c, 1) < 0;
}
`;

const hasGcc = Bun.which("gcc") !== null;
if (!hasGcc) console.log("skipped: kinds-live needs gcc");

describe.skipIf(!hasGcc)("files of a live child", () => {
	const dir = mkdtempSync("/tmp/procfs-kinds-");
	let child: Child;

	beforeAll(async () => {
		writeFileSync(`${dir}/kinds.c`, PROGRAM);
		const gcc = spawnSync("gcc", ["-O1", "-o", `${dir}/kinds`, `${dir}/kinds.c`], { encoding: "utf8" });
		expect([gcc.status, gcc.status === 0 ? "" : gcc.stderr]).toEqual([0, ""]);
		child = await Child.start(`exec ${dir}/kinds ${dir}`);
	});

	afterAll(async () => {
		await child?.[Symbol.asyncDispose]();
		rmSync(dir, { recursive: true });
	});

	const kind = (fd: number): FdinfoKind => readFdinfo(child.pid, fd).kind;

	test("eventfd shows its counter", () => {
		expect(kind(50)).toMatchObject({ type: "eventfd", count: 5n });
	});

	test("epoll shows what it watches", () => {
		expect(kind(51)).toMatchObject({
			type: "epoll",
			targets: [{ tfd: expect.any(Number), events: 0x80000019, data: 0xfedcba9876543210n }],
		});
	});

	test("signalfd shows the accepted signals", () => {
		expect(kind(52)).toEqual({ type: "signalfd", sigmask: (1n << 63n) | (1n << 9n) });
	});

	test("timerfd shows its remaining time", () => {
		const timerfd = kind(53);
		expect(timerfd).toMatchObject({ type: "timerfd", clockId: 7, ticks: 0n, interval: { sec: 2n, nsec: 3n } });
		expect(timerfd.type === "timerfd" && timerfd.value.sec > 900n).toBe(true);
	});

	test("inotify shows the watched inode", () => {
		const { ino, dev } = statSync(dir, { bigint: true });
		expect(kind(54)).toMatchObject({
			type: "inotify",
			watches: [{ wd: 1, ino, sdev: userToKernelDev(dev), mask: 0x300 }],
		});
	});

	test("pidfd shows its process", () => {
		expect(kind(55)).toMatchObject({ type: "pidfd", pid: child.pid });
	});

	test("a file shows its flags and its OFD lock", () => {
		const info = readFdinfo(child.pid, 56);
		const { ino } = statSync(`${dir}/kinds`, { bigint: true });
		// O_CLOEXEC is the descriptor's and dup2 dropped it, unless the file came out as 56 by itself.
		expect(info.flags & ~0o2000000).toBe(0o100000);
		expect(info.ino).toBe(ino);
		expect(info.locks).toMatchObject([{ kind: "OFDLCK", access: "READ", pid: -1, ino, start: 5n, end: 14n }]);
		expect(readLocks().some((lock) => lock.ino === ino && lock.kind === "OFDLCK")).toBe(true);
	});

	test("the POSIX timer is listed", () => {
		expect(readTimers(child.pid)).toEqual([
			{ id: 0, signo: 12, sivalPtr: 0x1234567890n, notify: "signal", toThread: false, pid: child.pid, clockId: 1 },
		]);
	});

	test("the system call it sleeps in is read, where the kernel has the file", () => {
		let call: ReturnType<typeof readSyscall>;
		try {
			call = readSyscall(child.pid);
		} catch (error) {
			expect(error).toMatchObject({ code: "ENOENT" });
			return;
		}
		// It may not have got there yet: then it's running.
		if (call !== undefined) expect([0, 1]).toContain(call.nr);
	});
});
