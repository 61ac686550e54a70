// SPDX-License-Identifier: GPL-2.0-only
// Terminals, dump half. A pty both of whose ends are in the tree is dumped with what waits in it; one whose master is outside
// only for --shell-job or as --external. Images: files.img (tty_file_entry and the reg_file_entry of its name), tty-info.img,
// tty-data.img. Source: ioctl_tty(2), pty(7).

import { type CriuError, UnsupportedError, UsageError } from "../../errors.ts";
import { fd_types, type file_entry, file_entrySchema } from "../../images/gen/fdinfo_pb.ts";
import { reg_file_entrySchema } from "../../images/gen/file_pb.ts";
import { type tty_data_entry, tty_file_entrySchema, type tty_info_entry } from "../../images/gen/tty_pb.ts";
import { create, KINDS } from "../../images/index.ts";
import { EPOLLHUP, EPOLLIN, EPOLLPRI } from "../../kernel/abi/event-files.ts";
import { O_CLOEXEC, O_NOCTTY, O_RDWR } from "../../kernel/abi/fcntl.ts";
import { TIOCGETD, TIOCGPTPEER } from "../../kernel/abi/ioctl.ts";
import { SYS_ioctl } from "../../kernel/abi/syscalls.x86_64.ts";
import { N_TTY } from "../../kernel/abi/termios.ts";
import { readProcFile } from "../../kernel/procfs/reader.ts";
import { closeFd } from "../../sys/file.ts";
import { syscall } from "../../sys/host.ts";
import type { DumpContext, FdFacts } from "../kind.ts";
import { isExternal } from "./external.ts";
import { readPoll } from "./open-files.ts";
import { findHolders, showHolders } from "./outside-holders.ts";
import { findPathBlockers } from "./path-blockers.ts";
import { encodeRegFile } from "./reg-dump.ts";
import { findControl, nameTty, readInfo, slaveDev } from "./tty-info.ts";
import { encodeData, isStopped, mayHoldData, peekQueue, type TtyData } from "./tty-queue.ts";
import {
	askNumber,
	isHungUp,
	MAX_PTY,
	mayFeedTerminals,
	type Pty,
	ptyIndexOf,
	ptysOf,
	roleOf,
	type TtyRole,
	userDev,
} from "./tty-types.ts";

const CLOSE = "close it in the program first";
const DELETED = " (deleted)";
/** Numbers of terminals that are no pty, as CRIU has them; more of one role get others from the last one on. */
const ROLE_INDEX = { current: 1006, console: 1002, virtual: 1004, serial: 1010, external: 1013 } as const;
const FIRST_OTHER_INDEX = 2000;

/** The key of a terminal for --external and --inherit-fd: device of the terminal and of the file system it lies on. */
export function keyOfTtyFile({ stat }: FdFacts): string {
	const rdev = userDev(stat.rdevMajor, stat.rdevMinor);
	return `tty[${rdev.toString(16)}:${userDev(stat.devMajor, stat.devMinor).toString(16)}]`;
}

function refuse(file: FdFacts, problem: string, remedy: string): CriuError[] {
	return [new UnsupportedError("UNSUPPORTED_TTY", `${nameTty(file)} ${problem}`, { remedy })];
}

/** Who outside of the tree has the master of a pty. */
function showMasterHolders(index: number, context: DumpContext): string {
	const form = new RegExp(`^tty-index:\\s*${index}$`, "m");
	const decoder = new TextDecoder();
	const isMaster = (link: Uint8Array, pid: number, fd: number) =>
		decoder.decode(link).endsWith("ptmx") && form.test(decoder.decode(readProcFile(`/proc/${pid}/fdinfo/${fd}`)));
	return showHolders(findHolders(isMaster, context));
}

/** The one pty outside of the tree that --shell-job stands for: the root's, or that which is met first. */
function isOfShellJob(index: number, context: DumpContext): boolean {
	if (!context.options.shellJob) return false;
	const job = context.once("job-terminal", () => {
		const own = context.tasks[0]?.stat.ttyNr ?? 0;
		return own === 0 ? slaveDev(index) : own;
	});
	return job === slaveDev(index);
}

