// SPDX-License-Identifier: GPL-2.0-only
// Several agents in one area: children of an infected process, waiting for each other, and what happens when one is killed.

import { expect, test } from "bun:test";
import { AgentChannel } from "../../src/agent/channel.ts";
import type { InjectedAgent } from "../../src/agent/injected.ts";
import { AREA_CTL, CrCtl } from "../../src/agent/layout.ts";
import { Program } from "../../src/agent/program.ts";
import { detachThread, seizeThread } from "../../src/agent/tracee.ts";
import { PR_SET_PDEATHSIG } from "../../src/kernel/abi/prctl.ts";
import { CloneArgs } from "../../src/kernel/abi/sched.ts";
import * as nr from "../../src/kernel/abi/syscalls.x86_64.ts";
import { listChildren } from "../../src/kernel/procfs/tasks.ts";
import { __WALL, futexWake, sendSignal } from "../../src/sys/process.ts";
import { describeAsRoot } from "../as-root.ts";
import { freezeOne } from "../frozen.ts";
import { areaOf, infect, Patient, withAgent } from "./patient.ts";

const KIB = 1024;
/** Free places in the area, far behind the first agent's programs. */
const WORD = 60 * KIB;
const CHILD_CTL = 64 * KIB;
const CHILD_PROGRAM = 68 * KIB;
const CHILD_STACK = 88 * KIB;
const STACK_SIZE = 8 * KIB;
const SIGKILL = 9;
const SIGCHLD = 17n;

/** Address of the area in the process. */
function areaAddress(agent: InjectedAgent): bigint {
	return CrCtl.read(areaOf(agent.programs).view, AREA_CTL).area;
}

/** Makes a child with a copy of the address space, which serves a control block of its own. */
function cloneChild(agent: InjectedAgent, pid: number): AgentChannel {
	const area = areaOf(agent.programs);
	const at = areaAddress(agent);
	CrCtl.write(area.view, CHILD_CTL, { area: at });
	const program = new Program();
	const stack = at + BigInt(CHILD_STACK);
	const args = CloneArgs.encode({ exit_signal: SIGCHLD, stack, stack_size: BigInt(STACK_SIZE) });
	program.clone("make a child", args, at + BigInt(CHILD_CTL), pid);
	agent.programs.run(program);
	const child = listChildren(pid).at(-1);
	if (child === undefined) throw new Error("no child");
	seizeThread(child, 0);
	const channel = new AgentChannel(child, area, CHILD_CTL, CHILD_PROGRAM, CHILD_STACK - CHILD_PROGRAM, at);
	const prepare = new Program();
	prepare.syscall("die with the parent", nr.SYS_prctl, [PR_SET_PDEATHSIG, SIGKILL]);
	channel.run(prepare);
	return channel;
}

function startExit(child: AgentChannel, code: number): void {
	const program = new Program();
	program.syscall("end", nr.SYS_exit_group, [code]);
	child.start(program);
	detachThread(child.tid);
}

describeAsRoot("an agent's child", () => {
	test("runs programs of its own in its own memory and is reaped by its parent", async () => {
		await using patient = await Patient.start("busy");
		const { pid } = patient;
		const seen = withAgent(pid, (agent) => {
			const child = cloneChild(agent, pid);
			const ask = new Program();
			const parent = ask.syscall("parent", nr.SYS_getppid, []);
			const self = ask.syscall("self", nr.SYS_getpid, []);
			const answers = child.run(ask);
			const found = [answers.result(parent), answers.result(self)];
			startExit(child, 7);
			const wait = new Program();
			const status = wait.out(8);
			const waited = wait.syscall("wait", nr.SYS_wait4, [-1, status, __WALL, 0]);
			const end = agent.programs.run(wait);
			return { child: BigInt(child.tid), found, waited: end.result(waited), status: end.out(status)[1] };
		});
		expect(seen).toEqual({ child: seen.child, found: [BigInt(pid), seen.child], waited: seen.child, status: 7 });
		await patient.untilWell();
	});

	test("wakes its parent, which waits for a word, however high the word is by then", async () => {
		await using patient = await Patient.start("busy");
		const { pid } = patient;
		const order = withAgent(pid, (agent) => {
			const child = cloneChild(agent, pid);
			const word = areaAddress(agent) + BigInt(WORD);
			const ack = () => CrCtl.read(areaOf(agent.programs).view, AREA_CTL).ack_seq;
			const before = ack();
			const wait = new Program();
			const reached = wait.wait("wait for 2", word, 2);
			agent.programs.start(wait);
			const wake = (value: number) => {
				const program = new Program();
				program.wake(`tell ${value}`, word, value);
				child.run(program);
			};
			wake(1);
			const tooEarly = ack() !== before;
			wake(3);
			agent.programs.awaitEnd();
			const first = agent.programs.finish(wait).result(reached);
			const second = new Program();
			const at = second.wait("wait for what has been", word, 1);
			const passed = agent.programs.run(second).result(at);
			startExit(child, 0);
			const end = new Program();
			end.syscall("wait for the child", nr.SYS_wait4, [child.tid, 0, __WALL, 0]);
			agent.programs.run(end);
			return { tooEarly, first, passed };
		});
		expect(order).toEqual({ tooEarly: false, first: 3n, passed: 3n });
		await patient.untilWell();
	});
});

describeAsRoot("the engine", () => {
	test("wakes an agent that waits for a word", async () => {
		await using patient = await Patient.start("busy");
		const value = withAgent(patient.pid, (agent) => {
			const area = areaOf(agent.programs);
			const wait = new Program();
			const reached = wait.wait("wait for 5", areaAddress(agent) + BigInt(WORD), 5);
			agent.programs.start(wait);
			// As the agent's wake does, from this side; the agent may not sleep yet.
			area.view.setUint32(WORD, 5, true);
			futexWake(area.address + WORD);
			agent.programs.awaitEnd();
			return agent.programs.finish(wait).result(reached);
		});
		expect(value).toBe(5n);
		await patient.untilWell();
	});

	test("notices that the process was killed while it worked for us", async () => {
		await using patient = await Patient.start("busy");
		using frozen = freezeOne(patient.pid, 0);
		const agent = infect(frozen);
		const wait = new Program();
		wait.wait("wait for ever", areaAddress(agent) + BigInt(WORD), 1);
		agent.programs.start(wait);
		sendSignal(patient.pid, SIGKILL);
		expect(() => agent.programs.awaitEnd()).toThrow(expect.objectContaining({ code: "TASK_GONE" }));
		agent.release();
	});

	test("gets its answer though SIGSTOP and SIGCONT come meanwhile", async () => {
		await using patient = await Patient.start("busy");
		const results = withAgent(patient.pid, (agent) =>
			Array.from({ length: 20 }, (_, i) => {
				sendSignal(patient.pid, i % 2 === 0 ? 19 : 18);
				const program = new Program();
				const pid = program.syscall("pid", nr.SYS_getpid, []);
				return agent.programs.run(program).result(pid);
			}),
		);
		expect(new Set(results)).toEqual(new Set([BigInt(patient.pid)]));
		patient.kill("SIGCONT");
		await patient.untilWell();
	});
});
