// SPDX-License-Identifier: GPL-2.0-only
// Terminals whose other end is outside of the dumped tree: with --shell-job the restored task gets criu's own.
// Images: files.img (tty_file_entry and the reg_file_entry of its name), tty-info.img. Source: ioctl_tty(2), pty(7).

import type { OpRef } from "../../agent/program.ts";
import { CriuError, UnsupportedError, UsageError } from "../../errors.ts";
import { fd_types, type file_entry, file_entrySchema } from "../../images/gen/fdinfo_pb.ts";
import {
	TtyType,
	type termios_entry,
	termios_entrySchema,
	tty_file_entrySchema,
	type tty_info_entry,
	tty_info_entrySchema,
	tty_pty_entrySchema,
	winsize_entrySchema,
} from "../../images/gen/tty_pb.ts";
import { create, KINDS } from "../../images/index.ts";
import { toUserDev } from "../../kernel/abi/devices.ts";
import { AT_FDCWD, F_DUPFD_CLOEXEC, O_CLOEXEC, O_NOCTTY } from "../../kernel/abi/fcntl.ts";
import { TCGETS, TCSETS, TIOCGEXCL, TIOCGLCKTRMIOS, TIOCGWINSZ, TIOCSCTTY, TIOCSPGRP } from "../../kernel/abi/ioctl.ts";
import { S_IFCHR, S_IFMT } from "../../kernel/abi/stat.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { showPath } from "../../sys/file.ts";
import { mustSyscall, syscall } from "../../sys/host.ts";
import type { DumpContext, FdFacts, FileKind, FilePlan, RestoreContext, TaskPlan } from "../kind.ts";
import { checkInner, corruptImage } from "./image-checks.ts";
import { keyOfTty, planInherited } from "./inherit-fd.ts";
import { keptFilesOf, ownFdPath } from "./kept-files.ts";
import { encodeRegFile } from "./reg-dump.ts";

const PTS_MAJOR = 136;
const PTS_LAST_MAJOR = 143;
/** Majors of terminals: virtual and serial ones, /dev/tty and its like, ptys. */
const TTY_MAJORS = new Set([4, 5, 188, 204, 229]);
const MAX_INDEX = 1000;
/** `struct termios` of the kernel: four words, c_line, 19 control characters. */
const TERMIOS_SIZE = 36;
const CC_AT = 17;
const CC_COUNT = 19;
const SHELL_JOB = "use --shell-job at dump and restore, or start the program with its standard streams redirected";

function isPtySlave({ stat }: FdFacts): boolean {
	return stat.rdevMajor >= PTS_MAJOR && stat.rdevMajor <= PTS_LAST_MAJOR;
}

function matches(file: FdFacts): boolean {
	if ((file.stat.mode & S_IFMT) !== S_IFCHR) return false;
	return isPtySlave(file) || TTY_MAJORS.has(file.stat.rdevMajor);
}

function findTtyBlockers(file: FdFacts, context: DumpContext): CriuError[] {
	const object = `pid ${file.task.pid}: fd ${file.fd} (${showPath(file.link)})`;
	if (!isPtySlave(file) || file.stat.rdevMajor !== PTS_MAJOR || file.stat.rdevMinor > MAX_INDEX)
		return [
			new UnsupportedError("UNSUPPORTED_TTY", `${object} is a terminal that this version doesn't dump`, {
				remedy: "close it in the program first, or use the original criu",
			}),
		];
	if (context.options.shellJob) return [];
	return [
		new UsageError("TTY_OUTSIDE", `${object} is a terminal whose other end is outside of the dumped tree`, {
			remedy: SHELL_JOB,
		}),
	];
}

