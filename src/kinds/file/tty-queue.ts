// SPDX-License-Identifier: GPL-2.0-only
// What waits in a terminal to be read: what was typed for the slave, line by line where it reads by lines, and what was
// printed for the master. Images: tty-data.img (tty_data_entry). Source: ioctl_tty(2) TIOCSTI, termios(3), drivers/tty/n_tty.c.

import { KernelError } from "../../errors.ts";
import { type tty_data_entry, tty_data_entrySchema } from "../../images/gen/tty_pb.ts";
import { create, KINDS } from "../../images/index.ts";
import { EPOLLIN, EPOLLOUT } from "../../kernel/abi/event-files.ts";
import { TCGETS, TCOOFF, TCSETS, TCXONC, TIOCGLCKTRMIOS, TIOCGPKT, TIOCSTI } from "../../kernel/abi/ioctl.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { SYS_ioctl, SYS_write } from "../../kernel/abi/syscalls.x86_64.ts";
import * as tio from "../../kernel/abi/termios.ts";
import { mustSyscall, requeue, syscall } from "../../sys/host.ts";
import type { RestoreContext } from "../kind.ts";
import { corruptImage } from "./image-checks.ts";
import { readPoll } from "./open-files.ts";
import { readSettings } from "./tty-info.ts";
import { askNumber } from "./tty-types.ts";

const FILE = "tty-data.img";
/** More than a line discipline and the kernel's buffers before it hold: 4 KiB and 8 KiB. */
const MAX_QUEUE = 32768;
/** What the line discipline alone holds. */
const DISCIPLINE = 4095;
const NEWLINE = 0x0a;
const DISABLED = 0;
/** What has a meaning in lines besides their ends. */
const EDITING = [tio.VERASE, tio.VKILL, tio.VREPRINT, tio.VWERASE, tio.VLNEXT];

/** What waits at an end. */
export interface TtyData {
	readonly data: Uint8Array;
	/** Lines, each as twice its length, plus 1 where an end of file ended it; what is left is the beginning of one. */
	readonly lines: readonly number[];
}

/** Settings under which bytes pass unchanged; lines keep their ends. Flow control stays: whoever reads packets is told of it. */
function plainSettings(own: Uint8Array, byLines: boolean): Uint8Array {
	const termios = tio.Termios.read(viewOf(own));
	const cc = Uint8Array.from(termios.c_cc);
	if (byLines) for (const index of EDITING) cc[index] = DISABLED;
	else [cc[tio.VMIN], cc[tio.VTIME]] = [1, 0];
	return tio.Termios.encode({
		...termios,
		c_iflag: termios.c_iflag & (tio.IXON | tio.IXOFF),
		c_lflag: (byLines ? tio.ICANON | (termios.c_lflag & tio.IEXTEN) : 0) | (termios.c_lflag & tio.EXTPROC),
		c_cc: cc,
	});
}

function isByLines(settings: Uint8Array): boolean {
	return (tio.Termios.read(viewOf(settings)).c_lflag & tio.ICANON) !== 0;
}

/** True when some bytes wait at a pty's end, or may: the beginning of a line can't be seen. */
export function mayHoldData(fd: number, isMaster: boolean): boolean {
	if ((readPoll(fd, EPOLLIN) & EPOLLIN) !== 0) return true;
	return !isMaster && isByLines(readSettings(fd, TCGETS, tio.Termios.size));
}

/**
 * What a pty's end holds, which it keeps. The tasks that have it stand still.
 *
 * @throws KernelError
 */
export function peekQueue(fd: number, otherFd: number, isMaster: boolean): TtyData & { stopped: boolean } {
	const packets = isMaster && askNumber(fd, TIOCGPKT) === 1;
	const base = { fd, otherFd, packets, capacity: MAX_QUEUE };
	if (isMaster) return toData(requeue(base));
	const own = readSettings(fd, TCGETS, tio.Termios.size);
	const locks = readSettings(fd, TIOCGLCKTRMIOS, tio.Termios.size);
	return toData(
		requeue({
			...base,
			termios: {
				raw: plainSettings(own, false),
				lines: isByLines(own) ? plainSettings(own, true) : undefined,
				own,
				locks: locks.some((byte) => byte !== 0) ? locks : undefined,
			},
		}),
	);
}

function toData({ data, ends, stopped }: ReturnType<typeof requeue>) {
	return { data, lines: ends, stopped };
}

/** True when output doesn't move: its slave was stopped by a typed VSTOP or by tcflow(3). To be asked when nothing waits before the master. */
export function isStopped(slave: number): boolean {
	return (readPoll(slave, EPOLLOUT) & EPOLLOUT) === 0;
}

export function encodeData(ttyId: number, { data, lines }: TtyData): tty_data_entry {
	return create(tty_data_entrySchema, { ttyId, data, lines: [...lines] });
}

