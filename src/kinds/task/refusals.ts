// SPDX-License-Identifier: GPL-2.0-only
// Tasks that this version can't keep as a whole: shadow stacks, the dead, the kernel's.

import { type CriuError, UnsupportedError } from "../../errors.ts";
import { core_entry_march } from "../../images/gen/core_pb.ts";
import type { DumpedTask, TaskImage, TaskKind } from "../kind.ts";

const PF_KTHREAD = 0x00200000;

/** The task is dead, or the kernel's own: nothing else counts then. */
function findLifeBlocker(task: DumpedTask): CriuError | undefined {
	if (task.stat.state === "Z" || task.stat.state === "X")
		return new UnsupportedError("UNSUPPORTED_ZOMBIE", `pid ${task.pid} is dead already`, {
			remedy: "let its parent collect it",
		});
	if (task.status.kthread === true || (task.stat.flags & PF_KTHREAD) !== 0)
		return new UnsupportedError("KERNEL_THREAD", `pid ${task.pid} is a thread of the kernel`, {
			remedy: "only user processes can be dumped",
		});
	return undefined;
}

function findRefusals(task: DumpedTask): CriuError[] {
	const { pid, status } = task;
	const life = findLifeBlocker(task);
	if (life !== undefined) return [life];
	const found: CriuError[] = [];
	const refuse = (code: string, message: string, remedy: string) =>
		found.push(new UnsupportedError(code, `pid ${pid} ${message}`, { remedy }));
	if (task.leaderExit !== undefined && status.seccomp !== undefined && status.seccomp !== 0)
		refuse(
			"DEAD_LEADER",
			"is under seccomp and its first thread has ended: a filter could forbid that end",
			"dump before the program ends its main thread",
		);
	if (status.threadFeatures.includes("shstk"))
		refuse(
			"UNSUPPORTED_SHSTK",
			"uses a shadow stack, which this version doesn't keep",
			"start it with GLIBC_TUNABLES=glibc.cpu.x86_shstk=off",
		);
	return found;
}

function checkImage(image: TaskImage): void {
	const { core, pstree } = image;
	if (core.mtype !== core_entry_march.X86_64)
		throw new UnsupportedError("FOREIGN_ARCH", `pid ${pstree.pid} was dumped on another kind of machine`, {
			remedy: "restore on a machine of that kind",
		});
}

/** What can't be kept at all in this version. */
export const refusals: TaskKind = {
	name: "refusals",
	findBlockers: findRefusals,
	plan: checkImage,
};