/** Control characters lie four to a word, as CRIU stores them. */
function encodeTermios(bytes: Uint8Array): termios_entry {
	const view = new DataView(bytes.buffer, bytes.byteOffset);
	const cc = new Uint8Array(4 * CC_COUNT);
	cc.set(bytes.subarray(CC_AT, CC_AT + CC_COUNT));
	return create(termios_entrySchema, {
		cIflag: view.getUint32(0, true),
		cOflag: view.getUint32(4, true),
		cCflag: view.getUint32(8, true),
		cLflag: view.getUint32(12, true),
		cLine: bytes[16] ?? 0,
		cIspeed: 0,
		cOspeed: 0,
		cCc: [...new Uint32Array(cc.buffer)],
	});
}

function decodeTermios(entry: termios_entry): Uint8Array {
	if (entry.cCc.length < CC_COUNT) throw corruptImage("tty-info.img", `c_cc has ${entry.cCc.length} elements`);
	const bytes = new Uint8Array(TERMIOS_SIZE);
	const view = new DataView(bytes.buffer);
	view.setUint32(0, entry.cIflag, true);
	view.setUint32(4, entry.cOflag, true);
	view.setUint32(8, entry.cCflag, true);
	view.setUint32(12, entry.cLflag, true);
	bytes[16] = entry.cLine & 0xff;
	bytes.set(new Uint8Array(Uint32Array.from(entry.cCc).buffer).subarray(0, CC_COUNT), CC_AT);
	return bytes;
}

function readInfo(file: FdFacts): tty_info_entry {
	const { stat, ownFd, task } = file;
	const index = stat.rdevMinor;
	const ask = (request: number, size: number) => {
		const bytes = new Uint8Array(size);
		mustSyscall(`of ${showPath(file.link)}`, nr.SYS_ioctl, ownFd, request, bytes);
		return bytes;
	};
	const size = new DataView(ask(TIOCGWINSZ, 8).buffer);
	const isControlling = task.stat.ttyNr === Number(toUserDev(stat.rdevMajor, stat.rdevMinor));
	return create(tty_info_entrySchema, {
		id: index << 1,
		type: TtyType.PTY,
		locked: false,
		exclusive: new DataView(ask(TIOCGEXCL, 4).buffer).getInt32(0, true) !== 0,
		packetMode: false,
		sid: isControlling ? (task.status.nsSid.at(-1) ?? task.stat.session) : 0,
		pgrp: isControlling && task.stat.tpgid > 0 ? task.stat.tpgid : 0,
		rdev: Number(toUserDev(stat.rdevMajor, stat.rdevMinor)),
		dev: Number(toUserDev(stat.devMajor, stat.devMinor)),
		uid: stat.uid,
		gid: stat.gid,
		termios: encodeTermios(ask(TCGETS, TERMIOS_SIZE)),
		termiosLocked: encodeTermios(ask(TIOCGLCKTRMIOS, TERMIOS_SIZE)),
		winsize: create(winsize_entrySchema, {
			wsRow: size.getUint16(0, true),
			wsCol: size.getUint16(2, true),
			wsXpixel: size.getUint16(4, true),
			wsYpixel: size.getUint16(6, true),
		}),
		pty: create(tty_pty_entrySchema, { index }),
	});
}

function dumpTty(file: FdFacts, id: number, context: DumpContext): file_entry {
	const infos = context.once("tty-info", () => {
		const list: tty_info_entry[] = [];
		context.files.atEnd((dir) => dir.writeEntries(KINDS.TTY_INFO, undefined, list));
		return { list };
	});
	const info = context.once(`tty:${file.stat.rdevMinor}`, () => {
		const made = readInfo(file);
		infos.list.push(made);
		return made;
	});
	const regfId = context.files.newId();
	const { task, link, stat, ownFd } = file;
	const state = { flags: file.info.flags, pos: 0n, fown: file.fown };
	context.files.add(encodeRegFile({ task, link, stat, ownFd }, state, regfId, context));
	return create(file_entrySchema, {
		type: fd_types.TTY,
		id,
		tty: create(tty_file_entrySchema, {
			id,
			ttyInfoId: info.id,
			flags: (file.info.flags & ~O_CLOEXEC) >>> 0,
			fown: file.fown,
			regfId,
		}),
	});
}

