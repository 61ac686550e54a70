// SPDX-License-Identifier: GPL-2.0-only
// Images, plans, contexts and live targets for tests of the task kinds.

import { spawn as spawnChild } from "node:child_process";
import { readFileSync } from "node:fs";
import { infect } from "../../../src/agent/infect.ts";
import { collectInjectionFacts, type InjectedAgent } from "../../../src/agent/injected.ts";
import { Program, whatOf } from "../../../src/agent/program.ts";
import {
	core_entry_march,
	core_entrySchema,
	task_core_entrySchema,
	task_kobj_ids_entrySchema,
	thread_core_entrySchema,
} from "../../../src/images/gen/core_pb.ts";
import { fs_entrySchema } from "../../../src/images/gen/file_pb.ts";
import { pstree_entrySchema } from "../../../src/images/gen/inventory_pb.ts";
import { mm_entrySchema } from "../../../src/images/gen/mm_pb.ts";
import { create, type ImageDir } from "../../../src/images/index.ts";
import { type ProcStatus, parseStatus } from "../../../src/kernel/procfs/status.ts";
import {
	type Completion,
	type DumpContext,
	type DumpedTask,
	type OutsideStep,
	type RestoreContext,
	STAGES,
	type Stage,
	type TaskDraft,
	type TaskImage,
	type TaskKind,
	type TaskPlan,
	type ThreadImage,
} from "../../../src/kinds/kind.ts";
import { defaultOptions, type Options } from "../../../src/options.ts";
import { freezeOne } from "../../frozen.ts";

type Known = Record<string, unknown>;

function once(known: Known) {
	const values = new Map<string, unknown>(Object.entries(known));
	return <T>(key: string, make: () => T): T => {
		if (!values.has(key)) values.set(key, make());
		return values.get(key) as T;
	};
}

/** A context for plan(); `known` answers once() by key, so that facts of this machine can be faked. */
export function restoreContext(known: Known = {}, options: Partial<Options> = {}): RestoreContext {
	return {
		options: { ...defaultOptions(), ...options },
		dir: undefined as unknown as ImageDir,
		files: new Map(),
		once: once(known),
		tasks: [],
		pids: new Set([100]),
		makers: new Map(),
		openMapped: () => ({ op: 0 }),
	};
}

export function dumpContext(options: Partial<Options> = {}): DumpContext {
	return {
		options: { ...defaultOptions(), ...options },
		tasks: [],
		dead: [],
		dir: undefined,
		files: {
			newId: () => 1,
			add() {},
			addOpen: () => undefined,
			findBlockers: () => [],
			arrange() {},
			atEnd() {},
			onFailure() {},
			afterwards() {},
			addMapped: () => 1,
			addDirectory: () => 1,
		},
		once: once({}),
	};
}

export function emptyDraft(): TaskDraft {
	const core = create(core_entrySchema, {
		mtype: core_entry_march.X86_64,
		tc: create(task_core_entrySchema),
		threadCore: create(thread_core_entrySchema),
	});
	return { core, mm: create(mm_entrySchema), fs: create(fs_entrySchema), fds: [] };
}

/** A draft as an image of the task with that pid, a session leader. */
export function imageOf(pid: number, draft: TaskDraft = emptyDraft()): TaskImage {
	const pstree = create(pstree_entrySchema, { pid, ppid: 0, pgid: pid, sid: pid, threads: [pid] });
	const ids = create(task_kobj_ids_entrySchema, { vmId: 2, filesId: 2, fsId: 2, sighandId: 2 });
	const threads: ThreadImage[] = [];
	const image: TaskImage = { tid: pid, pstree, ids, threads, ...draft };
	threads.push({ tid: pid, core: draft.core, isLeader: true, task: image });
	return image;
}

/** Plans all halves of a kind: those of the task, and those of its leader. */
export function planKind(kind: TaskKind, image: TaskImage, plan: TaskPlan, context: RestoreContext): void {
	kind.plan?.(image, plan, context);
	for (const thread of image.threads) kind.planThread?.({ ...thread, core: image.core }, plan, context);
}

/** Dumps all halves of a kind. */
export function dumpKind(
	kind: TaskKind,
	task: DumpedTask,
	draft: TaskDraft,
	ask: Program,
	context: DumpContext,
): Completion[] {
	const [leader] = task.threads;
	if (leader === undefined) throw new Error("a task without threads");
	const found = [kind.dump?.(task, draft, ask, context), kind.dumpThread?.(leader, draft, ask, context)];
	return found.filter((one) => one !== undefined);
}

