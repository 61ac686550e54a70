// SPDX-License-Identifier: GPL-2.0-only
// Building a planned tree: processes and threads come into being, run their stages, and stand still at the end with their
// last registers. Until they are let go they die with us.

import { BuiltProcess, type CloneRequest, type FinalState, MAX_CLONES } from "../agent/built.ts";
import { continueProcess, stopProcess } from "../agent/group-stop.ts";
import { Program } from "../agent/program.ts";
import { ProgramRunner } from "../agent/runner.ts";
import { BugError } from "../errors.ts";
import { faultPoint } from "../fault.ts";
import { hasField } from "../images/index.ts";
import { PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG } from "../kernel/abi/prctl.ts";
import { CLONE_FILES, CLONE_FS, CLONE_SIGHAND, CLONE_SYSVSEM, CLONE_VM } from "../kernel/abi/sched.ts";
import * as nr from "../kernel/abi/syscalls.x86_64.ts";
import { __WALL, P_PID, WNOHANG, WSTOPPED } from "../kernel/abi/wait.ts";
import { STAGE_GROUPS, type Stage, type TaskPlan, type ThreadPlan } from "../kinds/kind.ts";
import { log } from "../log.ts";
import type { LazyHandover } from "../pages/lazy/protocol.ts";
import type { PlannedTask, PlannedTree } from "../plan/plan-tree.ts";
import type { TreeStep } from "../plan/tree-shape.ts";
import { forgetSignal, hasPending } from "./child-signals.ts";
import { handOverTree } from "./lazy-restore.ts";
import { awaitPid, isTaken } from "./pid-holder.ts";
import type { Timings } from "./timings.ts";

/** Pids that a go-between tries until one is free. */
const HELPER_TRIES = 64;
/** Threads come into being before files are made, which may refer to them, and begin their own stages later. */
const THREADS_MADE: Stage = "files";
const THREADS_FROM: Stage = "state";
/** Memories that agents leave at the same time. */
const LEAVING = 32;
const TASK_STOPPED = 3;
const SIGCHLD = 17;

function checkFinal(final: TaskPlan["final"]): FinalState {
	const { regs, xstate, sigmask, segments = [] } = final;
	if (regs === undefined || xstate === undefined || sigmask === undefined)
		throw new BugError("a plan without last registers");
	return { regs, xstate, sigmask, segments };
}

/** Programs as one; a single one stays as it is. */
function joinPrograms(programs: readonly Program[]): Program {
	const filled = programs.filter(({ ops }) => ops.length > 0);
	const [only] = filled;
	if (only !== undefined && filled.length === 1) return only;
	const joined = new Program();
	for (const program of filled) joined.append(program);
	return joined;
}

/** A thread or a leader with its plan. */
interface BuiltThread {
	readonly built: BuiltProcess;
	readonly plan: ThreadPlan;
}

/** What a restore adds to the building of a tree. */
export interface BuildHelps {
	/** Called between steps; throws when the restore is to end. */
	check?(): void;
	/** Called when the root has its memory, before anybody else is made. */
	onRootMemory?(): void;
	/** Where memory whose pages come later is handed to. */
	readonly lazy?: LazyHandover | undefined;
	/** Hears of every program that begins. */
	readonly note?: ((built: BuiltProcess, program: Program) => void) | undefined;
}

/** A tree under construction. */
export class TreeBuilder {
	private readonly built = new Map<number, BuiltProcess>();
	private readonly threads = new Map<number, BuiltThread[]>();
	/** Tasks that see children die while they're built: signals of that must not stay. */
	private readonly bereaved = new Set<number>();
	/** Go-betweens: helpers without a pid of their own in the plan. */
	private readonly between = new Set<BuiltProcess>();
	private readonly runner: ProgramRunner;
	private nextHelper: number;

	constructor(
		private readonly tree: PlannedTree,
		root: BuiltProcess,
		private readonly timings: Timings,
		private readonly helps: BuildHelps = {},
	) {
		this.runner = new ProgramRunner(helps.note);
		this.built.set(tree.root.pid, root);
		this.nextHelper = Math.max(...tree.tasks.keys(), ...tree.slots.keys()) + 1;
	}

