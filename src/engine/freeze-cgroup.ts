// SPDX-License-Identifier: GPL-2.0-only
// Freezing by a cgroup (--freeze-cgroup): while its tasks are frozen none of them can make others, so that all are seized as
// they are; then they're thawed into the hands of ptrace. A cgroup that was found frozen is frozen again at the end.
// Source: cgroups(7), Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst and cgroup-v2.rst (cgroup.freeze).

import { closeSync, constants, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { backOff } from "../agent/tracee.ts";
import { CriuError, UsageError } from "../errors.ts";
import { faultPoint } from "../fault.ts";
import { O_CLOEXEC } from "../kernel/abi/fcntl.ts";
import { SYS_pipe2 } from "../kernel/abi/syscalls.x86_64.ts";
import { readCgroup } from "../kernel/procfs/cgroup.ts";
import { mustSyscall, startGuard } from "../sys/host.ts";
import { __WALL, P_PID, WEXITED, waitId } from "../sys/process.ts";

const PARENT_MS = 1000;

/** A version of the interface. */
interface Interface {
	/** The file that freezes and thaws. */
	readonly file: string;
	readonly freeze: string;
	readonly thaw: string;
	/** Whether it was asked to be frozen itself. */
	isAsked(dir: string): boolean;
	/** Whether all of its tasks stand still. */
	isFrozen(dir: string): boolean;
	/** Frozen tasks can't take part in being seized when they were stopped before. */
	readonly holdsStopped: boolean;
}

const readText = (dir: string, file: string) => readFileSync(join(dir, file), "latin1");

const V1: Interface = {
	file: "freezer.state",
	freeze: "FROZEN",
	thaw: "THAWED",
	isAsked: (dir) => readText(dir, "freezer.self_freezing").trim() === "1",
	// Reading it is what makes the kernel look again.
	isFrozen: (dir) => readText(dir, "freezer.state").trim() === "FROZEN",
	holdsStopped: true,
};

const V2: Interface = {
	file: "cgroup.freeze",
	freeze: "1",
	thaw: "0",
	isAsked: (dir) => readText(dir, "cgroup.freeze").trim() === "1",
	isFrozen: (dir) => /^frozen 1$/m.test(readText(dir, "cgroup.events")),
	holdsStopped: false,
};

function exists(dir: string, file: string): boolean {
	try {
		readText(dir, file);
		return true;
	} catch {
		return false;
	}
}

/** True when that process is in the cgroup or below. */
function holds(dir: string, pid: number): boolean {
	if (readText(dir, "cgroup.procs").split("\n").includes(String(pid))) return true;
	return readdirSync(dir, { withFileTypes: true }).some((one) => one.isDirectory() && holds(join(dir, one.name), pid));
}

/** A cgroup by which a tree is frozen. */
export class FreezerCgroup {
	/** It was frozen when we came, and is to be at the end. */
	readonly wasFrozen: boolean;
	/** Threads that were stopped before can't be seized before it's thawed. */
	readonly holdsStopped: boolean;
	private readonly fd: number;
	private guard: { readonly pid: number; readonly pipe: number } | undefined;
	private isThawed = true;

	private constructor(
		readonly path: string,
		private readonly how: Interface,
		private readonly deadline: number,
	) {
		this.holdsStopped = how.holdsStopped;
		this.wasFrozen = how.isAsked(path);
		this.fd = openSync(join(path, how.file), constants.O_RDWR);
	}

	/** @throws UsageError FREEZE_CGROUP when that is no cgroup which can be frozen */
	static open(path: string, deadline: number): FreezerCgroup {
		const how = exists(path, V1.file) ? V1 : exists(path, V2.file) ? V2 : undefined;
		if (how === undefined)
			throw new UsageError("FREEZE_CGROUP", `${path} has neither ${V1.file} nor ${V2.file}`, {
				remedy: "name the folder of a freezer cgroup (v1) or of a cgroup v2 other than the root",
			});
		if (holds(path, process.pid))
			throw new UsageError("FREEZE_CGROUP", `criu is in the cgroup ${path} itself`, {
				remedy: "start criu in another cgroup, or name one that holds the target alone",
			});
		try {
			return new FreezerCgroup(path, how, deadline);
		} catch (error) {
			throw new CriuError("FREEZE_CGROUP", `the cgroup ${path} can't be frozen`, {
				cause: error,
				remedy: "run as root, where the cgroup file system is mounted writable",
			});
		}
	}

	/** Freezes it. From here on it's as before when we die. @throws CriuError FREEZE_TIMEOUT, FREEZE_CGROUP */
	freeze(): void {
		this.startGuard();
		this.isThawed = false;
		this.write(this.how.freeze);
		faultPoint("freeze:asked");
		this.await(true, this.deadline, () => {
			throw new CriuError("FREEZE_TIMEOUT", `the cgroup ${this.path} didn't freeze in time`, {
				remedy: "give it longer with --timeout SECONDS, or leave --freeze-cgroup away",
			});
		});
		faultPoint("freeze:frozen");
	}

	/** Lets its tasks go on, unless they are held otherwise. @throws CriuError FREEZE_CGROUP when a parent is frozen, too */
	thaw(): void {
		if (this.isThawed) return;
		this.write(this.how.thaw);
		this.isThawed = true;
		this.await(false, performance.now() + PARENT_MS, () => {
			throw new CriuError("FREEZE_CGROUP", `the cgroup ${this.path} stays frozen: one above it is frozen`, {
				remedy: "thaw that one, or name it with --freeze-cgroup",
			});
		});
		faultPoint("freeze:thawed");
	}

	/** Freezes it again, if it was frozen. To be called while its tasks still stand still. */
	restore(): void {
		if (!this.wasFrozen || !this.isThawed) return;
		this.isThawed = false;
		this.write(this.how.freeze);
	}

	/** Puts it back as it was found. */
	close(): void {
		try {
			if (this.wasFrozen) this.restore();
			else this.thaw();
		} finally {
			this.endGuard();
			closeSync(this.fd);
		}
	}

	private write(text: string): void {
		writeSync(this.fd, text, 0);
	}

	private await(frozen: boolean, until: number, late: () => never): void {
		for (let round = 0; this.how.isFrozen(this.path) !== frozen; round++) {
			if (performance.now() > until) late();
			backOff(round);
		}
	}

	private startGuard(): void {
		const ends = new Int32Array(2);
		mustSyscall("for a guard", SYS_pipe2, ends, O_CLOEXEC);
		const [reader = -1, writer = -1] = ends;
		try {
			const pid = startGuard({
				pipeFd: reader,
				stateFd: this.fd,
				end: this.wasFrozen ? this.how.freeze : this.how.thaw,
				late: this.how.thaw,
				timeoutMs: Math.max(1, Math.ceil(this.deadline - performance.now())),
			});
			this.guard = { pid, pipe: writer };
		} catch (error) {
			closeSync(writer);
			throw error;
		} finally {
			closeSync(reader);
		}
	}

	private endGuard(): void {
		const { guard } = this;
		if (guard === undefined) return;
		this.guard = undefined;
		writeSync(guard.pipe, "q");
		closeSync(guard.pipe);
		waitId(P_PID, guard.pid, WEXITED | __WALL);
	}
}

/** Where freezers are usually mounted. */
const PLACES = { v1: ["/sys/fs/cgroup/freezer"], v2: ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] } as const;
const ROOT = "/";

/**
 * The cgroup by which a process is frozen, as far as it's found at the usual places. A frozen process answers no question.
 *
 * @throws KernelError ENOENT, ESRCH when the process is gone
 */
export function findFrozenCgroup(pid: number): string | undefined {
	for (const { hierarchy, controllers, path, deleted } of readCgroup(pid)) {
		const isV1 = controllers.split(",").includes("freezer");
		const name = Buffer.from(path).toString();
		if ((hierarchy !== 0 && !isV1) || name === ROOT || deleted) continue;
		const how = isV1 ? V1 : V2;
		for (const place of isV1 ? PLACES.v1 : PLACES.v2) {
			try {
				if (how.isFrozen(place + name)) return place + name;
			} catch {
				// Not mounted there, or not as a whole.
			}
		}
	}
	return undefined;
}
