// SPDX-License-Identifier: GPL-2.0-only
// The pages files that a restore reads from: one for each level of images that build on each other.

import type { Program } from "../../agent/program.ts";
import { SYS_close } from "../../kernel/abi/syscalls.x86_64.ts";
import { listFiles, missingPages, openChainFile, type PageChain } from "../../pages/chain.ts";
import type { PageRun } from "../../pages/pagemap.ts";
import { statFd } from "../../sys/file.ts";
import type { RestoreContext, TaskPlan } from "../kind.ts";

/** The pages files of a chain under their numbers in the new process, which are ours too until it's made. */
export class PageFiles {
	private constructor(private readonly byLevel: ReadonlyMap<number, number>) {}

	/** Passes on the files that a chain needs. @throws ImageError */
	static pass(chain: PageChain, plan: TaskPlan, context: RestoreContext): PageFiles {
		const byLevel = new Map<number, number>();
		for (const file of listFiles(chain)) {
			const number = plan.numbers.pass(openChainFile(context.dir, file, chain.file), file.name);
			if (statFd(number).size < file.bytes) throw missingPages(file, chain.file);
			byLevel.set(file.level, number);
		}
		return new PageFiles(byLevel);
	}

	/** The file that a run lies in. */
	get({ level }: PageRun): number {
		return this.byLevel.get(level) ?? -1;
	}

	/** Adds what closes them. */
	planClose(program: Program): void {
		for (const fd of this.byLevel.values()) program.syscall("close the pages image", SYS_close, [fd]);
	}
}