	/** Brings the tree to where only letting go is left. @throws CriuError, KernelError */
	build(): void {
		const { tree, timings } = this;
		const [early = [], ...later] = STAGE_GROUPS;
		this.runStages(tree.root, early);
		this.runner.settleAll();
		this.helps.onRootMemory?.();
		timings.lap("memory");
		for (let i = 0; i < tree.steps.length; ) {
			const count = this.carryOut(i, early);
			this.helps.check?.();
			for (const _ of tree.steps.slice(i, i + count)) faultPoint("restore:step");
			i += count;
		}
		this.runner.settleAll();
		if (tree.steps.length > 0) timings.lap("fork");
		for (const group of later) {
			this.helps.check?.();
			if (group.includes(THREADS_MADE)) this.makeThreads();
			if (group.includes(THREADS_FROM) && this.helps.lazy !== undefined)
				handOverTree(tree, (pid) => this.processOf(pid), this.helps.lazy);
			for (const task of tree.tasks.values()) this.runStages(task, group);
			this.runner.settleAll();
			timings.lap(group[0] ?? "");
		}
		faultPoint("restore:built");
		for (const task of tree.tasks.values()) {
			const { pid } = this.processOf(task.pid);
			for (const step of task.outside) {
				log.debug(() => step.what);
				step.run(pid);
			}
		}
		this.leaveAll();
		timings.lap("leave");
	}

	/** The last things that are done to processes that stand still. */
	finish(): void {
		for (const task of this.tree.tasks.values())
			for (const { built, plan } of this.threadsOf(task)) for (const step of plan.beforeDetach) step.run(built.pid);
	}

	/** Lets all of it run. Children first: a parent finds them as they were. */
	detach(): void {
		// First of all: should we die from here on, all of it goes on, and not a part.
		for (const task of this.tree.tasks.values()) for (const { built } of this.threadsOf(task)) built.outlive();
		faultPoint("restore:outlives");
		for (const task of [...this.tree.tasks.values()].reverse())
			for (const { built } of this.threadsOf(task).reverse()) built.detach();
		for (const task of this.tree.tasks.values())
			for (const { built, plan } of this.threadsOf(task)) for (const step of plan.afterDetach) step.run(built.pid);
	}

	/** Pids, as we see them, of tasks that nothing has stopped. */
	get runningPids(): number[] {
		return [...this.tree.tasks.values()]
			.filter(({ image }) => image.core.tc?.taskState !== TASK_STOPPED)
			.map(({ pid }) => this.processOf(pid).pid);
	}

	/** Ends all that was made. Children first: else they become orphans that we'd wait for in vain. */
	kill(): void {
		for (const built of [...this.built.values(), ...this.between].reverse()) built.kill();
	}

	private processOf(pid: number): BuiltProcess {
		const built = this.built.get(pid);
		if (built === undefined) throw new BugError(`pid ${pid} isn't made yet`);
		return built;
	}

	private threadsOf(task: PlannedTask): BuiltThread[] {
		return this.threads.get(task.pid) ?? [{ built: this.processOf(task.pid), plan: task }];
	}

	/** Starts the stages of a task and its threads; other tasks' programs may still run beside them. */
	private runStages(task: PlannedTask, stages: readonly Stage[]): void {
		if (stages.includes(THREADS_FROM) && this.bereaved.has(task.pid)) this.forgetDeaths(task.pid);
		// What isn't made yet is needed by a later stage.
		for (const pid of task.awaits) {
			const other = this.built.get(pid);
			if (other !== undefined) this.runner.settle(other);
		}
		for (const { built, plan } of this.threadsOf(task)) {
			const program = joinPrograms(stages.map((stage) => plan.programs[stage]));
			if (program.ops.length > 0) this.runner.start(built, program);
			if (plan === task && task.leaderFirst) this.runner.settle(built);
		}
	}

	/** Runs a program of our own to its end. */
	private run(pid: number, fill: (program: Program) => void): void {
		const program = new Program();
		fill(program);
		const built = this.processOf(pid);
		this.runner.start(built, program);
		this.runner.settle(built);
	}

	/** Carries out a step, and what follows and can be done together with it. Gives how many steps that were. */
	private carryOut(index: number, early: readonly Stage[]): number {
		const step = this.tree.steps[index] as TreeStep;
		if (step.do !== "fork") {
			this.carryOutOne(step, early);
			return 1;
		}
		const pids: number[] = [];
		for (let next: TreeStep | undefined = step; next?.do === "fork" && next.maker === step.maker; ) {
			pids.push(next.pid);
			next = this.tree.steps[index + pids.length];
		}
		return this.fork(this.processOf(step.maker), step.maker, pids, early);
	}

	private carryOutOne(step: Exclude<TreeStep, { do: "fork" }>, early: readonly Stage[]): void {
		switch (step.do) {
			case "fork-orphan":
				this.forkOrphan(step.maker, step.pid, early);
				return;
			case "setsid":
				this.run(step.pid, (program) =>
					program.syscall(`lead session ${step.pid}`, nr.SYS_setsid, [], { check: { equal: step.pid } }),
				);
				this.beginSession(step.pid);
				return;
			case "setpgid":
				this.run(step.pid, (program) =>
					program.syscall(`enter process group ${step.pgid}`, nr.SYS_setpgid, [0, step.pgid]),
				);
				return;
			case "adopt":
				this.run(step.pid, (program) =>
					program.syscall("adopt orphans for a while", nr.SYS_prctl, [PR_SET_CHILD_SUBREAPER, 1]),
				);
				return;
			case "end":
				this.endHelper(step.pid, step.maker);
				return;
			case "die":
				this.die(step.pid);
		}
	}

