// SPDX-License-Identifier: GPL-2.0-only
// Who gets the signals of a descriptor (F_SETOWN, F_SETSIG), and with whose rights.
// Source: fcntl(2) F_GETOWN_EX, F_GETSIG, F_GETOWNER_UIDS. Images: fown_entry in most kinds of file.

import type { Arg, Program } from "../../agent/program.ts";
import { type fown_entry, fown_entrySchema } from "../../images/gen/fown_pb.ts";
import { create, shareMessage } from "../../images/index.ts";
import {
	F_GETOWN_EX,
	F_GETOWNER_UIDS,
	F_GETSIG,
	F_OWNER_PGRP,
	F_OWNER_PID,
	F_OWNER_TID,
	F_SETOWN_EX,
	F_SETSIG,
	FOwnerEx,
} from "../../kernel/abi/fcntl.ts";
import { SYS_fcntl, SYS_setresuid } from "../../kernel/abi/syscalls.x86_64.ts";
import { readStatus } from "../../kernel/procfs/status.ts";
import { mustSyscall, syscall } from "../../sys/host.ts";
import type { DumpedTask } from "../kind.ts";
import { corruptImage } from "./image-checks.ts";

const MAX_SIGNAL = 64;
const MAX_PID = 4194304;

/** No owner, no signal. */
export function emptyFown(): fown_entry {
	return create(fown_entrySchema, { uid: 0, euid: 0, signum: 0, pidType: 0, pid: 0 });
}

/** An owner as the task itself sees it, in its pid namespace. */
function ownerInside(task: DumpedTask, type: number, pid: number): number {
	if (task.vpid === task.pid) return pid;
	if (pid === task.pid) return task.vpid;
	const status = readStatus(pid);
	const ids = type === F_OWNER_PGRP ? status.nsPgid : type === F_OWNER_TID ? status.nsPid : status.nsTgid;
	return ids.at(-1) ?? pid;
}

/** An owner as fcntl(2) tells it. */
export interface OwnerFacts {
	readonly type: number;
	readonly pid: number;
	readonly signum: number;
	readonly uid: number;
	readonly euid: number;
}

/** Of almost all files. */
let nobody: fown_entry | undefined;

/** The owner of a description that a task has. @throws KernelError */
export function encodeOwner(task: DumpedTask, { type, pid, signum, uid, euid }: OwnerFacts): fown_entry {
	if (pid === 0 && signum === 0) {
		nobody ??= shareMessage(emptyFown());
		return nobody;
	}
	if (pid === 0) return create(fown_entrySchema, { uid: 0, euid: 0, signum, pidType: 0, pid: 0 });
	return create(fown_entrySchema, { uid, euid, signum, pidType: type, pid: ownerInside(task, type, pid) });
}

/** Reads the owner of a description through a copy of ours. O_PATH files have none. @throws KernelError */
export function readFown(task: DumpedTask, ownFd: number): fown_entry {
	const owner = new Int32Array(2);
	if (syscall(SYS_fcntl, ownFd, F_GETOWN_EX, owner) < 0) return emptyFown();
	const signum = mustSyscall(`of fd ${ownFd}`, SYS_fcntl, ownFd, F_GETSIG, 0);
	const [type = 0, pid = 0] = owner;
	const uids = new Uint32Array(2);
	if (pid !== 0) mustSyscall(`of fd ${ownFd}`, SYS_fcntl, ownFd, F_GETOWNER_UIDS, uids);
	const [uid = 0, euid = 0] = uids;
	return encodeOwner(task, { type, pid, signum, uid, euid });
}

/** Adds what sets the owner of an open descriptor. Runs while the task has all rights. @throws ImageError */
export function planFown(program: Program, fd: Arg, fown: fown_entry | undefined): void {
	if (fown === undefined) return;
	const { uid, euid, signum, pidType, pid } = fown;
	if (signum > MAX_SIGNAL) throw corruptImage("files.img", `fown.signum is ${signum}`);
	if (signum !== 0) program.syscall(`set signal ${signum} of a file`, SYS_fcntl, [fd, F_SETSIG, signum]);
	if (pid === 0) return;
	if (pid > MAX_PID) throw corruptImage("files.img", `fown.pid is ${pid}`);
	if (![F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP].includes(pidType))
		throw corruptImage("files.img", `fown.pid_type is ${pidType}`);
	const foreign = uid !== 0 || euid !== 0;
	// The kernel notes real and effective ids of the caller; the saved id 0 leads back.
	if (foreign) program.syscall(`be user ${uid}`, SYS_setresuid, [uid, euid, 0]);
	program.syscall(
		`set the owner of a file to ${pid}`,
		SYS_fcntl,
		[fd, F_SETOWN_EX, FOwnerEx.encode({ type: pidType, pid })],
		{
			remedies: { ESRCH: `the process or group ${pid} that got the file's signals must run again before` },
		},
	);
	if (foreign) program.syscall("be root again", SYS_setresuid, [0, 0, 0]);
}
