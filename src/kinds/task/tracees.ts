// SPDX-License-Identifier: GPL-2.0-only
// Who traces whom (ptrace): nothing of it can be kept. Of a traced task the kernel tells its tracer; whether a task traces others
// only its own wait tells. Source: ptrace(2), waitid(2), kernel/exit.c (eligible_child: traced ones count as clones).

import type { Program } from "../../agent/program.ts";
import { type CriuError, UnsupportedError } from "../../errors.ts";
import { SIGCHLD } from "../../kernel/abi/signal.ts";
import { SYS_waitid } from "../../kernel/abi/syscalls.x86_64.ts";
import { __WCLONE, P_ALL, WEXITED, WNOHANG, WNOWAIT, WSTOPPED } from "../../kernel/abi/wait.ts";
import { readStatus } from "../../kernel/procfs/status.ts";
import { readComm } from "../../kernel/procfs/task-files.ts";
import { listProcesses, listThreads } from "../../kernel/procfs/tasks.ts";
import type { Completion, DumpContext, DumpedTask, TaskDraft, TaskKind } from "../kind.ts";

/** A process for messages, by number and name. */
function nameProcess(pid: number): string {
	try {
		return `pid ${pid} (${new TextDecoder().decode(readComm(pid))})`;
	} catch {
		return `pid ${pid}`;
	}
}

/** The refusal of a thread that somebody else traces. */
export function tracedError(pid: number, tracer: number, tid = pid): CriuError {
	const whose = tid === pid ? nameProcess(pid) : `thread ${tid} of ${nameProcess(pid)}`;
	return new UnsupportedError("TRACED", `${whose} is traced by ${nameProcess(tracer)}`, {
		remedy: "let the debugger or tracer detach first, or end it",
	});
}

function findTracedBlockers({ pid, status }: DumpedTask): CriuError[] {
	const { tracerPid } = status;
	return tracerPid === 0 || tracerPid === process.pid ? [] : [tracedError(pid, tracerPid)];
}

/** The first thread that a task traces, with its process. Walks through all of /proc. */
function findTracee({ threads }: DumpedTask): { pid: number; tid: number } | undefined {
	const tracers = new Set(threads.map(({ tid }) => tid));
	for (const pid of listProcesses()) {
		try {
			for (const tid of listThreads(pid))
				if (tracers.has(readStatus(pid, undefined, tid).tracerPid)) return { pid, tid };
		} catch {
			// It has ended.
		}
	}
	return undefined;
}

/** Tasks with children that don't end with SIGCHLD: these answer to the question for tracees, too. */
function parentsOfClones(context: DumpContext): ReadonlySet<DumpedTask | undefined> {
	return context.once("parents-of-clones", () => {
		const clones = [...context.tasks, ...context.dead].filter(({ stat }) => stat.exitSignal !== SIGCHLD);
		return new Set(clones.map(({ parent }) => parent));
	});
}

/** Asks whether it traces others: they'd run on untraced, or be killed, when it ends with the dump. */
function askForTracees(
	task: DumpedTask,
	_draft: TaskDraft,
	ask: Program,
	context: DumpContext,
): Completion | undefined {
	if (parentsOfClones(context).has(task)) return undefined;
	const what = (WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WCLONE) >>> 0;
	const any = ask.syscall("ask for traced processes", SYS_waitid, [P_ALL, 0, 0, what, 0], { check: "any" });
	return (answers) => {
		// ECHILD: none.
		if (!answers.succeeded(any)) return;
		const found = findTracee(task);
		if (found !== undefined) throw tracedError(found.pid, task.pid, found.tid);
		throw new UnsupportedError("TRACED", `${nameProcess(task.pid)} traces a process that can't be seen from here`, {
			remedy: "let it detach first (PTRACE_DETACH)",
		});
	};
}

/** Tracing, in both directions. */
export const tracees: TaskKind = {
	name: "tracees",
	findBlockers: findTracedBlockers,
	dump: askForTracees,
};
