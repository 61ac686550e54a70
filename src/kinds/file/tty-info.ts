// SPDX-License-Identifier: GPL-2.0-only
// A terminal's state as messages. Images: tty-info.img (tty_info_entry), one for each end of a pty.
// Source: ioctl_tty(2), termios(3).

import {
	TtyType,
	type termios_entry,
	termios_entrySchema,
	type tty_info_entry,
	tty_info_entrySchema,
	tty_pty_entrySchema,
	type winsize_entry,
	winsize_entrySchema,
} from "../../images/gen/tty_pb.ts";
import { create, KINDS } from "../../images/index.ts";
import {
	TCGETS,
	TIOCGEXCL,
	TIOCGLCKTRMIOS,
	TIOCGPKT,
	TIOCGPTLCK,
	TIOCGSID,
	TIOCGWINSZ,
} from "../../kernel/abi/ioctl.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { SYS_ioctl } from "../../kernel/abi/syscalls.x86_64.ts";
import { NCCS, Termios, Winsize } from "../../kernel/abi/termios.ts";
import { showPath } from "../../sys/file.ts";
import { mustSyscall } from "../../sys/host.ts";
import type { DumpContext, DumpedTask, FdFacts, RestoreContext } from "../kind.ts";
import { corruptImage } from "./image-checks.ts";
import { askNumber, PTS_MAJOR, type TtyRole, userDev } from "./tty-types.ts";

const TYPES: Readonly<Record<TtyRole, TtyType>> = {
	master: TtyType.PTY,
	slave: TtyType.PTY,
	current: TtyType.CTTY,
	console: TtyType.CONSOLE,
	virtual: TtyType.VT,
	serial: TtyType.SERIAL,
};

/** Control characters lie four to a word, as CRIU stores them. */
export function encodeTermios(bytes: Uint8Array): termios_entry {
	const { c_iflag, c_oflag, c_cflag, c_lflag, c_line, c_cc } = Termios.read(viewOf(bytes));
	const cc = new Uint8Array(4 * NCCS);
	cc.set(c_cc);
	return create(termios_entrySchema, {
		cIflag: c_iflag,
		cOflag: c_oflag,
		cCflag: c_cflag,
		cLflag: c_lflag,
		cLine: c_line,
		cIspeed: 0,
		cOspeed: 0,
		cCc: [...new Uint32Array(cc.buffer)],
	});
}

/** `struct termios` of TCSETS. @throws ImageError */
export function decodeTermios(entry: termios_entry): Uint8Array {
	if (entry.cCc.length < NCCS) throw corruptImage("tty-info.img", `c_cc has ${entry.cCc.length} elements`);
	return Termios.encode({
		c_iflag: entry.cIflag,
		c_oflag: entry.cOflag,
		c_cflag: entry.cCflag,
		c_lflag: entry.cLflag,
		c_line: entry.cLine & 0xff,
		c_cc: new Uint8Array(Uint32Array.from(entry.cCc).buffer).slice(0, NCCS),
	});
}

/** `struct winsize` of TIOCSWINSZ. */
export function decodeWinsize({ wsRow, wsCol, wsXpixel, wsYpixel }: winsize_entry): Uint8Array {
	const [ws_row, ws_col, ws_xpixel, ws_ypixel] = [wsRow, wsCol, wsXpixel, wsYpixel].map((n) => n & 0xffff);
	return Winsize.encode({ ws_row, ws_col, ws_xpixel, ws_ypixel } as Winsize);
}

/** The settings of a terminal, through any end of it. @throws KernelError */
export function readSettings(fd: number, request: number, size: number): Uint8Array {
	const bytes = new Uint8Array(size);
	mustSyscall(`of fd ${fd}`, SYS_ioctl, fd, request, bytes);
	return bytes;
}

/** Session and foreground group that a terminal controls, as the tasks see them; 0 for none. */
export interface Control {
	readonly sid: number;
	readonly pgrp: number;
	/** The session, as we see it, that the terminal controls and that isn't in the tree; 0 for none. */
	readonly outside: number;
}