function readInfos(context: RestoreContext): Map<number, tty_info_entry> {
	return context.once(
		"tty-infos",
		() => new Map(context.dir.readEntries(KINDS.TTY_INFO).map((info) => [info.id, info])),
	);
}

/** A copy of criu's own standard input, which has to be a terminal. @throws UsageError TTY_STDIN */
function copyStdin(): number {
	if (syscall(nr.SYS_ioctl, 0, TCGETS, new Uint8Array(TERMIOS_SIZE)) < 0)
		throw new UsageError("TTY_STDIN", "the dumped program had a terminal, but criu's standard input isn't one", {
			remedy: "start criu restore --shell-job from a terminal, without redirecting its input",
		});
	return mustSyscall("of standard input", nr.SYS_fcntl, 0, F_DUPFD_CLOEXEC, 3);
}

/** The leader of a session takes the terminal that the session had, even from the session that gives it. */
function planControlling(info: tty_info_entry, number: number, plan: TaskPlan): void {
	if (plan.session.ops.length > 0) return;
	plan.session.syscall(`take terminal ${info.id} for the session`, nr.SYS_ioctl, [number, TIOCSCTTY, 1], {
		remedies: { EPERM: "run criu as root (CAP_SYS_ADMIN)" },
	});
}

function planTty(entry: file_entry, file: FilePlan): OpRef {
	const { program, plan, context, image } = file;
	const tty = checkInner(entry.id, "terminal", entry.tty);
	const info = readInfos(context).get(tty.ttyInfoId);
	if (info === undefined) throw corruptImage("tty-info.img", `no terminal has id ${tty.ttyInfoId}`);
	const inherited = planInherited(program, keyOfTty(info), context.options, plan);
	if (inherited !== undefined) return inherited;
	if (info.type !== TtyType.PTY || (info.id & 1) !== 0)
		throw new UnsupportedError(
			"UNSUPPORTED_TTY",
			`terminal ${info.id} of the images isn't a pty's slave: this version doesn't restore it`,
			{
				remedy: "restore these images with the original criu",
			},
		);
	if (!context.options.shellJob)
		throw new CriuError("TTY_OUTSIDE", "the dumped program had a terminal of a shell", { remedy: "use --shell-job" });
	const kept = keptFilesOf(plan);
	const number = kept.pass("terminal", copyStdin);
	const flags = (tty.flags & ~O_CLOEXEC) | O_NOCTTY;
	const fd = program.syscall("open the terminal", nr.SYS_openat, [AT_FDCWD, ownFdPath(number), flags, 0]);
	if (info.sid === image.tid) planControlling(info, number, plan);
	kept.once(`terminal ${info.id}`, () => {
		if (info.termios !== undefined)
			program.syscall("set the terminal's modes", nr.SYS_ioctl, [fd, TCSETS, decodeTermios(info.termios)]);
		const { pgid, pid, sid } = image.pstree;
		const leads = sid === pid && info.sid === sid;
		if (leads || (info.pgrp === pgid && pgid === pid))
			program.syscall(
				`bring group ${info.pgrp} to the foreground`,
				nr.SYS_ioctl,
				[fd, TIOCSPGRP, new Uint8Array(Int32Array.of(info.pgrp).buffer)],
				// It may have ended before the dump, or have no terminal here.
				{ check: "any" },
			);
		return number;
	});
	return fd;
}

/** Slaves of ptys that a terminal emulator or ssh holds. */
export const tty: FileKind = {
	name: "terminal",
	type: fd_types.TTY,
	source: "ioctl_tty(2), /proc/PID/stat",
	matches,
	findBlockers: findTtyBlockers,
	dump: dumpTty,
	plan: planTty,
};
