// SPDX-License-Identifier: GPL-2.0-only
// Descriptors that give the signals waiting for whoever reads them. Images: files.img (signalfd_entry), whose mask has the
// accepted signals. Source: signalfd(2), proc_pid_fdinfo(5).

import type { OpRef } from "../../agent/program.ts";
import { BugError } from "../../errors.ts";
import { fd_types, type file_entry, file_entrySchema } from "../../images/gen/fdinfo_pb.ts";
import { signalfd_entrySchema } from "../../images/gen/file_pb.ts";
import { create } from "../../images/index.ts";
import { SYS_signalfd4 } from "../../kernel/abi/syscalls.x86_64.ts";
import type { FdFacts, FileKind, FilePlan } from "../kind.ts";
import { checkFlags, findHandleBlockers, hasAnonLink, imageFlags, planFlags } from "./anon-inode.ts";
import { checkInner } from "./image-checks.ts";

const MASK_SIZE = 8;

function dumpSignalfd(file: FdFacts, id: number): file_entry {
	const { kind } = file.info;
	if (kind.type !== "signalfd") throw new BugError(`fd ${file.fd} of pid ${file.task.pid} is no signalfd`);
	return create(file_entrySchema, {
		type: fd_types.SIGNALFD,
		id,
		sgfd: create(signalfd_entrySchema, { id, flags: imageFlags(file), fown: file.fown, sigmask: kind.sigmask }),
	});
}

function planSignalfd(entry: file_entry, { program }: FilePlan): OpRef {
	const { id, flags, sigmask } = checkInner(entry.id, "signalfd", entry.sgfd);
	const mask = new Uint8Array(BigUint64Array.of(sigmask).buffer);
	const fd = program.syscall(`make signalfd ${id}`, SYS_signalfd4, [-1, mask, MASK_SIZE, checkFlags(id, flags)]);
	planFlags(program, fd, flags);
	return fd;
}

/** Signals as a file. */
export const signalfd: FileKind = {
	name: "signalfd",
	type: fd_types.SIGNALFD,
	source: "/proc/PID/fdinfo",
	matches: hasAnonLink("[signalfd]"),
	findBlockers: findHandleBlockers,
	dump: dumpSignalfd,
	plan: planSignalfd,
};
