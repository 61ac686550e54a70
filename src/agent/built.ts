// SPDX-License-Identifier: GPL-2.0-only
// A process that is being built: our child, with the agent as its first and only code. It dies with us (EXITKILL) until it
// is let go.

import { BugError, CriuError, isErrno, KernelError } from "../errors.ts";
import { faultPoint } from "../fault.ts";
import {
	CLONE_FILES,
	CLONE_FS,
	CLONE_PARENT,
	CLONE_SIGHAND,
	CLONE_SYSVSEM,
	CLONE_THREAD,
	CLONE_VM,
	CloneArgs,
} from "../kernel/abi/sched.ts";
import { SYS_exit, SYS_ftruncate, SYS_munmap } from "../kernel/abi/syscalls.x86_64.ts";
import type { UserDesc } from "../kernel/abi/user-regs.x86_64.ts";
import { readStatus } from "../kernel/procfs/status.ts";
import { listChildren, listThreads } from "../kernel/procfs/tasks.ts";
import { agentBlob } from "../sys/embedded.ts";
import { closeFd } from "../sys/file.ts";
import { mustSyscall, spawn } from "../sys/host.ts";
import { mapShared } from "../sys/memory.ts";
import { __WALL, P_PID, sendSignal, WEXITED, waitId } from "../sys/process.ts";
import * as pt from "../sys/ptrace.ts";
import { stopTimeout } from "./blocked-stop.ts";
import { AgentChannel } from "./channel.ts";
import { buildAgentElf } from "./elf.x86_64.ts";
import { createExecutable, createMemfd } from "./executable.ts";
import { AREA_BLOB, AREA_PROGRAM } from "./layout.ts";
import { type OpRef, type OutRef, Program, sizeProgram } from "./program.ts";
import { getReg, REG, type Registers, withRegs } from "./registers.x86_64.ts";
import { type AgentSlot, BuildSite, initSlot, type SiteLayout, slotOf } from "./site.ts";
import {
	awaitStandstill,
	backOff,
	detachThread,
	getRegisters,
	interruptThread,
	isDead,
	passOnDeath,
	resumeAllToSyscall,
	seizeThread,
	setRegisters,
	waitStop,
} from "./tracee.ts";

const SIGKILL = 9;
const SIGCHLD = 17;
const STEP_TIMEOUT_MS = 10_000;
/** Clones of one program. */
export const MAX_CLONES = 32;
/** Bytes of each. */
const CLONE_ROOM = 640;
/** Bytes of vector state that ptrace takes on this machine, once it was asked. */
let xstateSize: number | undefined;

/** What the first process of a restore is made with. */
export interface BuildRequest {
	/** Namespaces and CLONE_PARENT. */
	cloneFlags: bigint;
	setTid: readonly number[];
	area: bigint;
	layout: SiteLayout;
	/** Reserved descriptor numbers for the area and the agent's executable in the child. */
	areaFd: number;
	execFd: number;
	/** What else the child gets. */
	passes: ReadonlyArray<{ from: number; to: number }>;
	/** The new process is an init; the root task will be a child of it. */
	asInit: boolean;
	/** PTRACE_O_* besides those that all have. */
	traceOptions?: number;
}

/** A child or thread to be made by an agent. */
export interface CloneRequest {
	/** In the maker's pid namespace; undefined for any. */
	vpid: number | undefined;
	slot: number;
	thread: boolean;
	/** CLONE_FILES, CLONE_FS: what a child shares with its maker. */
	flags?: bigint;
	/** Sent to the parent when a child ends; SIGCHLD when it isn't given. */
	exitSignal?: number | undefined;
	/** PTRACE_O_* besides those that all have. */
	traceOptions?: number | undefined;
}

const THREAD_FLAGS = BigInt(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM);

/** Where a thread ends up once its agent is gone. */
export interface FinalState {
	regs: Registers;
	xstate: Uint8Array;
	sigmask: bigint;
	/** Thread-local segments (set_thread_area). */
	segments: readonly UserDesc[];
}

/** A process or thread under construction. All calls come from the thread that made it. */
export class BuiltProcess {
	readonly programs: AgentChannel;
	/** Where its programs lie: of agents with the same place only one may run. */
	readonly window: number;
	private traced = true;
	/** Its end is the process's: it's the one that is killed when we die. */
	private holdsProcess: boolean;
	/** A leader whose threads live on. */
	private hasEnded = false;

