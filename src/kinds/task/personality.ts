// SPDX-License-Identifier: GPL-2.0-only
// The execution domain. CRIU reads the hexadecimal text of /proc/PID/personality as a decimal number, up to the first
// letter; images keep that form, and we undo it. Source: personality(2). Images: core-PID.img, task_core_entry.

import type { Program } from "../../agent/program.ts";
import { hasField } from "../../images/index.ts";
import { SYS_personality } from "../../kernel/abi/syscalls.x86_64.ts";
import { readPersonality } from "../../kernel/procfs/task-files.ts";
import type { DumpedTask, RestoreContext, TaskDraft, TaskImage, TaskKind, TaskPlan } from "../kind.ts";
import { corruptCore, getTaskCore } from "./image-checks.ts";

const DIGITS = 8;

/** The number that CRIU's images hold for a personality, and whether it tells all of it. */
export function encodePersonality(personality: number): { stored: number; exact: boolean } {
	const text = personality.toString(16).padStart(DIGITS, "0");
	const digits = /^\d*/.exec(text)?.[0] ?? "";
	return { stored: Number(digits), exact: digits.length === DIGITS };
}

/** The personality that a stored number stands for; undefined when none does. */
export function decodePersonality(stored: number): number | undefined {
	const text = String(stored);
	return text.length > DIGITS ? undefined : Number.parseInt(text, 16);
}

function dumpPersonality(task: DumpedTask, draft: TaskDraft, _ask: Program): undefined {
	const { tc } = draft.core;
	if (tc === undefined) return undefined;
	const personality = readPersonality(task.pid);
	const { stored, exact } = encodePersonality(personality);
	tc.personality = exact ? stored : 0;
	if (!exact) tc.fullPersonality = personality;
	return undefined;
}

function planPersonality(image: TaskImage, plan: TaskPlan, context: RestoreContext): void {
	const tc = getTaskCore(image);
	const { personality: stored } = tc;
	const personality = hasField(tc, "fullPersonality") ? tc.fullPersonality : decodePersonality(stored);
	if (personality === undefined) throw corruptCore(image, `tc.personality is ${stored}`);
	if (personality === context.once("own:personality", () => readPersonality("self"))) return;
	// After the memory: READ_IMPLIES_EXEC would make its mappings executable.
	plan.programs.state.syscall("set the personality", SYS_personality, [personality]);
}

/** The execution domain of a task. */
export const personality: TaskKind = { name: "personality", dump: dumpPersonality, plan: planPersonality };
