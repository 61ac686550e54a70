// SPDX-License-Identifier: GPL-2.0-only
// Who keeps the userfaultfds of tracked tasks between two runs of criu: a tiny process that ends with them. The kernel forgets
// what was written when it ends, however it ends, so that the next dump is a full one. Where soft-dirty bits tell what was written
// there's nothing to keep, but the tracker is still what only the latest images know.

import { readdirSync } from "node:fs";
import { createExecutable } from "../agent/executable.ts";
import { isErrno, messageOf } from "../errors.ts";
import { SYS_memfd_create, SYS_poll } from "../kernel/abi/syscalls.x86_64.ts";
import { readLink } from "../kernel/procfs/links.ts";
import { readComm } from "../kernel/procfs/task-files.ts";
import { listProcesses } from "../kernel/procfs/tasks.ts";
import { log } from "../log.ts";
import type { SoftTraces } from "../pages/soft-dirty.ts";
import { closeFd, readAt, statFd, toCString, writeAll } from "../sys/file.ts";
import { mustSyscall, spawn } from "../sys/host.ts";
import { getPidfdFd, openPidfd, sendSignal } from "../sys/process.ts";
import { makeTrackerProgram, TRACKER_NAME } from "./tracker-program.x86_64.ts";

const SIGKILL = 9;
const MFD_CLOEXEC = 1;
const END_MS = 10_000;
const STATE_LIMIT = 64n << 20n;
const latin1 = new TextDecoder("latin1");

export const NO_USERFAULT = -1;

/** A task as its tracker knows it: a pid is that task as long as it has that start time. */
export interface TrackedTask {
	readonly pid: number;
	/** In clock ticks since boot. */
	readonly start: string;
	/** Number of its userfaultfd, here our own, in a state that of the tracker; NO_USERFAULT: soft-dirty bits tell. */
	readonly uffd: number;
	/** Of soft-dirty bits: what was left when they were cleared. */
	readonly traces?: SoftTraces;
}

interface TrackerState {
	readonly token: string;
	readonly tasks: readonly TrackedTask[];
}

/** Where the inventory of a dump finds the tracker that goes on from it. */
export interface TrackerAddress {
	readonly pid: number;
	/** Number of the descriptor that holds its state. */
	readonly stateFd: number;
	readonly token: string;
}

/** As it stands in the state: numbers in hexadecimal. */
type WrittenTask = Omit<TrackedTask, "traces"> & {
	readonly marks?: readonly string[];
	readonly frames?: readonly string[];
};

const isNumbers = (list: unknown) =>
	Array.isArray(list) && list.every((one) => typeof one === "string" && /^[0-9a-f]{1,16}$/.test(one));

function isTask({ pid, start, uffd, marks, frames }: WrittenTask): boolean {
	if (!Number.isInteger(pid) || typeof start !== "string" || !Number.isInteger(uffd)) return false;
	return uffd === NO_USERFAULT ? isNumbers(marks) && isNumbers(frames) : uffd >= 0;
}

const show = (numbers: readonly bigint[]) => numbers.map((number) => number.toString(16));
const read = (numbers: readonly string[]) => numbers.map((number) => BigInt(`0x${number}`));

function writeTask({ pid, start, uffd, traces }: TrackedTask): WrittenTask {
	const task = { pid, start, uffd };
	return traces === undefined ? task : { ...task, marks: show(traces.marks), frames: show(traces.frames) };
}

function readTask({ pid, start, uffd, marks, frames }: WrittenTask): TrackedTask {
	const task = { pid, start, uffd };
	return marks && frames ? { ...task, traces: { marks: read(marks), frames: read(frames) } } : task;
}

function parseState(text: string): TrackerState | undefined {
	try {
		const { token, tasks } = JSON.parse(text) as { token?: unknown; tasks?: unknown };
		if (typeof token !== "string" || !Array.isArray(tasks)) return undefined;
		return tasks.every(isTask) ? { token, tasks: tasks.map(readTask) } : undefined;
	} catch {
		return undefined;
	}
}

/** A tracker that was found alive. */
export class Tracker {
	private constructor(
		readonly pid: number,
		private readonly pidfd: number,
		private readonly state: TrackerState,
	) {}

