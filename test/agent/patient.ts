// SPDX-License-Identifier: GPL-2.0-only
// A process of the test's own that gets an agent, and what must be the same in it afterwards.

import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AgentChannel } from "../../src/agent/channel.ts";
import { type Gadgets, popRaxAt } from "../../src/agent/gadgets.x86_64.ts";
import { infect as infectTarget } from "../../src/agent/infect.ts";
import { collectInjectionFacts, type InjectedAgent } from "../../src/agent/injected.ts";
import { getReg, REG } from "../../src/agent/registers.x86_64.ts";
import { getRegisters, getXstate } from "../../src/agent/tracee.ts";
import { readMaps, type VmaFacts } from "../../src/kernel/procfs/maps.ts";
import type { Mapping } from "../../src/sys/memory.ts";
import { readMemory } from "../../src/sys/process.ts";
import { getSigmask } from "../../src/sys/ptrace.ts";
import { buildProgram } from "../faults/victim.ts";
import { type FrozenTask, freezeOne } from "../frozen.ts";

const TIMEOUT_MS = 10_000;
const PROT_EXEC = 4;
const POP_RAX_RET = Buffer.from([0x58, 0xc3]);

/** target.c of test/faults, in a mode of it. */
export class Patient {
	private constructor(
		private readonly child: ReturnType<typeof spawn>,
		private readonly dir: string,
		private readonly maps: string,
	) {}

	static async start(mode: string, program: "target" | "target-static" = "target"): Promise<Patient> {
		const path = await buildProgram(program);
		const dir = mkdtempSync(join(tmpdir(), "patient-"));
		const argv = ["--pdeathsig", "KILL", path, mode, join(dir, "page")];
		const child = spawn("setpriv", argv, { detached: true, stdio: "ignore" });
		const patient = new Patient(child, dir, "");
		await patient.until(() => patient.read(0) === 1, "its start");
		// Calls with a time limit are up to 50 ms: asleep is where most of the time goes.
		return new Patient(child, dir, patient.readMaps());
	}

	get pid(): number {
		return this.child.pid ?? 0;
	}

	readMaps(): string {
		return readFileSync(`/proc/${this.pid}/maps`, "latin1");
	}

	/** A word of the score file, see target.c. */
	read(index: number): number {
		const path = join(this.dir, "page");
		if (!existsSync(path)) return 0;
		const fd = openSync(path, "r");
		const bytes = Buffer.alloc(8);
		readSync(fd, bytes, 0, 8, index * 8);
		closeSync(fd);
		return Number(bytes.readBigUInt64LE());
	}

	async until(done: () => boolean, what: string): Promise<void> {
		const deadline = performance.now() + TIMEOUT_MS;
		while (!done()) {
			if (performance.now() > deadline) throw new Error(`no sign of ${what}`);
			await Bun.sleep(1);
		}
	}

	/** Waits until its mappings are as at the start, it goes on, and has found no error in itself. */
	async untilWell(): Promise<void> {
		await this.until(() => this.readMaps() === this.maps, "its own mappings alone");
		const progress = this.read(1);
		await this.until(() => this.read(1) > progress + 1, "progress");
		if (this.read(2) !== 0) throw new Error(`it found ${this.read(2)} errors, kind ${this.read(3)}`);
	}

	kill(signal: NodeJS.Signals): void {
		this.child.kill(signal);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		const { child } = this;
		const gone = new Promise((resolve) => child.once("exit", resolve));
		if (child.exitCode === null && child.signalCode === null) {
			child.kill("SIGKILL");
			await gone;
		}
		rmSync(this.dir, { recursive: true, force: true });
	}
}

/** `pop %rax; ret` in the code of a process. */
function findPopRax(pid: number, vmas: readonly VmaFacts[]): bigint {
	for (const vma of vmas) {
		if ((vma.prot & PROT_EXEC) === 0 || vma.ino === 0n) continue;
		const at = Buffer.from(readMemory(pid, vma.start, Number(vma.end - vma.start)).buffer).indexOf(POP_RAX_RET);
		if (at >= 0) return vma.start + BigInt(at);
	}
	throw new Error("no pop %rax; ret in this program");
}

/** The gadgets of a program that has no rt_sigreturn of its own. */
export function withoutRestorer(pid: number, vmas: readonly VmaFacts[], gadgets: Gadgets): Gadgets {
	return { ...gadgets, wayOut: popRaxAt(findPopRax(pid, vmas)) };
}

/** Brings an agent into a frozen task. */
export function infect(frozen: FrozenTask, withRestorer = true): InjectedAgent {
	const { pid, vmas, stat, thread } = frozen.task;
	const facts = collectInjectionFacts(pid, vmas, stat.startStack);
	const gadgets = withRestorer ? facts.gadgets : withoutRestorer(pid, vmas, facts.gadgets);
	return infectTarget({ ...facts, gadgets }, thread);
}

/** The memory that engine and agent share. */
export function areaOf(channel: AgentChannel): Mapping {
	return (channel as unknown as { area: Mapping }).area;
}

/** Contents of all components. XSTATE_BV is left out: the CPU clears a bit there whenever a component is in its initial state. */
function componentsOf(xstate: Uint8Array): string {
	return Buffer.from(xstate.fill(0, 512, 520)).toString("hex");
}

/** Everything of a stopped thread that a cure has to put back. */
export function lookAt(pid: number) {
	const regs = getRegisters(pid);
	const sp = getReg(regs, REG.sp);
	const stack = readMaps(pid).find((vma) => sp >= vma.start && sp < vma.end);
	const from = stack === undefined || sp - 8192n < stack.start ? sp : sp - 8192n;
	return {
		regs: [...regs],
		xstate: componentsOf(getXstate(pid)),
		sigmask: getSigmask(pid),
		maps: readFileSync(`/proc/${pid}/maps`, "latin1"),
		stack: Buffer.from(readMemory(pid, from, Number(sp - from) + 256)).toString("hex"),
	};
}

/** Freezes a process, runs `work` with an agent in it, and cures. */
export function withAgent<T>(pid: number, work: (agent: InjectedAgent, frozen: FrozenTask) => T): T {
	using frozen = freezeOne(pid, 0);
	const agent = infect(frozen);
	try {
		return work(agent, frozen);
	} finally {
		agent.cure();
	}
}