	private constructor(
		/** As we see it. */
		readonly pid: number,
		/** As it sees itself. */
		readonly vpid: number,
		readonly site: BuildSite,
		slot: AgentSlot,
		private readonly isThread: boolean,
	) {
		this.window = slot.program;
		this.holdsProcess = !isThread;
		this.programs = new AgentChannel(pid, site.shared, slot.ctl, slot.program, slot.programLength, site.area);
	}

	/**
	 * Makes the first process and brings it under control. It waits for its first program. The site is the caller's to close.
	 *
	 * @throws KernelError EEXIST when the pid is taken; CriuError
	 */
	static start(request: BuildRequest): BuiltProcess {
		const areaFd = createMemfd("criu-area", 0);
		const { area, layout } = request;
		let execFd = -1;
		let site: BuildSite | undefined;
		try {
			mustSyscall("of the agent's memory", SYS_ftruncate, areaFd, layout.areaLength);
			site = new BuildSite(area, layout, mapShared(areaFd, layout.areaLength));
			const slot = request.asInit ? initSlot(layout) : slotOf(layout, 0);
			site.prepare(slot);
			execFd = createExecutable(
				buildAgentElf(agentBlob(), {
					loadAt: area + BigInt(layout.reserved) + 0x10000n,
					area,
					areaLength: layout.areaLength,
					areaFd: request.areaFd,
					ctl: slot.ctl,
					stack: slot.stack,
				}),
			);
			const pid = spawn({
				flags: request.cloneFlags,
				setTid: request.setTid,
				moves: [...request.passes, { from: areaFd, to: request.areaFd }, { from: execFd, to: request.execFd }],
				execFd,
				closeFrom: 0,
				dieWithParent: (request.cloneFlags & BigInt(CLONE_PARENT)) === 0n,
			});
			const built = new BuiltProcess(pid, request.asInit ? 1 : (request.setTid[0] ?? pid), site, slot, false);
			try {
				faultPoint("restore:spawned");
				built.seize(request.traceOptions);
			} catch (error) {
				built.kill();
				throw error;
			}
			return built;
		} catch (error) {
			site?.close();
			throw error;
		} finally {
			closeFd(areaFd);
			if (execFd >= 0) closeFd(execFd);
		}
	}

	/**
	 * Lets the agent make a child or a thread, and takes that under control, too. Until then it dies with its maker.
	 *
	 * @throws CriuError AGENT_OP (caused by EEXIST when the pid is taken), TASK_GONE
	 */
	clone(request: CloneRequest): BuiltProcess {
		let built: BuiltProcess | undefined;
		const { failure } = this.cloneTogether([request], (one) => {
			built = one;
		});
		if (failure !== undefined) throw failure.error;
		if (built === undefined) throw new BugError("an agent has made nothing");
		return built;
	}

	/**
	 * The same for children or for threads, as many of the first ones as one program has room for. `onMade` is told of each
	 * that is under control. Gives how many those are, and why the next one couldn't be made.
	 *
	 * @throws CriuError TASK_GONE, SECCOMP_SUSPEND
	 */
	cloneTogether(
		requests: readonly CloneRequest[],
		onMade: (built: BuiltProcess, request: CloneRequest) => void,
	): { made: number; failure: { readonly error: unknown } | undefined } {
		const { site } = this;
		const program = new Program();
		const planned: { request: CloneRequest; slot: AgentSlot; made: OpRef }[] = [];
		for (const request of requests) {
			const isFull = planned.length === MAX_CLONES || sizeProgram(program) + CLONE_ROOM > this.programs.capacity;
			if (planned.length > 0 && isFull) break;
			const slot = slotOf(site.layout, request.slot);
			site.prepare(slot);
			planned.push({ request, slot, made: this.planClone(program, request, slot) });
		}
		const { results, failure } = this.programs.runPartly(program);
		const vpids = planned.map(({ made }) => Number(results.result(made)));
		const made = failure === undefined ? vpids.length : vpids.findIndex((vpid) => vpid <= 0);
		const unseized = this.findOutside(vpids.slice(0, made), planned[0]?.request.thread === true).map((pid, i) => {
			const { request, slot } = planned[i] as (typeof planned)[number];
			return { request, built: new BuiltProcess(pid, vpids[i] ?? pid, site, slot, request.thread) };
		});
		try {
			for (const { request, built } of unseized) {
				built.seize(request.traceOptions);
				onMade(built, request);
			}
		} catch (error) {
			// Else its parent, when it's killed, waits for ever for a dead child that we hold.
			for (const { built } of unseized) built.kill();
			throw error;
		}
		return { made, failure };
	}

