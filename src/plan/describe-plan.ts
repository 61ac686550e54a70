// SPDX-License-Identifier: GPL-2.0-only
// A plan as text, for --dry-run.

import { describeOp } from "../agent/program.ts";
import { STAGES, type ThreadPlan } from "../kinds/kind.ts";
import type { PlannedTree } from "./plan-tree.ts";
import type { TreeStep } from "./tree-shape.ts";

function describeStages(plan: ThreadPlan, lines: string[]): void {
	for (const stage of STAGES) {
		const { ops } = plan.programs[stage];
		if (ops.length === 0) continue;
		lines.push(`stage ${stage}: ${ops.length} operations`);
		for (const op of ops) lines.push(`  ${describeOp(op)}`);
	}
}

function describeStep(step: TreeStep): string {
	switch (step.do) {
		case "fork":
			return `pid ${step.maker} makes ${step.helper ? "the helper" : "pid"} ${step.pid}`;
		case "fork-orphan":
			return `pid ${step.maker} makes pid ${step.pid} through a go-between`;
		case "setsid":
			return `pid ${step.pid} leads session ${step.pid}`;
		case "setpgid":
			return `pid ${step.pid} enters process group ${step.pgid}`;
		case "adopt":
			return `pid ${step.pid} adopts orphans`;
		case "end":
			return `the helper ${step.pid} ends`;
		case "die":
			return `pid ${step.pid} becomes a zombie`;
	}
}

/** The plan as text, for --dry-run. */
export function describePlan(tree: PlannedTree): string {
	const lines: string[] = [];
	for (const task of tree.tasks.values()) {
		const name = new TextDecoder().decode(task.image.core.tc?.comm ?? new Uint8Array());
		lines.push(`pid ${task.pid} (${name}), built at 0x${tree.area.toString(16)}`);
		describeStages(task, lines);
		for (const thread of task.threads) {
			lines.push(`thread ${thread.tid}`);
			describeStages(thread, lines);
		}
		for (const step of task.outside) lines.push(`from outside: ${step.what}`);
		lines.push("last: registers, floating point state, signal mask");
		for (const step of task.beforeDetach) lines.push(`afterwards: ${step.what}`);
	}
	for (const step of tree.steps) lines.push(describeStep(step));
	return `${lines.join("\n")}\n`;
}
