// SPDX-License-Identifier: GPL-2.0-only
// --inherit-fd: a descriptor of ours takes the place of a dumped file, which the user names by its key.

import type { OpRef, Program } from "../../agent/program.ts";
import { CriuError, KernelError } from "../../errors.ts";
import type { reg_file_entry } from "../../images/gen/file_pb.ts";
import type { tty_info_entry } from "../../images/gen/tty_pb.ts";
import { AT_FDCWD, F_DUPFD, F_DUPFD_CLOEXEC, O_CLOEXEC, O_NOFOLLOW } from "../../kernel/abi/fcntl.ts";
import { S_IFMT, S_IFSOCK } from "../../kernel/abi/stat.ts";
import { SYS_fcntl, SYS_openat } from "../../kernel/abi/syscalls.x86_64.ts";
import type { InheritFd, Options } from "../../options.ts";
import { statFd } from "../../sys/file.ts";
import { syscall } from "../../sys/host.ts";
import type { TaskPlan } from "../kind.ts";
import { keptFilesOf, ownFdPath } from "./kept-files.ts";

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

/** Key of a memfd: what its link in /proc says. */
export function keyOfMemfd(name: Uint8Array): string {
	return `/memfd:${decoder.decode(name)}`;
}

/** Key of a socket: what its link in /proc says. */
export function keyOfSocket(ino: number): string {
	return `socket:[${ino}]`;
}

/** Key of a terminal: device of the terminal and of the file system it lies on, hexadecimal. */
export function keyOfTty(info: tty_info_entry): string {
	return `tty[${info.rdev.toString(16)}:${info.dev.toString(16)}]`;
}

/** What the user gave for a key. Links of pipes and sockets have a colon that many leave out. */
export function findInherited(key: string, options: Options): InheritFd | undefined {
	return options.inheritFds.find((given) => given.key.replace(/^(pipe|socket)\[/, "$1:[") === key);
}

/** The same for a file that has a path. */
export function findInheritedFile(entry: reg_file_entry, options: Options): InheritFd | undefined {
	return options.inheritFds.length === 0 ? undefined : findInherited(keyOfPath(entry), options);
}

/** Where the process under construction has the descriptor that was given. @throws CriuError INHERIT_FD */
export function keepInherited(given: InheritFd, plan: TaskPlan): number {
	const { fd, key } = given;
	return keptFilesOf(plan).pass(`inherited ${key}`, () => {
		const copy = syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 0);
		if (copy >= 0) return copy;
		throw new CriuError("INHERIT_FD", `descriptor ${fd}, given for ${key}, isn't open`, {
			cause: new KernelError("fcntl", -copy, `of fd ${fd}`),
			remedy: "open it in the program that starts criu, without close-on-exec",
		});
	});
}

/**
 * Adds the operation that takes over a descriptor of ours, when the user gave one for this key. It shares our description.
 *
 * @throws CriuError INHERIT_FD when the descriptor isn't open
 */
export function planInherited(program: Program, key: string, options: Options, plan: TaskPlan): OpRef | undefined {
	const given = findInherited(key, options);
	if (given === undefined) return undefined;
	return program.syscall(`take over fd ${given.fd} as ${key}`, SYS_fcntl, [keepInherited(given, plan), F_DUPFD, 0]);
}

/**
 * The same for files that had a path: opened again with flags and, later, a position of their own, where that can be.
 *
 * @throws CriuError INHERIT_FD when the descriptor isn't open
 */
export function planInheritedAgain(
	program: Program,
	file: reg_file_entry,
	flags: number,
	options: Options,
	plan: TaskPlan,
): OpRef | undefined {
	const given = findInheritedFile(file, options);
	if (given === undefined) return undefined;
	const key = keyOfPath(file);
	const number = keepInherited(given, plan);
	if ((statFd(given.fd).mode & S_IFMT) === S_IFSOCK) return planInherited(program, key, options, plan);
	// The link of /proc itself must be followed.
	const wanted = flags & ~(O_NOFOLLOW | O_CLOEXEC);
	return program.syscall(`open fd ${given.fd} as ${key}`, SYS_openat, [AT_FDCWD, ownFdPath(number), wanted, 0], {
		remedies: { EACCES: "open the descriptor for criu as the program had the file open", ENXIO: "give a file" },
	});
}