function findOutsideBlockers(file: FdFacts, index: number, context: DumpContext): CriuError[] {
	if (context.options.orphanPtsMaster || isOfShellJob(index, context)) return [];
	const holders = context.once(`master-holders:${index}`, () => showMasterHolders(index, context));
	const key = keyOfTtyFile(file);
	const external = `--external ${key} at dump and --inherit-fd fd[N]:${key} at restore`;
	const second = context.options.shellJob ? ", and not the one that --shell-job stands for" : "";
	return [
		new UsageError(
			"TTY_OUTSIDE",
			`${nameTty(file)} is a terminal whose other end is outside of the dumped tree: ${holders} has it${second}`,
			{
				remedy: context.options.shellJob
					? `use ${external}`
					: `use --shell-job at dump and restore, or ${external}, or start the program with its standard streams redirected`,
			},
		),
	];
}

function findMasterBlockers(file: FdFacts, pty: Pty, context: DumpContext): CriuError[] {
	const devices = new Set(pty.masters.map(({ link, stat }) => `${link}:${stat.devMajor}:${stat.devMinor}`));
	if (devices.size > 1) return refuse(file, "has the number of another terminal of the tree, in another devpts", CLOSE);
	const { outside } = findControl(slaveDev(pty.index), file.ownFd, context);
	if (outside !== 0)
		return refuse(
			file,
			`is the terminal of session ${outside}, whose leader isn't in the dumped tree`,
			`dump a tree that has pid ${outside} in it, or end that session`,
		);
	const ready = readPoll(file.ownFd, EPOLLIN | EPOLLPRI);
	if ((ready & EPOLLPRI) !== 0 && (ready & EPOLLIN) !== 0)
		return refuse(file, "has a control packet (TIOCPKT) that wasn't read yet", "let the program read it first");
	const holds = mayHoldData(file.ownFd, true) || (pty.slave !== undefined && mayHoldData(pty.slave.ownFd, false));
	if (holds && !mayFeedTerminals(context))
		return refuse(file, "may hold data that can't be looked at", "run criu with CAP_SYS_ADMIN");
	return [];
}

/** What stands against the dump of a terminal. */
export function findTtyBlockers(file: FdFacts, context: DumpContext): CriuError[] {
	const role = roleOf(file.stat);
	if (isExternal(keyOfTtyFile(file), context)) return [];
	if (role === undefined) return refuse(file, "is a terminal of an unknown kind", CLOSE);
	const what = `fd ${file.fd}`;
	const names = { task: file.task, link: file.link, stat: file.stat, ownFd: file.ownFd, mntId: file.info.mntId };
	if (role !== "master" && isHungUp(file))
		return role === "slave" ? [] : refuse(file, "is the controlling terminal by name, and was hung up", CLOSE);
	const discipline = askNumber(file.ownFd, TIOCGETD);
	if (discipline !== N_TTY) return refuse(file, `has line discipline ${discipline}, not that of terminals`, CLOSE);
	if (role === "console" || role === "virtual" || role === "serial") return findPathBlockers(names, what, context);
	const index = ptyIndexOf(file);
	if (index === undefined || index > MAX_PTY) return refuse(file, "has a number that images can't hold", CLOSE);
	const pty = ptysOf(context).get(index);
	if (role === "master")
		return pty === undefined
			? []
			: [...findPathBlockers(names, what, context), ...findMasterBlockers(file, pty, context)];
	if (role === "current" && file.task.stat.ttyNr !== slaveDev(index))
		return refuse(file, "is the terminal of another session, opened as /dev/tty", CLOSE);
	return pty?.master === undefined ? findOutsideBlockers(file, index, context) : [];
}

/** The id of a terminal's entry in tty-info.img; the same for all descriptors of one end. */
function infoIdOf(file: FdFacts, role: TtyRole | "external", index: number | undefined, context: DumpContext): number {
	if ((role === "master" || role === "slave") && index !== undefined) return index * 2 + (role === "master" ? 1 : 0);
	const name = role === "current" ? file.task.stat.session : `${file.stat.rdevMajor}:${file.stat.rdevMinor}`;
	return context.once(`tty-id:${role}:${name}`, () => {
		const used = context.once("tty-ids", () => new Set<number>());
		let id = role === "master" || role === "slave" ? FIRST_OTHER_INDEX : ROLE_INDEX[role];
		while (used.has(id)) id = role === "external" || id >= FIRST_OTHER_INDEX ? id + 1 : FIRST_OTHER_INDEX;
		used.add(id);
		return id * 2;
	});
}

function addInfo(info: tty_info_entry, context: DumpContext): void {
	const infos = context.once("tty-info", () => {
		const list: tty_info_entry[] = [];
		context.files.atEnd((dir) => dir.writeEntries(KINDS.TTY_INFO, undefined, list));
		return list;
	});
	infos.push(info);
}

