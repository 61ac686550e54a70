// SPDX-License-Identifier: GPL-2.0-only
// What files without a name of their own share (eventfd, signalfd, timerfd, epoll, pidfd): how their links look, which flags
// they can have. Source: proc_pid_fd(5), fcntl(2) F_SETFL.

import type { OpRef, Program } from "../../agent/program.ts";
import { type CriuError, UnsupportedError } from "../../errors.ts";
import * as fcntl from "../../kernel/abi/fcntl.ts";
import { SYS_fcntl } from "../../kernel/abi/syscalls.x86_64.ts";
import { showPath } from "../../sys/file.ts";
import type { FdFacts } from "../kind.ts";
import { startsWith } from "./file-path.ts";
import { corruptImage } from "./image-checks.ts";

const encoder = new TextEncoder();
const O_ASYNC = 0o20000;
/** What F_SETFL changes besides O_NONBLOCK. */
const SETTABLE = fcntl.O_APPEND | fcntl.O_NOATIME;
/** What the flags of such a file may hold; the rest comes from no kernel. */
const KNOWN = fcntl.O_ACCMODE | fcntl.O_NONBLOCK | fcntl.O_LARGEFILE | fcntl.O_CLOEXEC | O_ASYNC | SETTABLE;

/** Says whether the link of a descriptor begins with `anon_inode:` and this text. */
export function hasAnonLink(text: string): (file: FdFacts) => boolean {
	const bytes = encoder.encode(`anon_inode:${text}`);
	return ({ link }) => startsWith(link, bytes);
}

/** A descriptor for messages. */
export function nameFd(file: FdFacts): string {
	return `pid ${file.task.pid}: fd ${file.fd} (${showPath(file.link)})`;
}

/** A name behind its article; abbreviations are spelled. */
export function withArticle(name: string): string {
	return `${/^([aeio]|[AEFHILMNORSX](?![a-z]))/.test(name) ? "an" : "a"} ${name}`;
}

/** The refusal of one descriptor. `problem` goes on after its name. */
export function refuseFd(file: FdFacts, problem: string, remedy: string): CriuError {
	return new UnsupportedError("UNSUPPORTED_FILE", `${nameFd(file)} ${problem}`, { remedy });
}

/** A handle (O_PATH) shows nothing of the object and can't be made without it. */
export function findHandleBlockers(file: FdFacts): CriuError[] {
	if ((file.info.flags & fcntl.O_PATH) === 0) return [];
	return [refuseFd(file, "is only a handle (O_PATH) of that", "close it in the program first")];
}

/** Flags as images hold them. */
export function imageFlags(file: FdFacts): number {
	return (file.info.flags & ~fcntl.O_CLOEXEC) >>> 0;
}

/**
 * Checks the flags of an image. Gives O_NONBLOCK where it's among them. `own`: bits that mean something to this kind.
 *
 * @throws ImageError
 */
export function checkFlags(id: number, flags: number, own = 0): number {
	if ((flags & ~(KNOWN | own)) !== 0) throw corruptImage("files.img", `flags of file ${id} are 0${flags.toString(8)}`);
	return flags & fcntl.O_NONBLOCK;
}

/** Adds what sets flags after a file was made. `given`: those that it was made with. */
export function planFlags(program: Program, fd: OpRef, flags: number, given: number = fcntl.O_NONBLOCK): void {
	const wanted = flags & (SETTABLE | fcntl.O_NONBLOCK);
	if ((wanted & ~given) !== 0) program.syscall("set the flags of a file", SYS_fcntl, [fd, fcntl.F_SETFL, wanted]);
}

/** Signals of a file (O_ASYNC) are turned on when nothing of the restore can raise them any more. */
export function planSignals(program: Program, number: number, flags: number): void {
	if ((flags & O_ASYNC) === 0) return;
	const wanted = flags & (SETTABLE | fcntl.O_NONBLOCK | O_ASYNC);
	program.syscall("turn signals of a file on", SYS_fcntl, [number, fcntl.F_SETFL, wanted]);
}
