// SPDX-License-Identifier: GPL-2.0-only
// What parents have heard of their children's stops: that of a stopped one is news, unless it was waited for already; that
// one goes on is news once. Source: waitid(2) WSTOPPED, WCONTINUED, WNOWAIT. Images: core-PID.img, task_core_entry (ours).

import type { ProgramResult } from "../../agent/channel.ts";
import { type OutRef, Program } from "../../agent/program.ts";
import { SIGINFO_SIZE } from "../../kernel/abi/siginfo.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { SYS_waitid } from "../../kernel/abi/syscalls.x86_64.ts";
import { __WALL, P_ALL, P_PID, WCONTINUED, WNOHANG, WNOWAIT, WSTOPPED } from "../../kernel/abi/wait.ts";
import type { Completion, DumpContext, DumpedTask, RestoreContext, TaskDraft, TaskImage, TaskKind } from "../kind.ts";
import { getTaskCore } from "./image-checks.ts";

const LOOK = WNOHANG | WNOWAIT | __WALL;
/** Offset of si_pid. */
const SI_PID = 16;

/** What is kept of a child: only what a restore wouldn't do anyway. */
interface News {
	stopTold?: true;
	continueUntold?: true;
}

function newsOf(context: DumpContext): Map<DumpedTask, News> {
	return context.once("stop-news", () => new Map<DumpedTask, News>());
}

function childrenOf(context: DumpContext): ReadonlyMap<DumpedTask, readonly DumpedTask[]> {
	return context.once(
		"children",
		() => Map.groupBy(context.tasks, ({ parent }) => parent) as Map<DumpedTask, DumpedTask[]>,
	);
}

function addLook(program: Program, type: number, id: number, what: number): OutRef {
	const info = program.out(SIGINFO_SIZE);
	program.syscall("ask for news of children", SYS_waitid, [type, id, info, what | LOOK, 0], { check: "any" });
	return info;
}

const namedIn = (answers: ProgramResult, info: OutRef) => viewOf(answers.out(info)).getInt32(SI_PID, true);

/** Children can't move meanwhile, so the parent itself sees what it would hear. */
function askParent(
	task: DumpedTask,
	_draft: TaskDraft,
	run: (program: Program) => ProgramResult,
	context: DumpContext,
): void {
	const children = childrenOf(context).get(task) ?? [];
	if (children.length === 0) return;
	const news = newsOf(context);
	const stopped = children.filter(({ thread }) => thread.groupStop !== 0);
	const first = new Program();
	const anyContinued = addLook(first, P_ALL, 0, WCONTINUED);
	const looks = stopped.map((child) => ({ child, info: addLook(first, P_PID, child.vpid, WSTOPPED) }));
	const answers = run(first);
	for (const { child, info } of looks) if (namedIn(answers, info) !== child.vpid) news.set(child, { stopTold: true });
	if (namedIn(answers, anyContinued) === 0) return;
	for (const child of children) {
		const own = new Program();
		const info = addLook(own, P_PID, child.vpid, WCONTINUED);
		if (namedIn(run(own), info) === child.vpid) news.set(child, { continueUntold: true });
	}
}

/** Parents have been asked when their children are completed. */
function dumpNews(task: DumpedTask, draft: TaskDraft, _ask: Program, context: DumpContext): Completion {
	return () => {
		const news = newsOf(context).get(task);
		if (news !== undefined && draft.core.tc !== undefined) Object.assign(draft.core.tc, news);
	};
}

/** Whether its parent can wait for it while they are built: both have agents of their own that leave one after the other. */
function canBeHeard(image: TaskImage, context: RestoreContext): boolean {
	const parent = context.tasks.find(({ tid }) => tid === image.pstree.ppid);
	return parent !== undefined && parent.ids.vmId !== image.ids.vmId && image.leaderExit === undefined;
}

/** True when a stopped task's parent has waited for the stop already. */
export function isStopTold(image: TaskImage, context: RestoreContext): boolean {
	return getTaskCore(image).stopTold && canBeHeard(image, context);
}

/** True when a running task's parent is still to hear that it was continued. */
export function isContinueUntold(image: TaskImage, context: RestoreContext): boolean {
	return getTaskCore(image).continueUntold && canBeHeard(image, context);
}

/** News of stops; comm.ts restores them. */
export const stopNews: TaskKind = { name: "stop-news", converse: askParent, dump: dumpNews };