function addData(ttyId: number, data: TtyData, context: DumpContext): void {
	if (data.data.length === 0 && data.lines.length === 0) return;
	const list = context.once("tty-data", () => {
		const entries: tty_data_entry[] = [];
		context.files.atEnd((dir) => dir.writeEntries(KINDS.TTY_DATA, undefined, entries));
		return entries;
	});
	list.push(encodeData(ttyId, data));
}

/** A slave descriptor of ours for a pty that has none in the tree but had one: opening it leaves no trace then. */
function openClosedSlave(master: number): number | undefined {
	if ((readPoll(master, 0) & EPOLLHUP) === 0) return undefined;
	const fd = syscall(SYS_ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? undefined : fd;
}

/** What waits in both directions of a pty that's in the tree as a whole. */
function dumpQueues({ index, master, slave }: Pty, context: DumpContext): { stopped: boolean; closed: boolean } {
	if (master === undefined) return { stopped: false, closed: false };
	const opened = slave === undefined ? openClosedSlave(master.ownFd) : undefined;
	const slaveFd = slave?.ownFd ?? opened;
	try {
		// Never opened: nothing was printed, and opening it would leave a trace.
		if (slaveFd === undefined) return { stopped: false, closed: false };
		const printed = mayHoldData(master.ownFd, true) ? peekQueue(master.ownFd, slaveFd, true) : undefined;
		if (printed !== undefined) addData(index * 2 + 1, printed, context);
		if (mayHoldData(slaveFd, false)) addData(index * 2, peekQueue(slaveFd, master.ownFd, false), context);
		return { stopped: printed?.stopped ?? isStopped(slaveFd), closed: opened !== undefined };
	} finally {
		if (opened !== undefined) closeFd(opened);
	}
}

/** Adds the entry of a terminal's end, once. */
function dumpInfo(file: FdFacts, role: TtyRole | "external", hungUp: boolean, context: DumpContext): number {
	const index = ptyIndexOf(file);
	const id = infoIdOf(file, role, index, context);
	context.once(`tty:${id}`, () => {
		const pty = index === undefined ? undefined : ptysOf(context).get(index);
		const dev = index === undefined ? userDev(file.stat.rdevMajor, file.stat.rdevMinor) : slaveDev(index);
		const control = hungUp ? { sid: 0, pgrp: 0, outside: 0 } : findControl(dev, pty?.master?.ownFd, context);
		const info = readInfo(file, id, role, index, control, hungUp);
		if (pty?.master !== undefined && !hungUp) {
			const { stopped, closed } = context.once(`tty-queues:${index}`, () => dumpQueues(pty, context));
			if (stopped) info.stopped = true;
			if (closed && role === "master") info.closed = true;
		}
		addInfo(info, context);
		return true;
	});
	return id;
}

/** The entry of a terminal's name. A slave that was hung up has none any more, and needs none. */
function dumpName(file: FdFacts, hungUp: boolean, context: DumpContext): number {
	const id = context.files.newId();
	const { task, link, stat, ownFd, info, fown } = file;
	const state = { flags: info.flags, pos: 0n, fown };
	if (!hungUp) {
		context.files.add(encodeRegFile({ task, link, stat, ownFd, mntId: info.mntId }, state, id, context));
		return id;
	}
	const text = Buffer.from(link).toString("latin1");
	const name = text.endsWith(DELETED) ? link.subarray(0, -DELETED.length) : link;
	const flags = (info.flags & ~O_CLOEXEC) >>> 0;
	const reg = create(reg_file_entrySchema, { id, flags, pos: 0n, fown, name, mode: stat.mode });
	context.files.add(create(file_entrySchema, { type: fd_types.REG, id, reg }));
	return id;
}

/** Dumps a descriptor of a terminal. @throws KernelError */
export function dumpTty(file: FdFacts, id: number, context: DumpContext): file_entry {
	const external = isExternal(keyOfTtyFile(file), context);
	const role = external ? "external" : (roleOf(file.stat) ?? "slave");
	const hungUp = role !== "master" && isHungUp(file);
	const ttyInfoId = dumpInfo(file, role, hungUp, context);
	return create(file_entrySchema, {
		type: fd_types.TTY,
		id,
		tty: create(tty_file_entrySchema, {
			id,
			ttyInfoId,
			flags: (file.info.flags & ~O_CLOEXEC) >>> 0,
			fown: file.fown,
			...(external ? {} : { regfId: dumpName(file, hungUp, context) }),
		}),
	});
}
