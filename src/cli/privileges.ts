// SPDX-License-Identifier: GPL-2.0-only
// Whether the caller may checkpoint and restore at all: told at the start, before anything is touched.

import { readFileSync } from "node:fs";
import { CAP_CHECKPOINT_RESTORE, CAP_SYS_ADMIN } from "../kernel/abi/capability.ts";

export interface Privileges {
	euid: number;
	/** Effective capabilities as a bit set. */
	capabilities: bigint;
}

/** Ours. Source: proc_pid_status(5). */
export function readPrivileges(): Privileges {
	const status = readFileSync("/proc/self/status", "latin1");
	const capabilities = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(status)?.[1] ?? "0";
	return { euid: process.geteuid?.() ?? 0, capabilities: BigInt(`0x${capabilities}`) };
}

/** Why a caller with these privileges can't go on, as two lines for stdout; undefined when he can. */
export function explainMissingPrivileges(
	{ euid, capabilities }: Privileges,
	unprivileged: boolean,
	program: string,
): string | undefined {
	const has = (capability: number) => ((capabilities >> BigInt(capability)) & 1n) === 1n;
	if (!has(CAP_SYS_ADMIN) && !has(CAP_CHECKPOINT_RESTORE)) {
		return (
			"criu needs the capability CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE: run it as root, or give it one of them:\n" +
			`setcap cap_checkpoint_restore+eip ${program}\n`
		);
	}
	if (euid !== 0 && !unprivileged) {
		return (
			"criu runs as a user other than root and has capabilities.\n" +
			"Not all functions work so: add --unprivileged to go on.\n"
		);
	}
	return undefined;
}
