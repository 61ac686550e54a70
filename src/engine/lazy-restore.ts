// SPDX-License-Identifier: GPL-2.0-only
// A restore's side of lazy memory: each task makes a userfaultfd, under which we put its mappings that lack pages. The daemon
// gets it, and serves from there on; what the rest of the restore does to such memory waits for pages, too.

import type { BuiltProcess } from "../agent/built.ts";
import { Program } from "../agent/program.ts";
import { CriuError, isErrno } from "../errors.ts";
import { O_CLOEXEC, O_NONBLOCK } from "../kernel/abi/fcntl.ts";
import { SYS_close, SYS_userfaultfd } from "../kernel/abi/syscalls.x86_64.ts";
import type { LazyHandover } from "../pages/lazy/protocol.ts";
import { enableEvents, registerMissing } from "../pages/lazy/userfault.ts";
import type { PlannedTask, PlannedTree } from "../plan/plan-tree.ts";
import { closeFd } from "../sys/file.ts";
import { getPidfdFd, openPidfd } from "../sys/process.ts";

/** The userfaultfd of a new process, our own copy. It keeps none itself. */
function borrowUserfault(built: BuiltProcess): number {
	const make = new Program();
	const remedy = "use a kernel with CONFIG_USERFAULTFD and run criu as root, or restore without --lazy-pages";
	const made = make.syscall("wait for pages", SYS_userfaultfd, [O_CLOEXEC | O_NONBLOCK], { remedies: { "": remedy } });
	const number = Number(built.programs.run(make).result(made));
	const pidfd = openPidfd(built.pid);
	try {
		return getPidfdFd(pidfd, number);
	} finally {
		closeFd(pidfd);
		const close = new Program();
		close.syscall("leave the userfaultfd to others", SYS_close, [number]);
		built.programs.run(close);
	}
}

function handOver(task: PlannedTask, built: BuiltProcess, lazy: LazyHandover): void {
	const uffd = borrowUserfault(built);
	try {
		enableEvents(uffd);
		for (const { start, end } of task.lazy) registerMissing(uffd, start, end);
		lazy.pass(task.pid, built.pid, uffd);
	} catch (error) {
		if (!isErrno(error, "EINVAL", "ENOTTY")) throw error;
		throw new CriuError("NO_USERFAULTFD", `this kernel can't bring the pages of pid ${task.pid} later`, {
			cause: error,
			remedy: "use Linux 4.11 or later with CONFIG_USERFAULTFD, or restore without --lazy-pages",
		});
	} finally {
		// Nobody else has it then: should the daemon end, the task doesn't wait for ever, and we see it before it's let go.
		closeFd(uffd);
	}
}

/** Hands the memory of all tasks to the daemon, while none of them does anything. @throws CriuError, KernelError */
export function handOverTree(tree: PlannedTree, processOf: (pid: number) => BuiltProcess, lazy: LazyHandover): void {
	for (const task of tree.tasks.values())
		if (task.lazy.length > 0) handOver(task, processOf(task.pid), lazy);
		else lazy.skip(task.pid);
	for (const pid of tree.dead.keys()) lazy.skip(pid);
}
