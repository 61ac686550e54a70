// SPDX-License-Identifier: GPL-2.0-only
// Timers as files. A relative one goes on with what was left of its time, an absolute one keeps its moment.
// Images: files.img (timerfd_entry; the moment is a field of ours, CRIU has only the time left).
// Source: timerfd_create(2), proc_pid_fdinfo(5), fs/timerfd.c TFD_IOC_SET_TICKS.

import type { OpRef } from "../../agent/program.ts";
import { BugError, type CriuError } from "../../errors.ts";
import { fd_types, type file_entry, file_entrySchema } from "../../images/gen/fdinfo_pb.ts";
import { type timerfd_entry, timerfd_entrySchema } from "../../images/gen/file_pb.ts";
import { create, hasField } from "../../images/index.ts";
import { TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET } from "../../kernel/abi/event-files.ts";
import { TFD_IOC_SET_TICKS } from "../../kernel/abi/ioctl.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import * as time from "../../kernel/abi/time.ts";
import { type FdinfoKind, readFdinfo } from "../../kernel/procfs/fdinfo.ts";
import { mustSyscall } from "../../sys/host.ts";
import type { FdFacts, FileFinish, FileKind, FilePlan } from "../kind.ts";
import { readRestoredClock, readTaskClock } from "../ns/time.ts";
import { checkFlags, findHandleBlockers, hasAnonLink, imageFlags, planFlags, refuseFd } from "./anon-inode.ts";
import { checkInner, corruptImage } from "./image-checks.ts";

type TimerfdFacts = Extract<FdinfoKind, { type: "timerfd" }>;
type Span = TimerfdFacts["value"];

const NSEC = 1_000_000_000n;
const MAX_SEC = (1n << 63n) - 1n;
/** A timer that is due shows no time left for an instant before its expiry counts. */
const DUE_READS = 10_000;
/** The clock that a timer's clock reads. */
const CLOCKS: ReadonlyMap<number, number> = new Map([
	[time.CLOCK_REALTIME, time.CLOCK_REALTIME],
	[time.CLOCK_MONOTONIC, time.CLOCK_MONOTONIC],
	[time.CLOCK_BOOTTIME, time.CLOCK_BOOTTIME],
	[time.CLOCK_REALTIME_ALARM, time.CLOCK_REALTIME],
	[time.CLOCK_BOOTTIME_ALARM, time.CLOCK_BOOTTIME],
]);

function isZero({ sec, nsec }: Span): boolean {
	return sec === 0n && nsec === 0n;
}

function isAlarm(clockId: number): boolean {
	return clockId === time.CLOCK_REALTIME_ALARM || clockId === time.CLOCK_BOOTTIME_ALARM;
}

/** An expiry that nobody has read shows as one tick without time left; more ticks tell that the clock was set. */
function isCancelled({ settimeFlags, ticks, value }: TimerfdFacts): boolean {
	return (settimeFlags & TFD_TIMER_CANCEL_ON_SET) !== 0 && ticks > (isZero(value) ? 1n : 0n);
}

function findTimerfdBlockers(file: FdFacts): CriuError[] {
	const { kind } = file.info;
	if (kind.type !== "timerfd") return findHandleBlockers(file);
	if (!isCancelled(kind)) return [];
	return [
		refuseFd(
			file,
			"may have to tell that the clock was set (TFD_TIMER_CANCEL_ON_SET), which can't be made again",
			"let the program read it first",
		),
	];
}

/**
 * The state of a timer. One that has expired and isn't read stands still inside the kernel until somebody looks: a look
 * lets it count the expirations since then, as the program's next read would have.
 */
function readTimer(file: FdFacts): TimerfdFacts {
	const { kind: earlier } = file.info;
	for (let reads = 1; ; reads++) {
		mustSyscall(`of fd ${file.fd}`, nr.SYS_timerfd_gettime, file.ownFd, new Uint8Array(time.Itimerspec.size));
		const { kind } = readFdinfo(file.task.pid, file.fd);
		if (kind.type !== "timerfd" || earlier.type !== "timerfd")
			throw new BugError(`fd ${file.fd} of pid ${file.task.pid} is no timerfd`);
		const isDue = isZero(kind.value) && kind.ticks === 0n && !isZero(earlier.value);
		if (!isDue || reads === DUE_READS) return kind;
	}
}