function groupInside(pgrp: number, tasks: readonly DumpedTask[]): number {
	if (pgrp <= 0) return 0;
	const member = tasks.find(({ stat }) => stat.pgrp === pgrp);
	return member?.status.nsPgid.at(-1) ?? pgrp;
}

/** Who is controlled by a device. `master`: a descriptor of the pty's master, which tells also of those without the terminal. */
export function findControl(dev: number, master: number | undefined, { tasks }: DumpContext): Control {
	const member = tasks.find(({ stat }) => stat.ttyNr === dev);
	const told = master === undefined ? undefined : askNumber(master, TIOCGSID);
	const session = member?.stat.session ?? told ?? 0;
	if (session === 0) return { sid: 0, pgrp: 0, outside: 0 };
	const leader = tasks.find(({ pid }) => pid === session);
	const sid = leader?.vpid ?? member?.status.nsSid.at(-1) ?? session;
	return { sid, pgrp: groupInside(member?.stat.tpgid ?? 0, tasks), outside: leader === undefined ? session : 0 };
}

/** The state of a terminal that isn't hung up. */
function readState(fd: number) {
	const size = Winsize.read(viewOf(readSettings(fd, TIOCGWINSZ, Winsize.size)));
	return {
		exclusive: askNumber(fd, TIOCGEXCL) === 1,
		termios: encodeTermios(readSettings(fd, TCGETS, Termios.size)),
		termiosLocked: encodeTermios(readSettings(fd, TIOCGLCKTRMIOS, Termios.size)),
		winsize: create(winsize_entrySchema, {
			wsRow: size.ws_row,
			wsCol: size.ws_col,
			wsXpixel: size.ws_xpixel,
			wsYpixel: size.ws_ypixel,
		}),
	};
}

/** Makes the entry of a terminal's end. `index`: number of the pty. @throws KernelError */
export function readInfo(
	file: FdFacts,
	id: number,
	role: TtyRole | "external",
	index: number | undefined,
	control: Control,
	hungUp: boolean,
): tty_info_entry {
	const { stat, ownFd } = file;
	const isMaster = role === "master";
	return create(tty_info_entrySchema, {
		id,
		type: role === "external" ? TtyType.EXT_TTY : TYPES[role],
		locked: isMaster && askNumber(ownFd, TIOCGPTLCK) === 1,
		exclusive: false,
		packetMode: isMaster && askNumber(ownFd, TIOCGPKT) === 1,
		sid: control.sid,
		pgrp: control.pgrp,
		rdev: userDev(stat.rdevMajor, stat.rdevMinor),
		dev: userDev(stat.devMajor, stat.devMinor),
		uid: stat.uid,
		gid: stat.gid,
		...(hungUp ? {} : readState(ownFd)),
		...((role === "master" || role === "slave") && index !== undefined
			? { pty: create(tty_pty_entrySchema, { index }) }
			: {}),
	});
}

/** The device number of a pty's slave. */
export function slaveDev(index: number): number {
	return userDev(PTS_MAJOR, index);
}

/** All terminals of the images by id. @throws ImageError */
export function readInfos(context: RestoreContext): ReadonlyMap<number, tty_info_entry> {
	return context.once("tty-infos", () => {
		const infos = new Map<number, tty_info_entry>();
		for (const info of context.dir.readEntries(KINDS.TTY_INFO)) {
			if (infos.has(info.id)) throw corruptImage("tty-info.img", `id ${info.id} twice`);
			if ((info.type === TtyType.PTY) !== (info.pty !== undefined))
				throw corruptImage("tty-info.img", `terminal ${info.id} is of type ${info.type}, with or without a pty`);
			const parts = [info.termios, info.termiosLocked, info.winsize].filter((part) => part !== undefined);
			if (parts.length !== 0 && parts.length !== 3)
				throw corruptImage("tty-info.img", `terminal ${info.id} has only some of its settings`);
			infos.set(info.id, info);
		}
		return infos;
	});
}

/** A descriptor for messages. */
export function nameTty({ task, fd, link }: FdFacts): string {
	return `pid ${task.pid}: fd ${fd} (${showPath(link)})`;
}
