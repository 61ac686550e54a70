// SPDX-License-Identifier: GPL-2.0-only
// What images tell of tasks: what is seen from outside, and what only the tasks themselves can tell. For that agents are brought
// into several of them at a time.

import { askThreads } from "../agent/ask-threads.ts";
import type { ProgramResult } from "../agent/channel.ts";
import { infectTogether } from "../agent/infect.ts";
import { cureTogether, type InjectedAgent, type InjectionFacts } from "../agent/injected.ts";
import { Program } from "../agent/program.ts";
import { about, BugError } from "../errors.ts";
import { faultPoint } from "../fault.ts";
import {
	type core_entry,
	core_entry_march,
	core_entrySchema,
	task_core_entrySchema,
	thread_core_entrySchema,
} from "../images/gen/core_pb.ts";
import { fs_entrySchema } from "../images/gen/file_pb.ts";
import { mm_entrySchema } from "../images/gen/mm_pb.ts";
import { create } from "../images/index.ts";
import type { Completion, DumpedTask, DumpedThread, TaskDraft, ThreadDraft } from "../kinds/kind.ts";
import { TASK_KINDS } from "../kinds/registry.ts";
import { hasSharedMemory } from "../kinds/task/sharing.ts";
import type { DumpState } from "./dump-state.ts";

/** A task with all that its images will hold. */
export interface CollectedTask {
	readonly task: DumpedTask;
	readonly draft: TaskDraft;
	/** Cores of the other threads. */
	readonly threads: { readonly vtid: number; readonly core: core_entry }[];
}

function newDraft(): TaskDraft {
	return {
		core: create(core_entrySchema, {
			mtype: core_entry_march.X86_64,
			tc: create(task_core_entrySchema),
			threadCore: create(thread_core_entrySchema),
		}),
		mm: create(mm_entrySchema),
		fs: create(fs_entrySchema),
		fds: [],
	};
}

function newThreadDraft(): ThreadDraft {
	return {
		core: create(core_entrySchema, {
			mtype: core_entry_march.X86_64,
			threadCore: create(thread_core_entrySchema),
		}),
	};
}

/** Lets all kinds fill the draft of a thread; questions go into `ask`. */
function dumpThread(thread: DumpedThread, draft: ThreadDraft, ask: Program, context: DumpState): Completion[] {
	return TASK_KINDS.flatMap((kind) => kind.dumpThread?.(thread, draft, ask, context) ?? []);
}

/** A task whose kinds have said what they want to know. */
interface PreparedTask {
	readonly task: DumpedTask;
	readonly facts: InjectionFacts;
	readonly draft: TaskDraft;
	readonly ask: Program;
	readonly completions: readonly Completion[];
	/** The other threads. */
	readonly threads: readonly AskedThread[];
}

interface AskedThread {
	readonly thread: DumpedThread;
	readonly draft: ThreadDraft;
	readonly ask: Program;
	readonly completions: readonly Completion[];
}

/** What is done by the agent of a task to have its memory copied later. */
type Adopt = (task: DumpedTask, agent: InjectedAgent) => void;

type Answered = { readonly completions: readonly Completion[]; readonly answers: ProgramResult };

/** Lets all kinds fill the drafts with what can be seen from outside, and say what only the task can tell. */
function prepareTask(task: DumpedTask, facts: InjectionFacts, context: DumpState): PreparedTask {
	const draft = newDraft();
	const ask = new Program();
	const [leader, ...others] = task.threads;
	if (leader === undefined) throw new BugError(`pid ${task.pid} without a thread`);
	const completions = dumpThread(leader, draft, ask, context);
	for (const kind of TASK_KINDS)
		completions.push(...([kind.dump?.(task, draft, ask, context)] as const).flatMap((c) => c ?? []));
	const threads = others.map((thread) => {
		const own = { thread, draft: newThreadDraft(), ask: new Program() };
		return { ...own, completions: dumpThread(thread, own.draft, own.ask, context) };
	});
	return { task, facts, draft, ask, completions, threads };
}

/** Asks the threads beside the leader. */
function askOthers({ task, threads }: PreparedTask, agent: InjectedAgent): Answered[] {
	// One that stands in for its leader has the agent in it.
	const isCarrier = ({ thread }: AskedThread) => thread.tid === task.thread.tid;
	const carriers = threads.filter(isCarrier).map(({ ask, completions }) => ({
		completions,
		answers: agent.programs.run(ask),
	}));
	const rest = threads.filter((one) => !isCarrier(one));
	const questions = rest.map(({ thread, ask: program }) => ({ thread: thread.stopped, program }));
	const answers = askThreads(agent, questions);
	return carriers.concat(answers.map((own, i) => ({ completions: rest[i]?.completions ?? [], answers: own })));
}