	private planClone(program: Program, request: CloneRequest, slot: AgentSlot): OpRef {
		const { area } = this.site;
		const { vpid, thread } = request;
		const args = program.out(CloneArgs.size);
		const bytes = CloneArgs.encode({
			flags: (request.flags ?? 0n) | (thread ? THREAD_FLAGS : 0n),
			exit_signal: thread ? 0n : BigInt(request.exitSignal ?? SIGCHLD),
			stack: area + BigInt(slot.stack - slot.stackSize),
			stack_size: BigInt(slot.stackSize),
			set_tid_size: vpid === undefined ? 0n : 1n,
		});
		program.copy("prepare the clone", args, bytes, bytes.length);
		if (vpid !== undefined) {
			const tid = new Uint8Array(Int32Array.of(vpid).buffer);
			program.store("prepare the pid", { out: args.out + CloneArgs.offsets.set_tid, length: 8 }, tid, 8);
		}
		const what = vpid === undefined ? "make a helper" : `make ${thread ? "thread" : "pid"} ${vpid}`;
		const maker = thread ? 0 : this.vpid;
		return program.clone(what, args, area + BigInt(slot.ctl), maker, {
			remedies: {
				EINVAL: "raise kernel.pid_max (sysctl)",
				EAGAIN: "raise the limits of processes (ulimit -u, kernel.threads-max, pids.max of the cgroup)",
				ENOMEM: "free memory",
			},
		});
	}

	/** Our numbers of children or threads that the process knows by these. @throws CriuError TASK_GONE */
	private findOutside(vpids: readonly number[], thread: boolean): number[] {
		if (this.vpid === this.pid) return [...vpids];
		const wanted = new Map(vpids.map((vpid) => [vpid, 0]));
		let left = wanted.size;
		const candidates = thread ? listThreads(this.pid) : listChildren(this.pid);
		for (const pid of candidates.reverse()) {
			const vpid = readStatus(pid).nsPid.at(-1) ?? 0;
			if (wanted.get(vpid) !== 0) continue;
			wanted.set(vpid, pid);
			if (--left === 0) break;
		}
		return vpids.map((vpid) => {
			const pid = wanted.get(vpid) ?? 0;
			if (pid !== 0) return pid;
			throw new CriuError("TASK_GONE", `the new pid ${vpid} has vanished`, { remedy: "try again" });
		});
	}

	/**
	 * Starts a program that never ends and lets the process go on with it alone. Its last operation sets `begun`: before
	 * that, our end would be the agent's.
	 */
	detachWith(program: Program, begun: OutRef): void {
		this.programs.start(program);
		this.programs.awaitWord(program, begun);
		interruptThread(this.pid, performance.now() + STEP_TIMEOUT_MS);
		this.detach();
	}

	/** Runs a program by which the process ends, and lets its parent know. */
	end(program: Program): void {
		this.programs.start(program);
		this.traced = false;
		const deadline = performance.now() + STEP_TIMEOUT_MS;
		for (let stop = waitStop(this.pid, deadline); stop.kind !== "gone"; stop = waitStop(this.pid, deadline))
			pt.ptrace(pt.PTRACE_CONT, this.pid, 0, stop.kind === "signal" ? stop.signal : 0);
		passOnDeath(this.pid);
	}

	/** A thread dies with its leader. */
	private seize(options = 0): void {
		try {
			seizeThread(this.pid, options | (this.isThread ? 0 : pt.PTRACE_O_EXITKILL));
		} catch (error) {
			if (options === 0 || !isErrno(error, "EPERM", "EINVAL")) throw error;
			throw new CriuError("SECCOMP_SUSPEND", `seccomp of task ${this.pid} can't be suspended while it is built`, {
				cause: error,
				remedy: "run criu as root and not under seccomp itself (docker: --security-opt seccomp=unconfined)",
			});
		}
		faultPoint("restore:seized");
	}

	/** Asks it to stand still; awaitStop is the rest of it. */
	requestStop(): void {
		pt.ptrace(pt.PTRACE_INTERRUPT, this.pid);
	}

	/** Waits until it stands still, for good until it is let go. */
	awaitStop(): void {
		awaitStandstill(this.pid, performance.now() + STEP_TIMEOUT_MS);
		faultPoint("restore:stopped");
	}

