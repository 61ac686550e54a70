// SPDX-License-Identifier: GPL-2.0-only
// Files that tell of pressure (PSI), in /proc/pressure and in cgroups: a trigger that was written to one lasts as long as that
// description, and nobody shows it. Source: Documentation/accounting/psi.rst, kernel/sched/psi.c (psi_write).

import type { CriuError } from "../../errors.ts";
import { O_ACCMODE, O_PATH, O_RDONLY } from "../../kernel/abi/fcntl.ts";
import { CGROUP2_SUPER_MAGIC } from "../../kernel/abi/magic.ts";
import { SYS_write } from "../../kernel/abi/syscalls.x86_64.ts";
import { syscall } from "../../sys/host.ts";
import type { DumpContext, FdFacts } from "../kind.ts";
import { refuseFd } from "./anon-inode.ts";
import { fileSystemOf } from "./file-path.ts";

const EBUSY = 16;

function isPressure(file: FdFacts, context: DumpContext): boolean {
	const name = Buffer.from(file.link.buffer, file.link.byteOffset, file.link.length).toString("latin1");
	if (/^\/proc\/pressure\/[a-z]+$/.test(name)) return true;
	return name.endsWith(".pressure") && fileSystemOf(file, context) === BigInt(CGROUP2_SUPER_MAGIC);
}

/** What is no trigger is refused in any case, but for another reason where there is one already. */
function hasTrigger({ ownFd }: FdFacts): boolean {
	return syscall(SYS_write, ownFd, Uint8Array.of(0x78, 0), 2) === -EBUSY;
}

/** What stands against a dump of a file that tells of pressure. */
export function findTriggerBlockers(file: FdFacts, context: DumpContext): CriuError[] {
	const { flags } = file.info;
	if ((flags & O_ACCMODE) === O_RDONLY || (flags & O_PATH) !== 0 || !isPressure(file, context)) return [];
	if (!hasTrigger(file)) return [];
	return [refuseFd(file, "has a trigger of pressure (PSI), which nobody shows", "let the program close it first")];
}
