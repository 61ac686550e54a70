// SPDX-License-Identifier: GPL-2.0-only
// Zombies: what is left of a task until its parent takes notice. Made again by a child that ends in the same way.
// Source: proc_pid_stat(5) exit_code, wait(2). Images: core-PID.img with task_core_entry alone; pstree.img, threads = [0].

import { Program } from "../../agent/program.ts";
import {
	type core_entry,
	core_entry_march,
	core_entrySchema,
	task_core_entrySchema,
} from "../../images/gen/core_pb.ts";
import { create } from "../../images/index.ts";
import { PR_SET_DUMPABLE, PR_SET_NAME } from "../../kernel/abi/prctl.ts";
import { RLIMIT_CORE, Rlimit64 } from "../../kernel/abi/resource.ts";
import { KernelSigaction } from "../../kernel/abi/sigaction.x86_64.ts";
import { SIGCHLD, signalBit, signalName } from "../../kernel/abi/signal.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import type { CoreImage, DeadTask } from "../kind.ts";
import { corruptCore, getTaskCore } from "./image-checks.ts";

export const TASK_DEAD = 2;
/** TASK_COMM_LEN. */
const NAME_ROOM = 16;
const SIGNAL_MASK = 0x7f;
const SIG_UNBLOCK = 1;
const SIGABRT = 6;
const NO_ID = 0xffffffff;
/** Signals that end a task unless it says otherwise. Source: signal(7). */
const NOT_FATAL = new Set([17, 18, 19, 20, 21, 22, 23, 28]);

/** The core image of a zombie. */
export function encodeDead({ stat, status }: DeadTask): core_entry {
	const ids = [...status.uid.slice(0, 3), ...status.gid.slice(0, 3)];
	return create(core_entrySchema, {
		mtype: core_entry_march.X86_64,
		tc: create(task_core_entrySchema, {
			taskState: TASK_DEAD,
			exitCode: stat.exitCode,
			personality: 0,
			flags: 0,
			blkSigset: 0n,
			comm: stat.comm,
			...(ids.every((id) => id === 0) ? {} : { deadIds: ids }),
			...(stat.exitSignal === SIGCHLD ? {} : { exitSignal: stat.exitSignal }),
		}),
	});
}

/** Whose it was: waitid(2) tells its parent the user, and that's who may send it signals. @throws ImageError */
function planIds(image: CoreImage, ids: readonly number[], program: Program): void {
	if (ids.length === 0) return;
	if (ids.length !== 6 || ids.includes(NO_ID)) throw corruptCore(image, `tc.dead_ids are ${ids.join()}`);
	program.syscall("be in its groups", nr.SYS_setresgid, ids.slice(3));
	program.syscall("be its user", nr.SYS_setresuid, ids.slice(0, 3));
}

/** What ends a child as the zombie had ended. It's the last thing that its agent does. @throws ImageError */
export function planDeath(image: CoreImage): Program {
	const { comm, exitCode, deadIds } = getTaskCore(image);
	const signal = exitCode & SIGNAL_MASK;
	if (exitCode > 0xffff || signal > 64) throw corruptCore(image, `tc.exit_code is ${exitCode}`);
	const program = new Program();
	const name = new Uint8Array(NAME_ROOM);
	name.set(comm.subarray(0, NAME_ROOM - 1));
	program.syscall("set the name", nr.SYS_prctl, [PR_SET_NAME, name]);
	if (signal === 0) {
		planIds(image, deadIds, program);
		program.syscall("end as it had ended", nr.SYS_exit_group, [(exitCode >> 8) & 0xff]);
		return program;
	}
	// No second core file for an old death.
	const none = Rlimit64.encode({ rlim_cur: 0n, rlim_max: 0n });
	program.syscall("write no core file", nr.SYS_prlimit64, [0, RLIMIT_CORE, none, 0]);
	program.syscall("write no core file", nr.SYS_prctl, [PR_SET_DUMPABLE, 0]);
	const fatal = NOT_FATAL.has(signal) ? SIGABRT : signal;
	if (fatal !== 9) {
		const action = KernelSigaction.encode({});
		program.syscall(`let ${signalName(fatal)} end it`, nr.SYS_rt_sigaction, [fatal, action, 0, 8]);
	}
	planIds(image, deadIds, program);
	const mask = new Uint8Array(BigUint64Array.of(signalBit(fatal)).buffer);
	const pid = program.syscall("find its pid", nr.SYS_getpid, []);
	program.syscall("end as it had ended", nr.SYS_kill, [pid, fatal]);
	program.syscall("end as it had ended", nr.SYS_rt_sigprocmask, [SIG_UNBLOCK, mask, 0, 8]);
	return program;
}