/**
 * What only the tasks can tell is asked by agents, in one program for each; all of them work at the same time. `meanwhile` is called
 * then.
 */
function collectTogether(
	batch: readonly PreparedTask[],
	context: DumpState,
	adopt: Adopt,
	meanwhile: () => void,
): CollectedTask[] {
	// Threads beside the first have the agent's room for programs before it has.
	const firstOf = ({ threads, ask }: PreparedTask) => (threads.length === 0 ? ask : undefined);
	const agents = infectTogether(
		batch.map((one) => ({ facts: one.facts, thread: one.task.thread, first: firstOf(one) })),
	);
	const pairs = batch.map((one, i) => ({ ...one, agent: agents[i] as InjectedAgent }));
	const answered: Answered[] = [];
	const working = new Set(pairs.filter((one) => firstOf(one) !== undefined).map(({ agent }) => agent));
	try {
		for (const one of pairs) {
			if (working.has(one.agent)) continue;
			answered.push(...askOthers(one, one.agent));
			one.agent.programs.start(one.ask);
			working.add(one.agent);
		}
		meanwhile();
		for (const { agent, ask, completions } of pairs) {
			working.delete(agent);
			agent.programs.awaitEnd();
			answered.push({ completions, answers: agent.programs.finish(ask) });
		}
		for (const { task, draft, agent } of pairs) {
			if (!hasSharedMemory(task, context)) adopt(task, agent);
			for (const kind of TASK_KINDS) kind.converse?.(task, draft, (program) => agent.programs.run(program), context);
		}
	} catch (error) {
		// What others have begun is ended first.
		for (const agent of working) agent.settle();
		for (const agent of agents) agent.undo(error);
		throw error;
	}
	cureTogether(agents);
	for (const _ of batch) faultPoint("dump:cured");
	for (const { completions: list, answers } of answered) for (const complete of list) complete(answers);
	return batch.map(({ task, draft, threads }) => ({
		task,
		draft,
		threads: threads.map(({ thread: { vtid }, draft: { core } }) => ({ vtid, core })),
	}));
}

/**
 * Tasks that have agents in them at the same time: more gain nothing, and should we die meanwhile, in all of them interrupted calls
 * may come to end late.
 */
const BATCH = 16;

/** True when others can have an agent at the same time: one memory has room for one agent, and seccomp makes a target delicate. */
function isSociable(task: DumpedTask, context: DumpState): boolean {
	return !hasSharedMemory(task, context) && task.threads.every(({ stopped }) => stopped.rules === undefined);
}

/** Divides tasks into batches, in their order. */
function* batchesOf(tasks: readonly DumpedTask[], context: DumpState): Generator<readonly DumpedTask[]> {
	let batch: DumpedTask[] = [];
	for (const task of tasks) {
		const isAlone = !isSociable(task, context);
		if (batch.length > 0 && (isAlone || batch.length === BATCH)) {
			yield batch;
			batch = [];
		}
		if (isAlone) yield [task];
		else batch.push(task);
	}
	if (batch.length > 0) yield batch;
}

/**
 * Fills the images of all tasks; `facts` are in their order. `check` is called between batches.
 *
 * @throws CriuError, KernelError; no task has an agent in it then
 */
export function collectTasks(
	tasks: readonly DumpedTask[],
	context: DumpState,
	facts: readonly InjectionFacts[],
	adopt: Adopt,
	check: () => void,
): CollectedTask[] {
	const factsOf = new Map(tasks.map((task, index) => [task, facts[index]]));
	const prepare = (batch: readonly DumpedTask[]) =>
		batch.map((task) => {
			const own = factsOf.get(task);
			if (own === undefined) throw new BugError(`no injection facts for pid ${task.pid}`);
			return about(
				() => `pid ${task.pid}`,
				() => prepareTask(task, own, context),
			);
		});
	const collected: CollectedTask[] = [];
	const [first, ...others] = batchesOf(tasks, context);
	// The next ones are prepared while agents are at work.
	for (let prepared = first && prepare(first); prepared !== undefined; ) {
		check();
		let next: PreparedTask[] | undefined;
		const batch = others.shift();
		const meanwhile = () => {
			next = batch && prepare(batch);
		};
		collected.push(...collectTogether(prepared, context, adopt, meanwhile));
		prepared = next;
	}
	return collected;
}
