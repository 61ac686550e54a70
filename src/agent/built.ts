// SPDX-License-Identifier: GPL-2.0-only
// A process that is being built: our child, with the agent as its first and only code. It dies with us (EXITKILL) until it
// is let go.

import { CriuError, isErrno, KernelError } from "../errors.ts";
import { faultPoint } from "../fault.ts";
import { CLONE_PARENT, CloneArgs } from "../kernel/abi/sched.ts";
import { SYS_ftruncate, SYS_memfd_create, SYS_munmap, SYS_pwrite64 } from "../kernel/abi/syscalls.x86_64.ts";
import { listChildren } from "../kernel/procfs/tasks.ts";
import { agentBlob } from "../sys/embedded.ts";
import { closeFd, toCString } from "../sys/file.ts";
import { mustSyscall, spawn } from "../sys/host.ts";
import { type Mapping, mapShared } from "../sys/memory.ts";
import { __WALL, P_PID, sendSignal, WEXITED, waitId } from "../sys/process.ts";
import * as pt from "../sys/ptrace.ts";
import { getReg, REG, type Registers, withRegs } from "./chain.x86_64.ts";
import { AgentChannel } from "./channel.ts";
import { buildAgentElf } from "./elf.x86_64.ts";
import { AGENT_STACK, AREA_BLOB, AREA_CTL, AREA_PROGRAM, CrCtl, PAGE_SIZE } from "./layout.ts";
import { Program } from "./program.ts";
import { detachThread, getRegisters, interruptThread, resumeToSyscall, seizeThread, setRegisters } from "./tracee.ts";

const SIGKILL = 9;
const SIGCHLD = 17;
const STEP_TIMEOUT_MS = 10_000;
const MFD_CLOEXEC = 1;
const MFD_EXEC = 0x10;

export interface BuildRequest {
	/** Namespaces and CLONE_PARENT. */
	cloneFlags: bigint;
	setTid: readonly number[];
	area: bigint;
	areaLength: number;
	/** Reserved descriptor numbers for the area and the agent's executable in the child. */
	areaFd: number;
	execFd: number;
	/** What else the child gets. */
	passes: ReadonlyArray<{ from: number; to: number }>;
	/** The new process is an init; the task will be a child of it and share the area. */
	asInit: boolean;
}

/** Control block, program and stack of an init, at the end of the area. */
const INIT_SLOT = 8 * PAGE_SIZE;

/** Where an agent lives in the area. */
interface Slot {
	ctl: number;
	program: number;
	programLength: number;
	/** Offset of the end of its stack. */
	stack: number;
}

function taskSlot(areaLength: number, besideInit: boolean): Slot {
	const end = areaLength - (besideInit ? INIT_SLOT : 0);
	return { ctl: AREA_CTL, program: AREA_PROGRAM, programLength: end - AREA_PROGRAM - AGENT_STACK, stack: end };
}

function initSlot(areaLength: number): Slot {
	const start = areaLength - INIT_SLOT;
	return { ctl: start, program: start + PAGE_SIZE, programLength: 3 * PAGE_SIZE, stack: areaLength };
}

/** Where a thread ends up once its agent is gone. */
export interface FinalState {
	regs: Registers;
	xstate: Uint8Array;
	sigmask: bigint;
}

function createMemfd(name: string, flags: number): number {
	const fd = mustSyscall(`"${name}"`, SYS_memfd_create, toCString(name), flags | MFD_CLOEXEC);
	return fd;
}

/** An executable memfd; kernels before 6.3 don't know MFD_EXEC and don't need it. */
function createExecutable(bytes: Uint8Array): number {
	let fd: number;
	try {
		fd = createMemfd("criu-agent", MFD_EXEC);
	} catch (error) {
		if (!isErrno(error, "EINVAL")) throw error;
		fd = createMemfd("criu-agent", 0);
	}
	mustSyscall("of the agent", SYS_pwrite64, fd, bytes, bytes.length, 0);
	return fd;
}

/** A process under construction. All calls come from the thread that made it. */
export class BuiltProcess {
	readonly programs: AgentChannel;
	private traced = true;

	private constructor(
		readonly pid: number,
		private readonly shared: Mapping,
		private readonly request: BuildRequest,
		slot: Slot,
	) {
		this.programs = new AgentChannel(pid, shared, slot.ctl, slot.program, slot.programLength);
	}

