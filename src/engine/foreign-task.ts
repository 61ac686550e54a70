// SPDX-License-Identifier: GPL-2.0-only
// Whether a task is a user's own, so that he could trace it himself. Source: ptrace(2), "Ptrace access mode checking".

import { CriuError } from "../errors.ts";
import type { ProcStatus } from "../kernel/procfs/status.ts";
import type { Options } from "../options.ts";
import { statPath } from "../sys/file.ts";

/** Why a task isn't to be dumped for this user; undefined for one of his own. @throws KernelError when it's gone */
export function findForeignTask(
	pid: number,
	{ uid, gid, capPrm }: Pick<ProcStatus, "uid" | "gid" | "capPrm">,
	user: NonNullable<Options["onlyUser"]>,
): CriuError | undefined {
	const isOwn =
		uid.every((id) => id === user.uid) &&
		gid.every((id) => id === user.gid) &&
		capPrm === 0n &&
		// One that isn't dumpable (prctl(2), PR_SET_DUMPABLE) belongs to root there.
		statPath(`/proc/${pid}`).uid === user.uid;
	if (isOwn) return undefined;
	return new CriuError("CALLER_RIGHTS", `pid ${pid} isn't user ${user.uid}'s own: its ids, capabilities or secrets`, {
		remedy: "ask root to dump it",
	});
}