	/** Has the whole process die with us, should this thread be the first that is left of it. */
	dieWithUs(): void {
		pt.ptrace(pt.PTRACE_SETOPTIONS, this.pid, 0, pt.PTRACE_O_TRACESYSGOOD | pt.PTRACE_O_EXITKILL);
		this.holdsProcess = true;
	}

	/** Lets a leader that stands still end alone, with that wait status; its threads live on. @throws CriuError STOP_TIMEOUT */
	endAlone(status: number): void {
		const { pid } = this;
		this.hasEnded = true;
		this.holdsProcess = false;
		this.setCall(SYS_exit, BigInt(status >> 8));
		detachThread(pid);
		const deadline = performance.now() + STEP_TIMEOUT_MS;
		for (let round = 0; !isDead(pid); round++) {
			if (performance.now() > deadline) throw stopTimeout(pid);
			backOff(round);
		}
		faultPoint("restore:leader");
	}

	/** From here on it goes on when we die, too, as far as it's finished. */
	outlive(): void {
		if (this.holdsProcess) pt.ptrace(pt.PTRACE_SETOPTIONS, this.pid, 0, pt.PTRACE_O_TRACESYSGOOD);
	}

	/**
	 * Takes the agents' memory out of processes all of whose threads stand still, each by one thread that is named.
	 *
	 * @throws CriuError, KernelError
	 */
	static removeAreas(carriers: readonly BuiltProcess[]): void {
		const deadline = performance.now() + STEP_TIMEOUT_MS;
		for (const one of carriers) one.setCall(SYS_munmap, one.site.area, BigInt(one.site.layout.areaLength));
		const tids = Int32Array.from(carriers, ({ pid }) => pid);
		resumeAllToSyscall(tids, deadline);
		resumeAllToSyscall(tids, deadline);
		for (const { pid } of carriers) {
			const result = BigInt.asIntN(64, getReg(getRegisters(pid), REG.ax));
			if (result !== 0n) throw new KernelError("munmap", Number(-result), "of the agent's memory");
			faultPoint("restore:left");
		}
	}

	/** Has it make a system call next, by an instruction of the agent's. */
	private setCall(nr: number, di: bigint, si = 0n): void {
		const { pid, site } = this;
		const ip = site.area + BigInt(AREA_BLOB + findSyscall(site.shared.bytes));
		setRegisters(pid, withRegs(getRegisters(pid), { ip, ax: BigInt(nr), di, si, orig_ax: (1n << 64n) - 1n }));
	}

	/** Sets the last registers of a thread that stands still. @throws KernelError */
	setFinal(final: FinalState): void {
		const { pid } = this;
		// Of all threads on this machine the same.
		xstateSize ??= pt.getRegset(pid, pt.NT_X86_XSTATE).length;
		const xstate = new Uint8Array(xstateSize);
		xstate.set(final.xstate.subarray(0, xstateSize));
		pt.setRegset(pid, pt.NT_X86_XSTATE, xstate);
		for (const segment of final.segments) pt.setThreadArea(pid, segment);
		setRegisters(pid, final.regs);
		pt.setSigmask(pid, final.sigmask);
		faultPoint("restore:registers");
	}

	/** Lets go of the finished process: from here on it runs on its own. */
	detach(): void {
		this.traced = false;
		if (!this.hasEnded) detachThread(this.pid);
	}

	/** Ends a process that isn't finished; a thread ends with its process. */
	kill(): void {
		if (!this.traced || this.isThread) return;
		this.traced = false;
		sendSignal(this.pid, SIGKILL);
		// The end of a process isn't told before those of its threads that we trace are taken note of.
		for (const tid of this.listOthers()) collect(tid);
		collect(this.pid);
	}

	private listOthers(): number[] {
		try {
			return listThreads(this.pid).filter((tid) => tid !== this.pid);
		} catch (error) {
			if (isErrno(error, "ENOENT", "ESRCH")) return [];
			throw error;
		}
	}
}

/** Waits for the end of a child or tracee. */
function collect(tid: number): void {
	try {
		while (waitId(P_PID, tid, WEXITED | __WALL)?.kind === "stopped");
	} catch (error) {
		if (!isErrno(error, "ECHILD")) throw error;
	}
}

/** Offset of a `syscall` instruction in the agent's code. */
function findSyscall(area: Uint8Array): number {
	const blob = area.subarray(AREA_BLOB, AREA_PROGRAM);
	for (let i = 64; i < blob.length - 1; i++) if (blob[i] === 0x0f && blob[i + 1] === 0x05) return i;
	throw new CriuError("BUG", "the agent has no system call instruction");
}
