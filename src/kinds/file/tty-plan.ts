// SPDX-License-Identifier: GPL-2.0-only
// Terminals, restore half: descriptors of ptys that were made anew, of terminals that the caller gave, of devices by their
// names; and the sessions that terminals control. Images: files.img, tty-info.img. Source: ioctl_tty(2), credentials(7).

import type { OpRef, Program } from "../../agent/program.ts";
import { CriuError, UnsupportedError, UsageError } from "../../errors.ts";
import type { file_entry } from "../../images/gen/fdinfo_pb.ts";
import { TtyType, type tty_file_entry, type tty_info_entry } from "../../images/gen/tty_pb.ts";
import * as fcntl from "../../kernel/abi/fcntl.ts";
import { TCGETS, TCSETS, TIOCGPTPEER, TIOCPKT, TIOCSCTTY, TIOCSPGRP, TIOCSPTLCK } from "../../kernel/abi/ioctl.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { Termios } from "../../kernel/abi/termios.ts";
import { openAt, statFd } from "../../sys/file.ts";
import { mustSyscall, syscall } from "../../sys/host.ts";
import type { FileFinish, FilePlan, RestoreContext, TaskImage, TaskKind, TaskPlan } from "../kind.ts";
import { checkInner, corruptImage } from "./image-checks.ts";
import { findInherited, keepInherited, keyOfTty, planInherited } from "./inherit-fd.ts";
import { keptFilesOf, ownFdPath } from "./kept-files.ts";
import { getRegFile, planOpenReg, toOpenFlags } from "./reg-plan.ts";
import { decodeTermios, readInfos } from "./tty-info.ts";
import { getPty } from "./tty-pty.ts";
import { roleOf } from "./tty-types.ts";

const O_ASYNC = 0o20000;
const SETTABLE = fcntl.O_APPEND | fcntl.O_NONBLOCK | O_ASYNC;
const ADMIN = { EPERM: "run criu as root (CAP_SYS_ADMIN)" };

/** A copy of criu's own standard input, which has to be a terminal. @throws UsageError TTY_STDIN */
function copyStdin(): number {
	if (syscall(nr.SYS_ioctl, 0, TCGETS, new Uint8Array(Termios.size)) < 0)
		throw new UsageError("TTY_STDIN", "the dumped program had a terminal, but criu's standard input isn't one", {
			remedy: "start criu restore --shell-job from a terminal, without redirecting its input",
		});
	return mustSyscall("of standard input", nr.SYS_fcntl, 0, fcntl.F_DUPFD_CLOEXEC, 3);
}

/** Where the state of a terminal comes from. */
type Source = "made" | "given" | "shell" | "device" | "current";

function sourceOf(info: tty_info_entry, context: RestoreContext): Source {
	if (findInherited(keyOfTty(info), context.options) !== undefined) return "given";
	switch (info.type) {
		case TtyType.PTY: {
			const hasMaster = (info.id & 1) !== 0 || readInfos(context).has(info.id + 1);
			// A slave without settings was hung up: a new one will be, too.
			if (hasMaster || info.termios === undefined) return "made";
			return context.options.orphanPtsMaster ? "made" : "shell";
		}
		case TtyType.CTTY:
			return "current";
		case TtyType.CONSOLE:
		case TtyType.VT:
		case TtyType.SERIAL:
			return "device";
		case TtyType.EXT_TTY:
			throw new CriuError("NEEDS_INHERIT_FD", `terminal ${keyOfTty(info)} was external to the dump`, {
				remedy: `give a descriptor for it: --inherit-fd fd[N]:${keyOfTty(info)}`,
			});
		default:
			throw new UnsupportedError("UNSUPPORTED_TTY", `terminal ${info.id} of the images is of type ${info.type}`, {
				remedy: "restore these images with the original criu",
			});
	}
}

function passShellTerminal(plan: TaskPlan, context: RestoreContext): number {
	if (!context.options.shellJob)
		throw new CriuError("TTY_OUTSIDE", "the dumped program had a terminal of a shell", { remedy: "use --shell-job" });
	return keptFilesOf(plan).pass("terminal", copyStdin);
}

function indexOf(info: tty_info_entry): number {
	const index = info.pty?.index ?? 0;
	if (info.id >>> 1 !== index) throw corruptImage("tty-info.img", `terminal ${info.id} is pty ${index}`);
	return index;
}

/** How descriptors of a terminal are opened again. */
function openFlags(tty: tty_file_entry): number {
	return toOpenFlags(tty.flags) & ~fcntl.O_NOFOLLOW;
}

