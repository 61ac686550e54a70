// SPDX-License-Identifier: GPL-2.0-only
// Programs of several agents at a time: while one works, the next one's program is made ready.

import type { BuiltProcess } from "./built.ts";
import type { Program } from "./program.ts";

interface Running {
	readonly built: BuiltProcess;
	readonly program: Program;
}

/** Knows which agents are at work, by the place of their programs. */
export class ProgramRunner {
	private readonly running = new Map<number, Running>();

	/** `note`: hears of every program that begins. */
	constructor(private readonly note?: (built: BuiltProcess, program: Program) => void) {}

	/** Lets an agent begin a program, as soon as the place for it is free. @throws CriuError of a program that was there */
	start(built: BuiltProcess, program: Program): void {
		this.free(built);
		this.note?.(built, program);
		built.programs.start(program);
		this.running.set(built.window, { built, program });
	}

	/** Waits until an agent has nothing to do. @throws CriuError AGENT_OP, TASK_GONE */
	settle(built: BuiltProcess): void {
		if (this.running.get(built.window)?.built === built) this.free(built);
	}

	/** Waits until the place of an agent's programs is free, whoever has it. @throws CriuError AGENT_OP, TASK_GONE */
	free({ window }: BuiltProcess): void {
		const last = this.running.get(window);
		if (last === undefined) return;
		this.running.delete(window);
		last.built.programs.awaitEnd();
		last.built.programs.settle(last.program);
	}

	/** Waits for all. @throws CriuError AGENT_OP, TASK_GONE */
	settleAll(): void {
		for (const { built } of [...this.running.values()]) this.free(built);
	}
}