/** Data by the id of the terminal's end. @throws ImageError */
export function readTtyData(context: RestoreContext): ReadonlyMap<number, TtyData> {
	return context.once("tty-data", () => {
		const found = new Map<number, TtyData>();
		for (const { ttyId, data, lines } of context.dir.readEntries(KINDS.TTY_DATA)) {
			if (found.has(ttyId)) throw corruptImage(FILE, `tty_id ${ttyId} twice`);
			if (data.length > MAX_QUEUE) throw corruptImage(FILE, `terminal ${ttyId} holds ${data.length} bytes`);
			const sum = lines.reduce((total, line) => total + (line >>> 1), 0);
			if (sum > data.length || lines.length > MAX_QUEUE)
				throw corruptImage(FILE, `terminal ${ttyId} has lines of ${sum} bytes in ${data.length}`);
			found.set(ttyId, { data, lines });
		}
		return found;
	});
}

/** The lines of images of CRIU, which doesn't tell them. */
function splitLines(data: Uint8Array): number[] {
	const lines: number[] = [];
	for (let at = 0; ; ) {
		const end = data.indexOf(NEWLINE, at);
		if (end < 0) return lines;
		lines.push((end + 1 - at) * 2);
		at = end + 1;
	}
}

function findUnused(data: Uint8Array): number {
	const used = new Set(data);
	for (let byte = 1; byte < 255; byte++) if (byte !== NEWLINE && !used.has(byte)) return byte;
	return DISABLED;
}

/** Puts bytes into the queue of an end of ours. @throws KernelError */
class Feeder {
	private room = DISCIPLINE;

	constructor(private readonly fd: number) {}

	/** Gives how many had room. */
	feed(bytes: Uint8Array): number {
		const count = Math.min(bytes.length, this.room);
		for (let i = 0; i < count; i++) {
			const ret = syscall(SYS_ioctl, this.fd, TIOCSTI, bytes.subarray(i, i + 1));
			if (ret < 0)
				throw new KernelError("ioctl", -ret, "TIOCSTI of a new terminal", {
					remedy: "run criu as root (CAP_SYS_ADMIN)",
				});
		}
		this.room -= count;
		return count;
	}
}

function sendRest(fd: number, bytes: Uint8Array): void {
	if (bytes.length > 0) mustSyscall("to a new terminal", SYS_write, fd, bytes, bytes.length);
}

/** Fills the master of a new pty. @throws KernelError */
export function feedMaster(master: number, slave: number, { data }: TtyData): void {
	const done = new Feeder(master).feed(data);
	const own = readSettings(slave, TCGETS, tio.Termios.size);
	mustSyscall("of a new terminal", SYS_ioctl, slave, TCSETS, plainOutput(own));
	sendRest(slave, data.subarray(done));
	mustSyscall("of a new terminal", SYS_ioctl, slave, TCSETS, own);
}

/** Settings under which what is printed passes unchanged. */
function plainOutput(own: Uint8Array): Uint8Array {
	const termios = tio.Termios.read(viewOf(own));
	return tio.Termios.encode({ ...termios, c_oflag: termios.c_oflag & ~tio.OPOST });
}

/** Fills the slave of a new pty, whose settings are those of the images. @throws KernelError */
export function feedSlave(master: number, slave: number, { data, lines }: TtyData): void {
	const own = readSettings(slave, TCGETS, tio.Termios.size);
	const byLines = isByLines(own);
	const eof = findUnused(data);
	const settings = plainSettings(own, byLines);
	if (byLines) settings[tio.Termios.size - tio.NCCS + tio.VEOF] = eof;
	mustSyscall("of a new terminal", SYS_ioctl, slave, TCSETS, settings);
	const feeder = new Feeder(slave);
	let at = 0;
	for (const line of byLines ? (lines.length > 0 ? lines : splitLines(data)) : []) {
		const end = at + (line >>> 1);
		at += feeder.feed(data.subarray(at, end));
		if (at < end) break;
		if ((line & 1) !== 0) feeder.feed(Uint8Array.of(eof));
	}
	at += feeder.feed(data.subarray(at));
	mustSyscall("of a new terminal", SYS_ioctl, slave, TCSETS, own);
	sendRest(master, data.subarray(at));
}

/** Stops the output of a new pty as it was stopped. @throws KernelError */
export function stopOutput(slave: number): void {
	const { c_iflag, c_cc } = tio.Termios.read(viewOf(readSettings(slave, TCGETS, tio.Termios.size)));
	const stop = c_cc[tio.VSTOP] ?? DISABLED;
	if ((c_iflag & tio.IXON) !== 0 && stop !== DISABLED) new Feeder(slave).feed(Uint8Array.of(stop));
	else mustSyscall("of a new terminal", SYS_ioctl, slave, TCXONC, TCOOFF);
}
