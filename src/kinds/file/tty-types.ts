// SPDX-License-Identifier: GPL-2.0-only
// Which sort of terminal a descriptor is an end of, and how images number it. Source: pty(7), tty(4), console(4), devices.txt.

import { CAP_SYS_ADMIN } from "../../kernel/abi/capability.ts";
import { fromUserDev, toUserDev } from "../../kernel/abi/devices.ts";
import { TCGETS, TIOCGDEV, TIOCGPTN } from "../../kernel/abi/ioctl.ts";
import { S_IFCHR, S_IFMT } from "../../kernel/abi/stat.ts";
import { SYS_ioctl } from "../../kernel/abi/syscalls.x86_64.ts";
import { readStatus } from "../../kernel/procfs/status.ts";
import type { FileStat } from "../../sys/file.ts";
import { syscall } from "../../sys/host.ts";
import type { DumpContext, FdFacts } from "../kind.ts";
import { collectFds } from "./open-files.ts";

export const PTS_MAJOR = 136;
const PTM_MAJOR = 128;
const PTM_LAST_MAJOR = 135;
const TTY_MAJOR = 4;
const TTYAUX_MAJOR = 5;
const FIRST_SERIAL = 64;
/** Majors of serial lines: on USB, low-density ones, those of hypervisors. */
const SERIAL_MAJORS = new Set([188, 204, 229]);
const EIO = 5;
/** The highest number of a pty that images can tell from other terminals. */
export const MAX_PTY = 1000;

/** `current` is /dev/tty, the controlling terminal of whoever opened it. */
export type TtyRole = "master" | "slave" | "current" | "console" | "virtual" | "serial";

/** The role of a device; undefined for what is no terminal that's known here. */
export function roleOf({ mode, rdevMajor: major, rdevMinor: minor }: FileStat): TtyRole | undefined {
	if ((mode & S_IFMT) !== S_IFCHR) return undefined;
	if (major === PTS_MAJOR) return "slave";
	if (major >= PTM_MAJOR && major <= PTM_LAST_MAJOR) return "master";
	if (major === TTY_MAJOR) return minor < FIRST_SERIAL ? "virtual" : "serial";
	if (SERIAL_MAJORS.has(major)) return "serial";
	if (major !== TTYAUX_MAJOR) return undefined;
	return ([undefined, "console", "master"] as const)[minor] ?? (minor === 0 ? "current" : undefined);
}

/** What an ioctl of a terminal stores as a 32-bit number; undefined when it fails. */
export function askNumber(fd: number, request: number): number | undefined {
	const value = new Int32Array(1);
	return syscall(SYS_ioctl, fd, request, value) < 0 ? undefined : value[0];
}

/** Number of the pty that a descriptor is an end of, also one of /dev/tty; undefined for other terminals and hung-up ones. */
export function ptyIndexOf({ stat, ownFd }: FdFacts): number | undefined {
	const role = roleOf(stat);
	if (role === "slave") return stat.rdevMinor;
	if (role === "master") return askNumber(ownFd, TIOCGPTN);
	if (role !== "current") return undefined;
	const { major, minor } = fromUserDev(BigInt((askNumber(ownFd, TIOCGDEV) ?? 0) >>> 0));
	return major === PTS_MAJOR ? minor : undefined;
}

/** True for a slave whose master is gone. */
export function isHungUp({ ownFd }: FdFacts): boolean {
	return syscall(SYS_ioctl, ownFd, TCGETS, new Uint8Array(64)) === -EIO;
}

/** A device as /proc/PID/stat and stat(2) write it. */
export function userDev(major: number, minor: number): number {
	return Number(toUserDev(major, minor));
}

/** A pty of which the tree has some end. */
export interface Pty {
	readonly index: number;
	/** Any descriptor of its master. */
	master: FdFacts | undefined;
	slave: FdFacts | undefined;
	/** All descriptors of masters, also of other devpts with a pty of the same number. */
	readonly masters: FdFacts[];
}

/** All ptys of the tree by their numbers. */
export function ptysOf(context: DumpContext): ReadonlyMap<number, Pty> {
	return context.once("ptys", () => {
		const ptys = new Map<number, Pty>();
		for (const task of context.tasks)
			for (const file of collectFds(task, context)) {
				const role = roleOf(file.stat);
				if (role !== "master" && role !== "slave") continue;
				const index = ptyIndexOf(file);
				if (index === undefined || (role === "slave" && isHungUp(file))) continue;
				const pty = ptys.get(index) ?? { index, master: undefined, slave: undefined, masters: [] };
				ptys.set(index, pty);
				if (role === "slave") pty.slave ??= file;
				else {
					pty.master ??= file;
					pty.masters.push(file);
				}
			}
		return ptys;
	});
}

/** True when we may put bytes into the queue of any terminal (TIOCSTI). */
export function mayFeedTerminals(context: Pick<DumpContext, "once">): boolean {
	return context.once("may-feed-terminals", () => ((readStatus("self").capEff >> BigInt(CAP_SYS_ADMIN)) & 1n) !== 0n);
}
