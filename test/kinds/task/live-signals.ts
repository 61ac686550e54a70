// SPDX-License-Identifier: GPL-2.0-only
// Queues signals in a live process by an agent, and looks at the queues while the agent still blocks them all.

import { infect } from "../../../src/agent/infect.ts";
import { collectInjectionFacts } from "../../../src/agent/injected.ts";
import type { Program } from "../../../src/agent/program.ts";
import { interruptThread } from "../../../src/agent/tracee.ts";
import { peekSiginfo } from "../../../src/sys/ptrace.ts";
import { freezeOne } from "../../frozen.ts";

/** The queues as hex, of the process and of its thread. The process is killed afterwards. */
export function applyAndPeek(pid: number, program: Program): { shared: string[]; own: string[] } {
	using frozen = freezeOne(pid, 10);
	const { task } = frozen;
	const agent = infect(collectInjectionFacts(pid, task.vmas, task.stat.startStack), task.thread);
	try {
		agent.programs.run(program);
		interruptThread(pid, performance.now() + 5000);
		const hex = (shared: boolean) => peekSiginfo(pid, shared).map((info) => Buffer.from(info).toString("hex"));
		return { shared: hex(true), own: hex(false) };
	} finally {
		agent.release();
		frozen.kill();
	}
}
