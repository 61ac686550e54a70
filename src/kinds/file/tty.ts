// SPDX-License-Identifier: GPL-2.0-only
// Terminals: ptys with one or both ends in the tree, /dev/tty, consoles, serial lines.

import { fd_types } from "../../images/gen/fdinfo_pb.ts";
import type { FdFacts, FileKind } from "../kind.ts";
import { dumpTty, findTtyBlockers } from "./tty-dump.ts";
import { finishTty, planTty } from "./tty-plan.ts";
import { roleOf } from "./tty-types.ts";

/** Terminals of all kinds. */
export const tty: FileKind = {
	name: "terminal",
	type: fd_types.TTY,
	source: "ioctl_tty(2), /proc/PID/stat",
	matches: ({ stat }: FdFacts) => roleOf(stat) !== undefined,
	findBlockers: findTtyBlockers,
	dump: dumpTty,
	plan: planTty,
	finish: finishTty,
};
