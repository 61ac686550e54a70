// SPDX-License-Identifier: GPL-2.0-only
// --inherit-fd: a descriptor of ours takes the place of a dumped file, which the user names by its key.

import type { OpRef, Program } from "../../agent/program.ts";
import { CriuError, KernelError } from "../../errors.ts";
import type { reg_file_entry } from "../../images/gen/file_pb.ts";
import type { tty_info_entry } from "../../images/gen/tty_pb.ts";
import { F_DUPFD, F_DUPFD_CLOEXEC } from "../../kernel/abi/fcntl.ts";
import { SYS_fcntl } from "../../kernel/abi/syscalls.x86_64.ts";
import type { Options } from "../../options.ts";
import { syscall } from "../../sys/host.ts";
import type { TaskPlan } from "../kind.ts";
import { keptFilesOf } from "./kept-files.ts";

const decoder = new TextDecoder();

/** Key of a regular file: its path without the leading slash; external files have their whole name. */
export function keyOfPath(entry: reg_file_entry): string {
	const text = decoder.decode(entry.name);
	return text.startsWith("/") ? text.slice(1) : text;
}

/** Key of a pipe: what its link in /proc says. */
export function keyOfPipe(pipeId: number): string {
	return `pipe:[${pipeId}]`;
}

/** Key of a socket: what its link in /proc says. */
export function keyOfSocket(ino: number): string {
	return `socket:[${ino}]`;
}

/** Key of a terminal: device of the terminal and of the file system it lies on, hexadecimal. */
export function keyOfTty(info: tty_info_entry): string {
	return `tty[${info.rdev.toString(16)}:${info.dev.toString(16)}]`;
}

/**
 * Adds the operation that takes over a descriptor of ours, when the user gave one for this key. It shares our description.
 *
 * @throws CriuError INHERIT_FD when the descriptor isn't open
 */
export function planInherited(program: Program, key: string, options: Options, plan: TaskPlan): OpRef | undefined {
	const given = options.inheritFds.find((inherit) => inherit.key === key);
	if (given === undefined) return undefined;
	const number = keptFilesOf(plan).pass(`inherited ${key}`, () => {
		const copy = syscall(SYS_fcntl, given.fd, F_DUPFD_CLOEXEC, 0);
		if (copy >= 0) return copy;
		throw new CriuError("INHERIT_FD", `descriptor ${given.fd}, given for ${key}, isn't open`, {
			cause: new KernelError("fcntl", -copy, `of fd ${given.fd}`),
			remedy: "open it in the program that starts criu, without close-on-exec",
		});
	});
	return program.syscall(`take over fd ${given.fd} as ${key}`, SYS_fcntl, [number, F_DUPFD, 0]);
}
