// SPDX-License-Identifier: GPL-2.0-only
// Time namespace: monotonic and boot-time clocks go on from where they were at the dump, whatever host the task wakes up
// on. Images: timens-N.img (timens_entry); N is 0 when the task was in the host's own. Source: time_namespaces(7).

import { ImageError, isErrno } from "../../errors.ts";
import type { task_kobj_ids_entry } from "../../images/gen/core_pb.ts";
import { type timens_entry, timens_entrySchema, timespecSchema } from "../../images/gen/namespace_pb.ts";
import { create, type ImageDir, KINDS } from "../../images/index.ts";
import { O_CLOEXEC, O_RDONLY, O_WRONLY } from "../../kernel/abi/fcntl.ts";
import { CLONE_NEWTIME } from "../../kernel/abi/sched.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { readTimensOffsets } from "../../kernel/procfs/task-files.ts";
import { toCString } from "../../sys/file.ts";
import { mustSyscall } from "../../sys/host.ts";
import type { TaskPlan } from "../kind.ts";

const CLOCK_MONOTONIC = 1;
const CLOCK_BOOTTIME = 7;
const NSEC = 1_000_000_000n;
/** The kernel's ktime_t: 2^63 ns. */
const MAX_SECONDS = ((1n << 63n) - 1n) / NSEC;

/** A clock of ours, in nanoseconds. */
function readClock(clock: number): bigint {
	const time = new BigInt64Array(2);
	mustSyscall("", nr.SYS_clock_gettime, clock, time);
	return (time[0] ?? 0n) * NSEC + (time[1] ?? 0n);
}

function toTimespec(ns: bigint) {
	return create(timespecSchema, { tvSec: ns / NSEC, tvNsec: ns % NSEC });
}

/** Offsets of a task's clocks against the host's, in nanoseconds. None on kernels without time namespaces. */
function readOffsets(pid: number | "self"): { monotonic: bigint; boottime: bigint } {
	const offsets = { monotonic: 0n, boottime: 0n };
	try {
		for (const { clock, sec, nsec } of readTimensOffsets(pid)) {
			const ns = sec * NSEC + nsec;
			if (clock === "monotonic") offsets.monotonic = ns;
			else offsets.boottime = ns;
		}
	} catch (error) {
		if (!isErrno(error, "ENOENT")) throw error;
	}
	return offsets;
}

/** What a clock shows to a task now, in nanoseconds. */
export function readTaskClock(pid: number, clock: number): bigint {
	const now = readClock(clock);
	const name = clock === CLOCK_MONOTONIC ? "monotonic" : clock === CLOCK_BOOTTIME ? "boottime" : undefined;
	return name === undefined ? now : now - readOffsets("self")[name] + readOffsets(pid)[name];
}

/** What a clock will show to restored tasks when they begin to run, as far as that's known now, in nanoseconds. */
export function readRestoredClock(dir: ImageDir, timeNsId: number, clock: number): bigint {
	const name = clock === CLOCK_MONOTONIC ? "monotonic" : clock === CLOCK_BOOTTIME ? "boottime" : undefined;
	const stored = dir.findEntry(KINDS.TIMENS, 0) ?? dir.findEntry(KINDS.TIMENS, timeNsId);
	const time = name === undefined || !hasTimeNamespaces() ? undefined : stored?.[name];
	return time === undefined ? readClock(clock) : time.tvSec * NSEC + time.tvNsec;
}

/** What the task's clocks show now. */
export function dumpTimeNamespace(pid: number): timens_entry {
	const ours = readOffsets("self");
	const theirs = readOffsets(pid);
	return create(timens_entrySchema, {
		monotonic: toTimespec(readClock(CLOCK_MONOTONIC) - ours.monotonic + theirs.monotonic),
		boottime: toTimespec(readClock(CLOCK_BOOTTIME) - ours.boottime + theirs.boottime),
	});
}

/** Number of the image for a task with these ids. */
export function timeImageId(root: task_kobj_ids_entry, task: task_kobj_ids_entry): number {
	return task.timeNsId !== 0 && task.timeNsId !== root.timeNsId ? task.timeNsId : 0;
}

/** @throws ImageError for a time that no clock shows */
function checkTime(file: string, name: string, time: timens_entry["monotonic"]): void {
	if (time === undefined || (time.tvSec <= MAX_SECONDS && time.tvNsec < NSEC)) return;
	throw new ImageError("IMAGE_CORRUPT", `${file}: ${name} is ${time.tvSec} s and ${time.tvNsec} ns`, {
		file,
		remedy: "dump again; the images were damaged",
	});
}

function offsetText(stored: timens_entry["monotonic"], clock: number, ownOffset: bigint): string {
	const wanted = (stored?.tvSec ?? 0n) * NSEC + (stored?.tvNsec ?? 0n);
	const offset = wanted - (readClock(clock) - ownOffset);
	// Nanoseconds are never negative.
	const nsec = ((offset % NSEC) + NSEC) % NSEC;
	return `${clock} ${(offset - nsec) / NSEC} ${nsec}\n`;
}

/**
 * Adds operations that put the task into a time namespace in which its clocks go on. Without an image, or on a kernel
 * without time namespaces, it stays in ours.
 */
export function planTimeNamespace(dir: ImageDir, id: number, plan: TaskPlan): void {
	const stored = dir.findEntry(KINDS.TIMENS, id);
	if (stored === undefined) return;
	checkTime(`timens-${id}.img`, "monotonic", stored.monotonic);
	checkTime(`timens-${id}.img`, "boottime", stored.boottime);
	if (!hasTimeNamespaces()) return;
	const program = plan.programs.tree;
	const ours = readOffsets("self");
	const text = new TextEncoder().encode(
		offsetText(stored.monotonic, CLOCK_MONOTONIC, ours.monotonic) +
			offsetText(stored.boottime, CLOCK_BOOTTIME, ours.boottime),
	);
	const remedies = { EPERM: "run as root (CAP_SYS_TIME, CAP_SYS_ADMIN)", ENOSPC: "raise user.max_time_namespaces" };
	program.syscall("make a time namespace", nr.SYS_unshare, [CLONE_NEWTIME], { remedies });
	const offsets = program.syscall("open the clock offsets", nr.SYS_openat, [
		-100,
		toCString("/proc/self/timens_offsets"),
		O_WRONLY | O_CLOEXEC,
		0,
	]);
	program.syscall("set the clock offsets", nr.SYS_write, [offsets, text, text.length], {
		check: { equal: text.length },
		remedies: { ERANGE: "the clocks of the images are out of this host's range" },
	});
	program.syscall("close the clock offsets", nr.SYS_close, [offsets]);
	const ns = program.syscall("open the time namespace", nr.SYS_openat, [
		-100,
		toCString("/proc/self/ns/time_for_children"),
		O_RDONLY | O_CLOEXEC,
		0,
	]);
	program.syscall("enter the time namespace", nr.SYS_setns, [ns, CLONE_NEWTIME], { remedies });
	program.syscall("close the time namespace", nr.SYS_close, [ns]);
}

function hasTimeNamespaces(): boolean {
	try {
		readTimensOffsets("self");
		return true;
	} catch (error) {
		if (isErrno(error, "ENOENT")) return false;
		throw error;
	}
}
