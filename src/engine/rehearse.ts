// SPDX-License-Identifier: GPL-2.0-only
// Code that runs for the first time takes several times as long. Where a tree is to stand still as briefly as possible, what is
// done to it meanwhile is done to a child of ours first.

import type { InjectedAgent, InjectionFacts } from "../agent/injected.ts";
import { messageOf } from "../errors.ts";
import { withoutFaults } from "../fault.ts";
import type { ImageChannel } from "../images/channel.ts";
import { ImageDir } from "../images/index.ts";
import { O_RDONLY, O_WRONLY } from "../kernel/abi/fcntl.ts";
import type { DumpedTask } from "../kinds/kind.ts";
import { classifyVma } from "../kinds/mm/vma.ts";
import { TASK_KINDS } from "../kinds/registry.ts";
import { log } from "../log.ts";
import type { Options } from "../options.ts";
import { LocalSink } from "../pages/sink.ts";
import { enableSnapshots, Snapshot } from "../pages/snapshot.ts";
import { closeFd, openAt } from "../sys/file.ts";
import { makePipe } from "../sys/pipe.ts";
import { collectTasks } from "./collect.ts";
import { FREE_RUN } from "./control.ts";
import { collectFacts } from "./dump-facts.ts";
import { collectIdentity, copyMemory } from "./dump-memory.ts";
import { DumpState, findBlockers } from "./dump-state.ts";
import { freezeTree } from "./freeze.ts";
import { closeAllCopies } from "./look.ts";
import { borrowUserfault } from "./memory-run.ts";
import { endStandIn, startStandIn } from "./stand-in.ts";

/** Takes images and has none. */
const NOWHERE: ImageChannel = {
	create() {
		const fd = openAt("/dev/null", O_WRONLY);
		const close = () => closeFd(fd);
		return { fd, announce() {}, write() {}, close, abandon: close };
	},
	open: () => undefined,
	finish() {},
	explain: (error) => error,
	close() {},
};

/** Dumps a stand-in up to where it would run on. That this fails is no reason for a dump to fail. */
export function rehearse(options: Options): void {
	try {
		withoutFaults(() => dumpStandIn({ ...options, freezeCgroup: undefined, shellJob: true }));
	} catch (error) {
		log.debug(() => `the rehearsal failed: ${messageOf(error)}`);
	}
}

/** What most programs have open. */
function openUsual(): number[] {
	return [openAt("/dev/null", O_WRONLY), openAt("/proc/self/exe", O_RDONLY), ...makePipe()];
}

function dumpStandIn(options: Options): void {
	const files = openUsual();
	const pid = startStandIn(0, files);
	for (const fd of files) closeFd(fd);
	try {
		using dir = ImageDir.overChannel("/", NOWHERE);
		using frozen = freezeTree(pid, options);
		const { tasks, dead } = frozen;
		const context = new DumpState(options, dir, tasks, dead);
		try {
			const blockers = findBlockers(tasks, dead, context);
			const facts = collectFacts(tasks, undefined, blockers);
			dumpWhole(tasks, facts, context, dir);
		} finally {
			closeAllCopies(tasks, context);
		}
	} finally {
		endStandIn(pid);
	}
}

/** As a snapshot does it, with memory that is too small to be worth it. */
function dumpWhole(
	tasks: readonly DumpedTask[],
	facts: readonly InjectionFacts[],
	context: DumpState,
	dir: ImageDir,
): void {
	using snapshot = new Snapshot();
	const sink = new LocalSink(dir, undefined);
	sink.copy = snapshot.copy;
	const adopt = (task: DumpedTask, agent: InjectedAgent) => {
		const uffd = borrowUserfault(task, agent, enableSnapshots);
		const anonymous = task.vmas.filter((vma) => classifyVma(vma) === "anonymous");
		if (uffd !== undefined)
			snapshot.hold(
				task.pid,
				uffd,
				anonymous.map(({ start, end }) => ({ start, end, isHuge: false })),
			);
	};
	const collected = collectTasks(tasks, context, facts, adopt, () => {});
	copyMemory(collected, context, { sink, trackingOf: () => undefined }, FREE_RUN, undefined, () => {});
	for (const { task, draft } of collected) for (const kind of TASK_KINDS) kind.conclude?.(task, draft, context);
	collectIdentity(tasks, context);
	snapshot.start();
}