function nameOf(tty: tty_file_entry, context: RestoreContext): Uint8Array {
	return getRegFile(tty.regfId, context.files.get(tty.regfId)).name;
}

/** Opens a path that needs no checks: it leads to a terminal that was made for this, or that the task controls. */
function openPath(program: Program, what: string, path: Uint8Array, flags: number): OpRef {
	return program.syscall(what, nr.SYS_openat, [fcntl.AT_FDCWD, path, flags, 0], {
		remedies: {
			ENXIO: "the program's session has no terminal here: use --shell-job, or restore with the whole session",
		},
	});
}

function planMade(tty: tty_file_entry, info: tty_info_entry, { program, plan, context }: FilePlan): OpRef {
	const index = indexOf(info);
	const pty = getPty(index, plan, context);
	const flags = openFlags(tty);
	const master = pty.master(plan);
	if ((info.id & 1) !== 0) {
		const fd = program.syscall(`take the master of terminal ${index}`, nr.SYS_fcntl, [master, fcntl.F_DUPFD, 0]);
		program.syscall("set its flags", nr.SYS_fcntl, [fd, fcntl.F_SETFL, flags & SETTABLE]);
		return fd;
	}
	const name = nameOf(tty, context);
	const what = `open terminal ${index}`;
	const fd = pty.isOwnName(name)
		? program.syscall(what, nr.SYS_ioctl, [master, TIOCGPTPEER, flags], { remedies: ADMIN })
		: openPath(program, what, Buffer.concat([name, Buffer.of(0)]), flags);
	if ((flags & O_ASYNC) !== 0) program.syscall("set its flags", nr.SYS_fcntl, [fd, fcntl.F_SETFL, flags & SETTABLE]);
	return fd;
}

/** A terminal that the caller gave, by --inherit-fd. A master can't be opened again. */
function planGiven(tty: tty_file_entry, info: tty_info_entry, { program, plan, context }: FilePlan): OpRef {
	const key = keyOfTty(info);
	const given = findInherited(key, context.options);
	const number = given === undefined ? undefined : keepInherited(given, plan);
	const shared = () => planInherited(program, key, context.options, plan);
	const isMaster = given === undefined || roleOf(statFd(given.fd)) === "master";
	const fd =
		number === undefined || isMaster
			? shared()
			: openPath(program, `open the given ${key}`, ownFdPath(number), openFlags(tty));
	if (fd === undefined) throw corruptImage("tty-info.img", `${key} vanished`);
	return fd;
}

/** The terminal of the shell from which criu was started, or one that was given, gets the settings of the old one. */
function adoptSettings(info: tty_info_entry, fd: OpRef, { program, plan, image }: FilePlan): void {
	keptFilesOf(plan).once(`terminal ${info.id}`, () => {
		if (info.termios !== undefined)
			program.syscall("set the terminal's modes", nr.SYS_ioctl, [fd, TCSETS, decodeTermios(info.termios)]);
		const { pgid, pid, sid } = image.pstree;
		if (info.pgrp === pgid && pgid === pid && sid !== pid) planForeground(program, fd, info.pgrp);
		return 0;
	});
}

function planForeground(program: Program, fd: OpRef | number, pgrp: number): void {
	const group = new Uint8Array(Int32Array.of(pgrp).buffer);
	// It may have ended before the dump, or have no terminal here.
	program.syscall(`bring group ${pgrp} to the foreground`, nr.SYS_ioctl, [fd, TIOCSPGRP, group], { check: "any" });
}

/** /dev/tty: leads to the terminal of the session that opens it. */
function planCurrent(tty: tty_file_entry, info: tty_info_entry, { program, context, image }: FilePlan): OpRef {
	const { sid } = image.pstree;
	if (info.sid !== 0 && info.sid !== sid && !context.options.shellJob)
		throw new UnsupportedError(
			"UNSUPPORTED_TTY",
			`pid ${image.tid} has the terminal of session ${info.sid} open as /dev/tty, but is in session ${sid}`,
			{ remedy: "restore these images with the original criu" },
		);
	const path = Buffer.concat([nameOf(tty, context), Buffer.of(0)]);
	return openPath(program, "open the controlling terminal", path, openFlags(tty));
}

