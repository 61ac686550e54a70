// SPDX-License-Identifier: GPL-2.0-only
// What a new process inherits from criu itself, read once for each restore: plans hold only what differs from it.

import { PR_GET_SECUREBITS } from "../../kernel/abi/prctl.ts";
import { SYS_prctl } from "../../kernel/abi/syscalls.x86_64.ts";
import { type ProcStatus, readStatus } from "../../kernel/procfs/status.ts";
import { mustSyscall } from "../../sys/host.ts";
import type { RestoreContext } from "../kind.ts";

/** /proc/self/status. */
export function getOwnStatus(context: RestoreContext): ProcStatus {
	return context.once("own:status", () => readStatus("self"));
}

/** The securebits of this process; without keep-caps, which ends with an exec. */
export function getOwnSecurebits(context: RestoreContext): number {
	return context.once("own:securebits", () => mustSyscall("", SYS_prctl, PR_GET_SECUREBITS) & ~0x10);
}

/** True when this process may do what that capability allows. */
export function hasOwnCapability(context: RestoreContext, capability: number): boolean {
	return ((getOwnStatus(context).capEff >> BigInt(capability)) & 1n) === 1n;
}
