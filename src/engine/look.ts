// SPDX-License-Identifier: GPL-2.0-only
// The first half of a dump: the tree is stopped, looked at, and let go once more where what stands in the way passes by itself.

import type { Gadgets } from "../agent/gadgets.ts";
import type { InjectionFacts } from "../agent/injected.ts";
import { backOff } from "../agent/tracee.ts";
import { isLeavingAgent } from "../agent/unfinished-cure.ts";
import type { CriuError } from "../errors.ts";
import type { ImageDir } from "../images/index.ts";
import { closeCopies, closeInFlight } from "../kinds/file/fd-table.ts";
import type { DumpedTask } from "../kinds/kind.ts";
import { isLogOnStderr, log, logDescriptor } from "../log.ts";
import { type Options, stopTimeoutSec } from "../options.ts";
import { StuckWatch } from "../sys/stuck.ts";
import type { RunControl } from "./control.ts";
import { CURE_ROUNDS, collectFacts } from "./dump-facts.ts";
import { DumpState, findBlockers } from "./dump-state.ts";
import { type FrozenTree, freezeTree, nameLoss } from "./freeze.ts";
import type { MemoryRun } from "./memory-run.ts";
import { choosePause, findRefusals } from "./passing.ts";
import type { SeenMappings } from "./seen-mappings.ts";
import type { Timings } from "./timings.ts";

/** Of the time for stopping a tree (--timeout): how long one call may take while it stands still to be looked at. */
const TIMES_TIMEOUT = 2;

/** Ends us when a file of the tree never answers, so that the tree goes on. Use with `using`. */
export function watchLooks(pid: number, options: Pick<Options, "timeoutSec">): StuckWatch {
	const seconds = stopTimeoutSec(options) * TIMES_TIMEOUT;
	// No error is made for it: each dump would pay for its stack trace.
	const text =
		`error: a file of pid ${pid} or its children couldn't be looked at for ${seconds} seconds: its file system doesn't answer. ` +
		"criu ends itself, so that they go on; remedy: look for a server that is gone (NFS, FUSE), unmount its file system, " +
		"or give more time with --timeout [STUCK]\n";
	return new StuckWatch(seconds, { text, logFd: isLogOnStderr() ? -1 : logDescriptor() });
}

/** All that stands against a dump, and what it needs to know. @throws CriuError when it can't even be looked at */
function examine({ tasks, dead }: FrozenTree, context: DumpState, hint: Gadgets | undefined) {
	try {
		const blockers = findBlockers(tasks, dead, context);
		return { blockers, facts: collectFacts(tasks, hint, blockers) };
	} catch (error) {
		closeAllCopies(tasks, context);
		throw nameLoss(error, tasks);
	}
}

/** Closes what was opened for a look. */
export function closeAllCopies(tasks: readonly DumpedTask[], context: DumpState): void {
	for (const task of tasks) closeCopies(task, context);
	closeInFlight(context);
}

/** What a look needs. */
export interface LookSetting {
	readonly pid: number;
	readonly options: Options;
	readonly dir: ImageDir;
	readonly gadgets: Gadgets | undefined;
	readonly timings: Timings;
	readonly memory: MemoryRun;
	readonly control: RunControl;
	/** What is known of mappings already; is asked for right before the tree is stopped. */
	readonly see: () => SeenMappings;
	/** Is told of tasks that stand still, before anybody else looks at them. */
	readonly meet: (tasks: readonly DumpedTask[]) => void;
}

/** A tree that stands still, and what stands against its dump. */
export interface Look {
	readonly frozen: FrozenTree;
	readonly context: DumpState;
	readonly blockers: readonly CriuError[];
	readonly facts: readonly InjectionFacts[];
	/** What was known of mappings. */
	readonly seen: SeenMappings;
}

/** Freezes a tree, at an instant when nothing of an earlier dump is left in it, and finds out what stands against its dump. */
export function freezeAndLook({ pid, options, dir, gadgets, timings, memory, control, see, meet }: LookSetting): Look {
	let external: readonly string[] | undefined;
	let leaving = 0;
	let passing = 0;
	using watch = watchLooks(pid, options);
	for (;;) {
		control.check();
		const seen = see();
		const frozen = freezeTree(pid, options, () => timings.lap("freeze"), seen);
		let again: () => void;
		try {
			const { tasks, dead } = frozen;
			timings.lap("facts");
			control.check();
			external ??= control.runHook("query-ext-files", { rootPid: pid, imagesFd: dir.descriptor });
			const own = external.length === 0 ? options : { ...options, external: [...options.external, ...external] };
			meet(tasks);
			memory.attach(tasks);
			const context = new DumpState(own, dir, tasks, dead);
			const { blockers, facts } = watch.during(() => examine(frozen, context, gadgets));
			const threadsOf = new Map(tasks.map((task) => [task.pid, task.threads.map(({ stopped }) => stopped)]));
			const isLeaving = facts.some((own) => isLeavingAgent(own, threadsOf.get(own.pid) ?? []));
			const pause = choosePause(blockers, passing);
			if (isLeaving && leaving < CURE_ROUNDS) again = () => backOff(20 + leaving++);
			else if (pause !== undefined) again = () => Bun.sleepSync(pause);
			else return { frozen, context, blockers: findRefusals(blockers), facts, seen };
			if (pause !== undefined) passing++;
			closeAllCopies(tasks, context);
		} catch (error) {
			frozen[Symbol.dispose]();
			throw error;
		}
		frozen[Symbol.dispose]();
		log.debug("what stands against the dump passes by itself: once more, a little later");
		again();
	}
}