	/** The controlling terminal: children have their parent's. */
	private beginSession(pid: number): void {
		const session = this.tree.tasks.get(pid)?.session;
		if (session === undefined || session.ops.length === 0) return;
		const built = this.processOf(pid);
		this.runner.start(built, session);
		this.runner.settle(built);
	}

	/** What a child shares with its maker from birth. It can't have what a go-between doesn't share. */
	private sharedFlags(maker: number, pid: number): bigint {
		const image = this.tree.tasks.get(pid)?.image;
		const own = image?.ids;
		const other = this.tree.tasks.get(maker)?.image.ids;
		if (own === undefined || other === undefined) return 0n;
		return BigInt(
			(own.filesId === other.filesId ? CLONE_FILES : 0) |
				(own.fsId === other.fsId ? CLONE_FS : 0) |
				(own.vmId === other.vmId ? CLONE_VM : 0) |
				(own.sighandId === other.sighandId ? CLONE_SIGHAND : 0) |
				(image?.core.tc?.semUndoOfParent === true ? CLONE_SYSVSEM : 0),
		);
	}

	/** Makes as many of the first of these children as is done at a time. Gives how many. */
	private fork(from: BuiltProcess, maker: number, pids: readonly number[], early: readonly Stage[]): number {
		const { tasks } = this.tree;
		const requests = pids.slice(0, MAX_CLONES).map((pid) => this.requestChild(maker, pid));
		const made = this.cloneTogether(from, requests, (built, { vpid }) => this.built.set(vpid, built));
		for (const pid of pids.slice(0, made)) {
			const task = tasks.get(pid);
			if (task !== undefined) this.runStages(task, early);
			else this.run(pid, (program) => program.syscall("outlive the maker", nr.SYS_prctl, [PR_SET_PDEATHSIG, 0]));
		}
		return made;
	}

	private requestChild(maker: number, pid: number): CloneRequest & { vpid: number } {
		const task = this.tree.tasks.get(pid);
		const slot = task?.slot ?? this.tree.slots.get(pid);
		if (slot === undefined) throw new BugError(`no slot for pid ${pid}`);
		const { tc } = (task?.image ?? this.tree.dead.get(pid))?.core ?? {};
		const exitSignal = tc !== undefined && hasField(tc, "exitSignal") ? tc.exitSignal : undefined;
		const flags = this.sharedFlags(maker, pid);
		return { vpid: pid, slot, thread: false, flags, exitSignal, traceOptions: task?.traceOptions };
	}

	/** Makes as many of the first ones as one program has room for; `onMade` is told of each. Gives how many. */
	private cloneTogether<T extends CloneRequest & { vpid: number }>(
		maker: BuiltProcess,
		requests: readonly T[],
		onMade: (built: BuiltProcess, request: T) => void,
	): number {
		for (const began = performance.now(); ; ) {
			this.runner.free(maker);
			const { made, failure } = maker.cloneTogether(requests, (built, request) => onMade(built, request as T));
			if (failure !== undefined) awaitPid(requests[made]?.vpid ?? 0, failure.error, began);
			if (made > 0) return made;
		}
	}

	/** The maker's memory and descriptors have to be whole by then, and the room for its program free. */
	private clone(maker: BuiltProcess, request: CloneRequest): BuiltProcess {
		this.runner.free(maker);
		return maker.clone(request);
	}

	/** A child whose parent ends at once. */
	private forkOrphan(maker: number, pid: number, early: readonly Stage[]): void {
		const between = this.makeHelper(this.processOf(maker));
		this.between.add(between);
		this.fork(between, maker, [pid], early);
		this.between.delete(between);
		this.end(between, maker);
	}

	private makeHelper(maker: BuiltProcess): BuiltProcess {
		for (let tries = 1; ; tries++) {
			try {
				return this.clone(maker, { vpid: this.nextHelper++, slot: this.tree.spareSlot, thread: false });
			} catch (error) {
				if (tries === HELPER_TRIES || !isTaken(error)) throw error;
			}
		}
	}

	/** Ends a helper and lets its maker collect it. */
	private end(helper: BuiltProcess, maker: number): void {
		// Children of it must have been told to outlive it.
		this.runner.settleAll();
		const last = new Program();
		last.syscall("end a helper", nr.SYS_exit_group, [0]);
		helper.end(last);
		this.run(maker, (program) => program.syscall("collect a helper", nr.SYS_wait4, [helper.vpid, 0, __WALL, 0]));
		this.bereaved.add(maker);
	}

