// SPDX-License-Identifier: GPL-2.0-only
// restore --new-pidns: a pid namespace with its own /proc around the restored task, so that copies can live side by side.
// Its init is an agent that only waits for its children; when the last has ended, so does the namespace.

import type { BuiltProcess } from "../agent/built.ts";
import { Program } from "../agent/program.ts";
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_REC } from "../kernel/abi/mount.ts";
import { PR_SET_NAME, PR_SET_PDEATHSIG } from "../kernel/abi/prctl.ts";
import { CLONE_NEWNS, CLONE_NEWPID } from "../kernel/abi/sched.ts";
import * as nr from "../kernel/abi/syscalls.x86_64.ts";
import { readNamespace } from "../kernel/procfs/links.ts";
import { readStat } from "../kernel/procfs/stat.ts";
import { readStatus } from "../kernel/procfs/status.ts";
import { toCString } from "../sys/file.ts";

/** Name of our init; a dump recognises the namespace by it. */
const INIT_NAME = "criu-init";

export const NEW_PIDNS_FLAGS = BigInt(CLONE_NEWPID | CLONE_NEWNS);

/** What the init does before the task is made: a private mount tree with the namespace's own /proc. */
export function prepareInit(): Program {
	const program = new Program();
	const remedies = { EPERM: "run as root (CAP_SYS_ADMIN)" };
	program.syscall("name the init", nr.SYS_prctl, [PR_SET_NAME, toCString(INIT_NAME)]);
	program.syscall("keep mounts private", nr.SYS_mount, [toCString("none"), toCString("/"), 0, MS_REC | MS_PRIVATE, 0], {
		remedies,
	});
	program.syscall(
		"mount the namespace's own /proc",
		nr.SYS_mount,
		[toCString("proc"), toCString("/proc"), toCString("proc"), MS_NOSUID | MS_NODEV | MS_NOEXEC, 0],
		{ remedies },
	);
	return program;
}

/** Lets the init go on alone, for the rest of its life. */
export function detachInit(init: BuiltProcess): void {
	const program = new Program();
	program.syscall("outlive criu", nr.SYS_prctl, [PR_SET_PDEATHSIG, 0]);
	program.syscall("close what was passed on", nr.SYS_close_range, [0, 0xffffffff, 0]);
	const begun = program.reap("wait for all children");
	init.detachWith(program, begun);
}

/** The init of the pid namespace that a process is in, as we see it; undefined when that is our own namespace. */
function findInit(pid: number): number | undefined {
	const depth = readStatus(pid).nsPid.length;
	if (depth < 2) return undefined;
	for (let at = pid; at > 1; at = readStat(at).ppid) {
		const { nsPid } = readStatus(at);
		if (nsPid.length < depth) return undefined;
		if (nsPid.length === depth && nsPid[depth - 1] === 1) return at;
	}
	return undefined;
}

/** True for a task in a namespace that --new-pidns has made: it's dumped as if it were in ours. */
export function isInNewPidns(pid: number): boolean {
	const init = findInit(pid);
	if (init === undefined || init === pid) return false;
	const isOurs = Buffer.from(readStat(init).comm).toString("latin1") === INIT_NAME;
	return isOurs && readNamespace(init, "mnt") === readNamespace(pid, "mnt");
}

/** Makes the init, and the task below it. */
export function startBelowInit(init: BuiltProcess, pid: number, traceOptions = 0): BuiltProcess {
	init.programs.run(prepareInit());
	return init.clone({ vpid: pid, slot: 0, thread: false, traceOptions });
}