/** A virtual console or serial line: opening one may wait for its partner. */
function planDevice(tty: tty_file_entry, { program, plan, context }: FilePlan): OpRef {
	const flags = openFlags(tty);
	const fd = planOpenReg(program, tty.regfId, flags | fcntl.O_NONBLOCK, plan, context);
	program.syscall("set its flags", nr.SYS_fcntl, [fd, fcntl.F_SETFL, flags & SETTABLE]);
	return fd;
}

function getInfo(tty: tty_file_entry, context: RestoreContext): tty_info_entry {
	const info = readInfos(context).get(tty.ttyInfoId);
	if (info === undefined) throw corruptImage("tty-info.img", `no terminal has id ${tty.ttyInfoId}`);
	return info;
}

/** Adds what opens a terminal. @throws ImageError, CriuError, UnsupportedError */
export function planTty(entry: file_entry, file: FilePlan): OpRef {
	const { program, plan, context } = file;
	const tty = checkInner(entry.id, "terminal", entry.tty);
	const info = getInfo(tty, context);
	switch (sourceOf(info, context)) {
		case "made":
			return planMade(tty, info, file);
		case "device":
			return planDevice(tty, file);
		case "current":
			return planCurrent(tty, info, file);
		case "given": {
			const fd = planGiven(tty, info, file);
			adoptSettings(info, fd, file);
			return fd;
		}
		case "shell": {
			const number = passShellTerminal(plan, context);
			const fd = openPath(program, "open the terminal", ownFdPath(number), openFlags(tty));
			adoptSettings(info, fd, file);
			return fd;
		}
	}
}

/** What a master gets when all slaves are open: what would be in their way. */
export function finishTty(entry: file_entry, { program, number, context }: FileFinish): void {
	const info = entry.tty === undefined ? undefined : readInfos(context).get(entry.tty.ttyInfoId);
	if (info === undefined || info.type !== TtyType.PTY || (info.id & 1) === 0) return;
	const on = new Uint8Array(Int32Array.of(1).buffer);
	if (info.packetMode) program.syscall("turn packet mode on", nr.SYS_ioctl, [number, TIOCPKT, on]);
	if (info.locked) program.syscall("lock the terminal", nr.SYS_ioctl, [number, TIOCSPTLCK, on]);
}

/** The descriptor by which the leader of a session takes its terminal; undefined when that's gone. */
function passControlling(info: tty_info_entry, plan: TaskPlan, context: RestoreContext): number | undefined {
	switch (sourceOf(info, context)) {
		case "made":
			return getPty(indexOf(info), plan, context).slave(plan);
		case "given": {
			const given = findInherited(keyOfTty(info), context.options);
			return given === undefined ? undefined : keepInherited(given, plan);
		}
		case "shell":
			return passShellTerminal(plan, context);
		case "device": {
			const entry = [...context.files.values()].find(({ tty }) => tty?.ttyInfoId === info.id);
			if (entry?.tty === undefined) return undefined;
			const path = nameOf(entry.tty, context);
			const flags = fcntl.O_RDWR | fcntl.O_NOCTTY | fcntl.O_NONBLOCK;
			return keptFilesOf(plan).pass(`terminal ${info.id}`, () => openAt(path, flags));
		}
		case "current":
			return undefined;
	}
}

/** The terminal that a session has, by the number of the session. Of a pty both ends tell, of which the slave comes first. */
function controllersOf(context: RestoreContext): ReadonlyMap<number, tty_info_entry> {
	return context.once("controlling-terminals", () => {
		const found = new Map<number, tty_info_entry>();
		if (![...context.files.values()].some(({ tty }) => tty !== undefined)) return found;
		for (const info of readInfos(context).values())
			if (info.sid !== 0 && info.type !== TtyType.CTTY && ((info.id & 1) === 0 || !found.has(info.sid)))
				found.set(info.sid, info);
		return found;
	});
}

function planControlling(image: TaskImage, plan: TaskPlan, context: RestoreContext): void {
	const { sid } = image.pstree;
	if (sid !== image.tid) return;
	const info = controllersOf(context).get(sid);
	const number = info === undefined ? undefined : passControlling(info, plan, context);
	if (info === undefined || number === undefined) return;
	// Even from the session that gives it.
	plan.session.syscall(`take terminal ${info.id} for the session`, nr.SYS_ioctl, [number, TIOCSCTTY, 1], {
		remedies: ADMIN,
	});
	if (info.pgrp !== 0) planForeground(plan.programs.files, number, info.pgrp);
}

/** The terminal that controls a session: its leader takes it before it makes children. */
export const controllingTerminal: TaskKind = { name: "controlling terminal", plan: planControlling };