	/**
	 * Makes the process and brings it under control. It waits for its first program.
	 *
	 * @throws KernelError EEXIST when the pid is taken; CriuError
	 */
	static start(request: BuildRequest): BuiltProcess {
		const blob = agentBlob();
		const areaFd = createMemfd("criu-area", 0);
		let execFd = -1;
		let shared: Mapping | undefined;
		try {
			mustSyscall("of the agent's memory", SYS_ftruncate, areaFd, request.areaLength);
			shared = mapShared(areaFd, request.areaLength);
			shared.bytes.set(blob, AREA_BLOB);
			const slot = request.asInit ? initSlot(request.areaLength) : taskSlot(request.areaLength, false);
			CrCtl.write(shared.view, slot.ctl, { area: request.area });
			execFd = createExecutable(
				buildAgentElf(blob, {
					loadAt: request.area + BigInt(request.areaLength) + 0x10000n,
					area: request.area,
					areaLength: request.areaLength,
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
			const built = new BuiltProcess(pid, shared, request, slot);
			try {
				faultPoint("restore:spawned");
				built.seize();
			} catch (error) {
				built.kill();
				throw error;
			}
			return built;
		} catch (error) {
			shared?.unmap();
			throw error;
		} finally {
			closeFd(areaFd);
			if (execFd >= 0) closeFd(execFd);
		}
	}

	/**
	 * Lets an init make the task as its child with the given pid in its namespace, and takes that under control, too.
	 *
	 * @throws CriuError AGENT_OP (EEXIST can't be: the namespace is new)
	 */
	cloneTask(pid: number): BuiltProcess {
		const { area, areaLength } = this.request;
		const slot = taskSlot(areaLength, true);
		CrCtl.write(this.shared.view, slot.ctl, { area });
		const program = new Program();
		const args = program.out(CloneArgs.size);
		const stack = area + BigInt(slot.stack - AGENT_STACK);
		const bytes = CloneArgs.encode({
			exit_signal: BigInt(SIGCHLD),
			stack,
			stack_size: BigInt(AGENT_STACK),
			set_tid_size: 1n,
		});
		program.copy("prepare the clone", args, bytes, bytes.length);
		const tid = new Uint8Array(Int32Array.of(pid).buffer);
		program.store("prepare the pid", { out: args.out + CloneArgs.offsets.set_tid, length: 8 }, tid, 8);
		program.clone(`make pid ${pid}`, args, area + BigInt(slot.ctl), {
			remedies: { EINVAL: "raise kernel.pid_max (sysctl)" },
		});
		this.programs.run(program);
		const [outside] = listChildren(this.pid);
		if (outside === undefined)
			throw new CriuError("TASK_GONE", `the new pid ${pid} has vanished`, { remedy: "try again" });
		const task = new BuiltProcess(outside, this.shared, this.request, slot);
		try {
			task.seize();
		} catch (error) {
			// Else its init, when it's killed, waits for ever for a dead child that we hold.
			task.kill();
			throw error;
		}
		return task;
	}

	/** Starts a program that never ends and lets the process go on with it alone. */
	detachWith(program: Program): void {
		this.programs.start(program);
		interruptThread(this.pid, performance.now() + STEP_TIMEOUT_MS);
		this.detach();
		this.shared.unmap();
	}

	private seize(): void {
		seizeThread(this.pid, pt.PTRACE_O_EXITKILL);
		faultPoint("restore:seized");
	}

	/**
	 * Takes the agent's memory away and sets the last registers: the process stands still and has nothing of ours any more.
	 *
	 * @throws CriuError, KernelError
	 */
	leave(final: FinalState): void {
		const deadline = performance.now() + STEP_TIMEOUT_MS;
		const { pid } = this;
		interruptThread(pid, deadline);
		const regs = getRegisters(pid);
		setRegisters(
			pid,
			withRegs(regs, {
				ip: this.request.area + BigInt(AREA_BLOB + findSyscall(this.shared.bytes)),
				ax: BigInt(SYS_munmap),
				di: this.request.area,
				si: BigInt(this.request.areaLength),
				orig_ax: (1n << 64n) - 1n,
			}),
		);
		resumeToSyscall(pid, deadline);
		resumeToSyscall(pid, deadline);
		const result = BigInt.asIntN(64, getReg(getRegisters(pid), REG.ax));
		if (result !== 0n) throw new KernelError("munmap", Number(-result), "of the agent's memory");
		faultPoint("restore:left");
		const capacity = pt.getRegset(pid, pt.NT_X86_XSTATE, 32 * 1024).length;
		const xstate = new Uint8Array(capacity);
		xstate.set(final.xstate.subarray(0, capacity));
		pt.setRegset(pid, pt.NT_X86_XSTATE, xstate);
		setRegisters(pid, final.regs);
		pt.setSigmask(pid, final.sigmask);
		faultPoint("restore:registers");
		if (!this.request.asInit) this.shared.unmap();
	}

	/** Lets go of the finished process: from here on it runs on its own. */
	detach(): void {
		this.traced = false;
		detachThread(this.pid);
	}

	/** Ends a process that isn't finished. */
	kill(): void {
		if (!this.traced) return;
		this.traced = false;
		sendSignal(this.pid, SIGKILL);
		try {
			waitId(P_PID, this.pid, WEXITED | __WALL);
		} catch (error) {
			if (!isErrno(error, "ECHILD")) throw error;
		}
		this.shared.unmap();
	}
}

/** Offset of a `syscall` instruction in the agent's code. */
function findSyscall(area: Uint8Array): number {
	const blob = area.subarray(AREA_BLOB, AREA_PROGRAM);
	for (let i = 64; i < blob.length - 1; i++) if (blob[i] === 0x0f && blob[i + 1] === 0x05) return i;
	throw new CriuError("BUG", "the agent has no system call instruction");
}