function dumpTimerfd(file: FdFacts, id: number): file_entry {
	const { clockId, ticks, settimeFlags, value, interval } = readTimer(file);
	const clock = CLOCKS.get(clockId);
	const isAbsolute = (settimeFlags & TFD_TIMER_ABSTIME) !== 0 && !isZero(value) && clock !== undefined;
	// Read after the time left: the moment may come out a little late, but never early.
	const deadline = isAbsolute ? readTaskClock(file.task.pid, clock) + value.sec * NSEC + value.nsec : 0n;
	return create(file_entrySchema, {
		type: fd_types.TIMERFD,
		id,
		tfd: create(timerfd_entrySchema, {
			id,
			flags: imageFlags(file),
			fown: file.fown,
			clockid: clockId,
			ticks,
			settimeFlags,
			vsec: value.sec,
			vnsec: value.nsec,
			isec: interval.sec,
			insec: interval.nsec,
			...(isAbsolute ? { deadlineSec: deadline / NSEC, deadlineNsec: deadline % NSEC } : {}),
		}),
	});
}

/** @throws ImageError */
function checkTimer(entry: file_entry): timerfd_entry {
	const timer = checkInner(entry.id, "timerfd", entry.tfd);
	const fail = (field: string, value: number | bigint) =>
		corruptImage("files.img", `${field} of timerfd ${entry.id} is ${value}`);
	if (!CLOCKS.has(timer.clockid)) throw fail("clockid", timer.clockid);
	for (const key of ["vsec", "isec", "deadlineSec"] as const) if (timer[key] > MAX_SEC) throw fail(key, timer[key]);
	for (const key of ["vnsec", "insec", "deadlineNsec"] as const) if (timer[key] >= NSEC) throw fail(key, timer[key]);
	if ((timer.settimeFlags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) !== 0)
		throw fail("settime_flags", timer.settimeFlags);
	return timer;
}

function planTimerfd(entry: file_entry, { program }: FilePlan): OpRef {
	const { id, clockid, flags } = checkTimer(entry);
	const fd = program.syscall(`make timerfd ${id}`, nr.SYS_timerfd_create, [clockid, checkFlags(id, flags)], {
		remedies: { EPERM: "run as root (CAP_WAKE_ALARM)" },
	});
	planFlags(program, fd, flags);
	return fd;
}

/** The first expiry: how long until then or, for absolute timers, when. Zero for a timer that isn't armed. */
function firstExpiry(timer: timerfd_entry, { context, image }: FileFinish): Span {
	const interval = { sec: timer.isec, nsec: timer.insec };
	const left = { sec: timer.vsec, nsec: timer.vnsec };
	// A periodic timer that has expired and that nobody has looked at since.
	const span = isZero(left) && timer.ticks > 0n ? interval : left;
	if (isZero(span) || (timer.settimeFlags & TFD_TIMER_ABSTIME) === 0) return span;
	if (hasField(timer, "deadlineSec")) return { sec: timer.deadlineSec, nsec: timer.deadlineNsec };
	const clock = CLOCKS.get(timer.clockid) ?? time.CLOCK_REALTIME;
	const moment = readRestoredClock(context.dir, image.ids.timeNsId, clock) + span.sec * NSEC + span.nsec;
	return moment / NSEC > MAX_SEC ? { sec: MAX_SEC, nsec: 0n } : { sec: moment / NSEC, nsec: moment % NSEC };
}

/** Arms it at the very end, when it's the task's own rights that count; waking the machine up needs more than those. */
function armTimerfd(entry: file_entry, file: FileFinish): void {
	const timer = checkTimer(entry);
	const { clockid, ticks, settimeFlags, isec, insec } = timer;
	const first = firstExpiry(timer, file);
	const { release, arm } = file.plan.programs;
	const program = isAlarm(clockid) ? release : arm;
	if (!isZero(first) || settimeFlags !== 0 || isec !== 0n || insec !== 0n) {
		const spec = time.Itimerspec.encode({
			it_interval: { tv_sec: isec, tv_nsec: insec },
			it_value: { tv_sec: first.sec, tv_nsec: first.nsec },
		});
		program.syscall(`arm timerfd ${entry.id}`, nr.SYS_timerfd_settime, [file.number, settimeFlags, spec, 0], {
			remedies: { EPERM: "run as root (CAP_WAKE_ALARM)" },
		});
	}
	if (ticks === 0n) return;
	const count = new Uint8Array(BigUint64Array.of(ticks).buffer);
	program.syscall(`set the ticks of timerfd ${entry.id}`, nr.SYS_ioctl, [file.number, TFD_IOC_SET_TICKS, count], {
		remedies: { ENOTTY: "the kernel needs CONFIG_CHECKPOINT_RESTORE" },
	});
}

/** Timers as files. */
export const timerfd: FileKind = {
	name: "timerfd",
	type: fd_types.TIMERFD,
	source: "/proc/PID/fdinfo, timerfd_gettime(2)",
	matches: hasAnonLink("[timerfd]"),
	findBlockers: findTimerfdBlockers,
	dump: dumpTimerfd,
	plan: planTimerfd,
	finish: armTimerfd,
};