export function emptyPlan(): TaskPlan & { beforeDetach: OutsideStep[]; outside: OutsideStep[] } {
	const programs = Object.fromEntries(STAGES.map((stage) => [stage, new Program()])) as Record<Stage, Program>;
	return {
		pid: 1,
		session: new Program(),
		awaits: new Set(),
		programs,
		traceOptions: 0,
		news: undefined,
		leaderFirst: false,
		outside: [],
		lazy: [],
		beforeDetach: [],
		afterDetach: [],
		numbers: { reserve: () => 1000, pass: () => 1001 },
		final: {},
		area: { start: 0n, end: 0n },
		hasCalls32: false,
		scratch: 0n,
		lasting: 0n,
		temporaryPaths: [],
		orphanMasters: [],
		undo: [],
	};
}

/** What the operations of a stage are for. */
export function told(plan: TaskPlan, stage: Stage): string[] {
	return plan.programs[stage].ops.map(whatOf);
}

/** The status of an ordinary root process, with some lines replaced. */
export function fakeStatus(lines: Readonly<Record<string, string>> = {}): ProcStatus {
	const text = readFileSync("/proc/self/status", "latin1");
	const all = new Map(
		text
			.split("\n")
			.filter(Boolean)
			.map((line) => line.split(":\t", 2) as [string, string]),
	);
	for (const [key, value] of Object.entries(lines)) all.set(key, value);
	return parseStatus(Buffer.from([...all].map(([key, value]) => `${key}:\t${value}\n`).join(""), "latin1"));
}

/** A process of our own that only sleeps, in a session of its own. */
export class Sleeper {
	private readonly child;
	readonly pid: number;

	private constructor(argv: readonly string[]) {
		this.child = spawnChild(argv[0] ?? "", argv.slice(1), { detached: true, stdio: "ignore" });
		this.pid = this.child.pid ?? 0;
	}

	/** Starts it and waits until it has executed its program and sleeps. */
	static async start(argv: readonly string[] = ["sleep", "1000"]): Promise<Sleeper> {
		const sleeper = new Sleeper(argv);
		for (;;) {
			const stat = readFileSync(`/proc/${sleeper.pid}/stat`, "latin1");
			const wchan = readFileSync(`/proc/${sleeper.pid}/syscall`, "latin1");
			if (/\) S /.test(stat) && /^(230|35|34) /.test(wchan)) return sleeper;
			await Bun.sleep(2);
		}
	}

	async [Symbol.asyncDispose](): Promise<void> {
		const gone = new Promise((resolve) => this.child.once("exit", resolve));
		if (this.child.exitCode === null && this.child.signalCode === null) {
			this.child.kill("SIGKILL");
			await gone;
		}
	}
}

function withAgent<T>(task: DumpedTask, use: (agent: InjectedAgent) => T): T {
	const agent = infect(collectInjectionFacts(task.pid, task.vmas, task.stat.startStack), task.thread);
	try {
		return use(agent);
	} finally {
		agent.cure();
	}
}

/** Dumps the named kinds of a live process, as the engine does; it runs on afterwards. */
export function dumpLive(pid: number, kinds: readonly TaskKind[], options: Partial<Options> = {}): TaskDraft {
	using frozen = freezeOne(pid, 10);
	const draft = emptyDraft();
	const ask = new Program();
	const context = dumpContext(options);
	const completions: Completion[] = [];
	for (const kind of kinds) completions.push(...dumpKind(kind, frozen.task, draft, ask, context));
	const answers = withAgent(frozen.task, (agent) => agent.programs.run(ask));
	for (const complete of completions) complete(answers);
	return draft;
}

/** Runs the programs of a plan inside of a live process, which then has that state. */
export function applyLive(pid: number, plan: TaskPlan): void {
	using frozen = freezeOne(pid, 10);
	withAgent(frozen.task, (agent) => {
		for (const stage of STAGES) if (plan.programs[stage].ops.length > 0) agent.programs.run(plan.programs[stage]);
	});
}

/** Looks at a live process while it stands still. */
export function lookLive<T>(pid: number, look: (task: DumpedTask) => T): T {
	using frozen = freezeOne(pid, 10);
	return look(frozen.task);
}