	/** The process behind a pid if it is a tracker; undefined for anything else, which isn't touched. */
	static open(pid: number, stateFd: number): Tracker | undefined {
		let pidfd = -1;
		let fd = -1;
		try {
			pidfd = openPidfd(pid);
			if (latin1.decode(readComm(pid)) !== TRACKER_NAME) return undefined;
			fd = getPidfdFd(pidfd, stateFd);
			if (!isState(readLink(`/proc/self/fd/${fd}`))) return undefined;
			const { size } = statFd(fd);
			const state = size > STATE_LIMIT ? undefined : parseState(latin1.decode(readAt(fd, Number(size), 0)));
			if (state === undefined) return undefined;
			const tracker = new Tracker(pid, pidfd, state);
			pidfd = -1;
			return tracker;
		} catch (error) {
			log.debug(() => `pid ${pid} tracks nothing: ${messageOf(error)}`);
			return undefined;
		} finally {
			if (fd >= 0) closeFd(fd);
			if (pidfd >= 0) closeFd(pidfd);
		}
	}

	/** All that are alive, among all processes that we see. */
	static *list(): Generator<Tracker> {
		for (const pid of listProcesses()) {
			try {
				if (latin1.decode(readComm(pid)) !== TRACKER_NAME) continue;
				const fds = readdirSync(`/proc/${pid}/fd`).map(Number);
				const stateFd = fds.find((fd) => isState(readLink(`/proc/${pid}/fd/${fd}`)));
				const tracker = stateFd === undefined ? undefined : Tracker.open(pid, stateFd);
				if (tracker !== undefined) yield tracker;
			} catch {
				// Gone meanwhile.
			}
		}
	}

	get token(): string {
		return this.state.token;
	}

	/** True when it keeps track of that task. */
	tracks(pid: number, start: bigint): boolean {
		return this.state.tasks.some((task) => task.pid === pid && task.start === String(start));
	}

	/** Our own copies of its userfaultfds. The caller closes them. */
	takeTasks(): TrackedTask[] {
		const taken: TrackedTask[] = [];
		for (const task of this.state.tasks) {
			try {
				const uffd = task.uffd === NO_USERFAULT ? NO_USERFAULT : getPidfdFd(this.pidfd, task.uffd);
				taken.push({ ...task, uffd });
			} catch (error) {
				if (!isErrno(error, "EBADF", "ESRCH")) throw error;
			}
		}
		return taken;
	}

	/** Ends it. What it kept is free, unless we have copies, when this returns. */
	end(): void {
		sendSignal(this.pid, SIGKILL);
		awaitEnd(this.pidfd);
		this.close();
	}

	close(): void {
		closeFd(this.pidfd);
	}
}

const isState = (link: Uint8Array) => latin1.decode(link).startsWith(`/memfd:${TRACKER_NAME}`);

/** Waits for a process to be dead: its descriptors are closed then. */
function awaitEnd(pidfd: number): void {
	const poll = new Int32Array([pidfd, 1]);
	mustSyscall("of a tracker", SYS_poll, poll, 1, END_MS);
}

/** Starts the tracker that goes on from a dump. @throws KernelError */
export function startTracker(
	token: string,
	tasks: readonly (TrackedTask & { readonly pidfd: number })[],
): TrackerAddress {
	const stateFd = mustSyscall("of a tracker's state", SYS_memfd_create, toCString(TRACKER_NAME), MFD_CLOEXEC);
	let execFd = -1;
	try {
		const state = { token, tasks: tasks.map(writeTask) };
		writeAll(stateFd, new TextEncoder().encode(JSON.stringify(state)));
		execFd = createExecutable(makeTrackerProgram(tasks.map(({ pidfd }) => pidfd)));
		const fds = tasks.flatMap(({ uffd, pidfd }) => (uffd === NO_USERFAULT ? [pidfd] : [uffd, pidfd]));
		const kept = [stateFd, execFd, ...fds];
		const pid = spawn({
			flags: 0n,
			setTid: [],
			// The same numbers, so that nothing has to be told about them.
			moves: kept.map((fd) => ({ from: fd, to: fd })),
			execFd,
			closeFrom: 0,
			dieWithParent: false,
		});
		return { pid, stateFd, token };
	} finally {
		closeFd(stateFd);
		if (execFd >= 0) closeFd(execFd);
	}
}