	private endHelper(pid: number, maker: number): void {
		const helper = this.processOf(pid);
		this.built.delete(pid);
		this.end(helper, maker);
	}

	private die(pid: number): void {
		const death = this.tree.deaths.get(pid);
		if (death === undefined) throw new BugError(`pid ${pid} can't die`);
		this.runner.settleAll();
		this.processOf(pid).end(death);
		this.built.delete(pid);
		for (const task of this.tree.tasks.values()) this.bereaved.add(task.pid);
	}

	/** The signals of ended children wait: all are blocked here. SIGCHLD waits once, those of other children once each. */
	private forgetDeaths(pid: number): void {
		const signals = [SIGCHLD];
		for (const { pstree, core } of this.tree.dead.values())
			if (pstree.ppid === pid && core.tc !== undefined && hasField(core.tc, "exitSignal"))
				signals.push(core.tc.exitSignal);
		this.run(pid, (program) => {
			for (const signal of signals)
				if (signal > 0) forgetSignal(program, signal, "forget the signal of an ended child");
		});
	}

	private makeThreads(): void {
		for (const task of this.tree.tasks.values()) {
			if (task.threads.length === 0) continue;
			const leader = this.processOf(task.pid);
			const list: BuiltThread[] = [{ built: leader, plan: task }];
			this.threads.set(task.pid, list);
			const requests = task.threads.map((plan) => {
				const { tid: vpid, slot, traceOptions } = plan;
				return { vpid, slot, thread: true, traceOptions, plan };
			});
			for (let i = 0; i < requests.length; )
				i += this.cloneTogether(leader, requests.slice(i, i + MAX_CLONES), (built, { plan }) => {
					list.push({ built, plan });
					faultPoint("restore:thread");
				});
		}
		this.timings.lap("threads");
	}

	/** Ends a leader that had ended before its threads. */
	private endLeader(task: PlannedTask): BuiltProcess[] {
		const { leaderExit } = task.image;
		if (leaderExit === undefined) return [];
		const [leader, ...others] = this.threadsOf(task);
		if (leader === undefined) return [];
		for (const { built } of others) built.dieWithUs();
		leader.built.endAlone(leaderExit);
		return [leader.built];
	}

	/** Agents leave a memory together: it has one area for all of them. */
	private leaveAll(): void {
		const byMemory = new Map<number, PlannedTask[]>();
		for (const task of this.tree.tasks.values()) {
			const { vmId } = task.image.ids;
			byMemory.set(vmId, [...(byMemory.get(vmId) ?? []), task]);
		}
		// Children first: their parents can wait for news of their stops then, with an agent that hasn't left.
		let batch: PlannedTask[][] = [];
		for (const group of [...byMemory.values()].reverse()) {
			batch.push(group);
			if (batch.length < LEAVING && group.every(({ news }) => news === undefined)) continue;
			this.leaveTogether(batch);
			batch = [];
		}
		this.leaveTogether(batch);
	}

	/** Lets the agents leave some memories; tasks that share one are together. */
	private leaveTogether(groups: readonly (readonly PlannedTask[])[]): void {
		const threadsOf = (group: readonly PlannedTask[]) => group.flatMap((task) => this.threadsOf(task));
		for (const group of groups) for (const { built } of threadsOf(group)) built.requestStop();
		for (const group of groups) for (const { built } of threadsOf(group)) built.awaitStop();
		const living = groups.map((group) => {
			const ended = new Set(group.flatMap((task) => this.endLeader(task)));
			return threadsOf(group).filter(({ built }) => !ended.has(built));
		});
		BuiltProcess.removeAreas(living.flatMap(([first]) => first?.built ?? []));
		for (const { built, plan } of living.flat()) built.setFinal(checkFinal(plan.final));
		for (const task of groups.flat()) this.makeNews(task);
	}

	/** Stops a task that has left, or stops and continues it, and has its parent, which hasn't, hear of it as it had before. */
	private makeNews(task: PlannedTask): void {
		const { news } = task;
		if (news === undefined) return;
		const threads = this.threadsOf(task).map(({ built, plan }) => ({
			tid: built.pid,
			sigmask: checkFinal(plan.final).sigmask,
		}));
		const { ppid } = task.image.pstree;
		stopProcess(threads, news.signal);
		if (news.do === "stop")
			this.run(ppid, (program) =>
				program.syscall("hear of a stop", nr.SYS_waitid, [P_PID, task.pid, 0, WSTOPPED | WNOHANG | __WALL, 0]),
			);
		else continueProcess(threads);
		const parent = this.tree.tasks.get(ppid);
		// Where one waits already, that of the stop was not added.
		if (parent !== undefined && !hasPending(parent.image, SIGCHLD))
			this.run(ppid, (program) => forgetSignal(program, SIGCHLD, "forget the signal of a stop"));
	}
}
