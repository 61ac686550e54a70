// SPDX-License-Identifier: GPL-2.0-only
// A child that only waits: probes ask it, and what is to be quick on others is done to it first.

import { MFD_CLOEXEC } from "../kernel/abi/mman.ts";
import { SYS_memfd_create } from "../kernel/abi/syscalls.x86_64.ts";
import { scopedFd, toCString, writeAll } from "../sys/file.ts";
import { mustSyscall, spawn } from "../sys/host.ts";
import { __WALL, P_PID, sendSignal, WEXITED, waitId } from "../sys/process.ts";
import { makePauseProgram } from "./pause-program.x86_64.ts";

const SIGKILL = 9;

/**
 * Starts a child that waits for ever and ends with us; with `pid` 0 the kernel picks its pid. It has those of our descriptors that are
 * given, and no others.
 *
 * @throws KernelError
 */
export function startStandIn(pid = 0, files: readonly number[] = []): number {
	using program = scopedFd(mustSyscall("", SYS_memfd_create, toCString("criu-probe"), MFD_CLOEXEC));
	writeAll(program.fd, makePauseProgram());
	return spawn({
		flags: 0n,
		setTid: pid === 0 ? [] : [pid],
		moves: [...files, program.fd].map((fd) => ({ from: fd, to: fd })),
		execFd: program.fd,
		closeFrom: 0,
		dieWithParent: true,
	});
}

/** Kills it, however it is traced, and reaps it. */
export function endStandIn(pid: number): void {
	sendSignal(pid, SIGKILL);
	while (waitId(P_PID, pid, WEXITED | __WALL)?.kind === "stopped");
}
