// SPDX-License-Identifier: GPL-2.0-only
// The lines that eventfd, epoll, signalfd, timerfd, inotify, fanotify and pidfd add to their fdinfo.
// Source: proc_pid_fdinfo(5); fs/eventfd.c, fs/eventpoll.c, fs/signalfd.c, fs/timerfd.c, fs/notify/fdinfo.c, fs/pidfs.c.

import { type ProcCursor, procParseError } from "./parse.ts";

/** One descriptor that an epoll watches. */
export interface EpollTarget {
	/** Number under which it was added; may have been closed or reused since. */
	tfd: number;
	events: number;
	data: bigint;
	/** Position, inode and device of the watched file. Since: 5.0; undefined before. */
	pos: bigint | undefined;
	ino: bigint | undefined;
	/** Kernel encoding (devices.ts). */
	sdev: number | undefined;
}

/** A file handle as name_to_handle_at(2) gives it. */
export interface FileHandleFacts {
	type: number;
	bytes: Uint8Array;
}

export interface InotifyWatch {
	wd: number;
	ino: bigint;
	/** Kernel encoding. */
	sdev: number;
	mask: number;
	ignoredMask: number;
	/** Undefined when the file system can't make handles. */
	handle: FileHandleFacts | undefined;
}

export interface FanotifyMark {
	on: "inode" | "mount" | "sb" | "mntns";
	/** inode: the inode; else 0. */
	ino: bigint;
	/** inode, sb: kernel encoding; else 0. */
	sdev: number;
	/** mount: its id; mntns: the namespace's inode; else 0. */
	mntId: number;
	mflags: number;
	mask: number;
	ignoredMask: number;
	handle: FileHandleFacts | undefined;
}

interface SecondsAndNanos {
	sec: bigint;
	nsec: bigint;
}

export type FdinfoKind =
	| { type: "plain" }
	| { type: "eventfd"; count: bigint; id: number | undefined; semaphore: boolean | undefined }
	| { type: "epoll"; targets: EpollTarget[] }
	| { type: "signalfd"; sigmask: bigint }
	| {
			type: "timerfd";
			clockId: number;
			ticks: bigint;
			settimeFlags: number;
			/** Remaining time; zero when disarmed. */
			value: SecondsAndNanos;
			interval: SecondsAndNanos;
	  }
	| { type: "inotify"; watches: InotifyWatch[] }
	| { type: "fanotify"; flags: number; eventFlags: number; marks: FanotifyMark[] }
	| {
			type: "pidfd";
			/** In the reader's pid namespace: 0 when not visible there, -1 when the process is gone. */
			pid: number;
			/** Ids from the reader's namespace inwards. */
			nsPids: number[];
	  };

/** Picks the lines of known kinds out of an fdinfo file. */
export class KindCollector {
	readonly eventfd: { count?: bigint; id?: number; semaphore?: boolean } = {};
	readonly timerfd: {
		clockId?: number;
		ticks?: bigint;
		settimeFlags?: number;
		value?: SecondsAndNanos;
		interval?: SecondsAndNanos;
	} = {};
	readonly targets: EpollTarget[] = [];
	readonly watches: InotifyWatch[] = [];
	readonly marks: FanotifyMark[] = [];
	sigmask: bigint | undefined;
	fanotify: { flags: number; eventFlags: number } | undefined;
	pidfd: number | undefined;
	nsPids: number[] = [];

	/** Takes a line when a known kind writes it; `line` stands behind `key:`, `start` is the line's beginning. */
	take(key: string, line: ProcCursor, start: number): boolean {
		if (key === "inotify wd" || key.startsWith("fanotify ")) {
			line.pos = start;
			if (key === "inotify wd") this.watches.push(parseInotify(line));
			else this.takeFanotify(line);
			return true;
		}
		const taker = TAKERS.get(key);
		if (taker === undefined) return false;
		taker(this, line);
		return true;
	}

	private takeFanotify(line: ProcCursor): void {
		line.expectText("fanotify ");
		if (!line.startsWith("flags:")) {
			this.marks.push(parseFanotifyMark(line));
			return;
		}
		const fields = parseFields(line);
		this.fanotify = { flags: need(fields, "flags", line), eventFlags: need(fields, "event-flags", line) };
	}
}

const TAKERS: ReadonlyMap<string, (to: KindCollector, line: ProcCursor) => void> = new Map(
	Object.entries<(to: KindCollector, line: ProcCursor) => void>({
		"eventfd-count": (to, line) => {
			to.eventfd.count = line.hexBig();
		},
		"eventfd-id": (to, line) => {
			to.eventfd.id = line.integer();
		},
		"eventfd-semaphore": (to, line) => {
			to.eventfd.semaphore = line.decimal() !== 0;
		},
		sigmask: (to, line) => {
			to.sigmask = line.hexBig();
		},
		clockid: (to, line) => {
			to.timerfd.clockId = line.integer();
		},
		ticks: (to, line) => {
			to.timerfd.ticks = line.decimalBig();
		},
		"settime flags": (to, line) => {
			to.timerfd.settimeFlags = line.octal();
		},
		it_value: (to, line) => {
			to.timerfd.value = parsePair(line);
		},
		it_interval: (to, line) => {
			to.timerfd.interval = parsePair(line);
		},
		tfd: (to, line) => {
			to.targets.push(parseEpollTarget(line));
		},
		Pid: (to, line) => {
			to.pidfd = line.integer();
		},
		NSpid: (to, line) => {
			for (line.skipBlanks(); !line.atEnd(); line.skipBlanks()) to.nsPids.push(line.integer());
		},
	}),
);

/** `(seconds, nanoseconds)`. */
function parsePair(line: ProcCursor): SecondsAndNanos {
	line.expect("(");
	const sec = line.integerBig();
	line.expect(",");
	line.skipBlanks();
	const nsec = line.integerBig();
	line.expect(")");
	return { sec, nsec };
}

/** `      5 events: 19 data: 5  pos:0 ino:9 sdev:f`, behind `tfd:`. */
function parseEpollTarget(line: ProcCursor): EpollTarget {
	const tfd = line.integer();
	line.skipBlanks();
	line.expectText("events:");
	line.skipBlanks();
	const events = line.hex();
	line.skipBlanks();
	line.expectText("data:");
	line.skipBlanks();
	const data = line.hexBig();
	line.skipBlanks();
	if (line.atEnd()) return { tfd, events, data, pos: undefined, ino: undefined, sdev: undefined };
	line.expectText("pos:");
	const pos = line.integerBig();
	line.skipBlanks();
	line.expectText("ino:");
	const ino = line.hexBig();
	line.skipBlanks();
	line.expectText("sdev:");
	return { tfd, events, data, pos, ino, sdev: line.hex() };
}

interface HexFields {
	numbers: Map<string, bigint>;
	handle: Uint8Array | undefined;
}

/** `key:hex key:hex …`; the value of `f_handle` is bytes. A newer kernel's `mnt_ns:` is decimal. */
function parseFields(line: ProcCursor): HexFields {
	const fields: HexFields = { numbers: new Map(), handle: undefined };
	for (line.skipBlanks(); !line.atEnd(); line.skipBlanks()) {
		const start = line.pos;
		const colon = line.find(0x3a);
		if (colon < 0) line.fail("a value is missing");
		const key = Buffer.from(line.bytes.subarray(start, colon)).toString("latin1");
		line.pos = colon + 1;
		if (key === "f_handle") fields.handle = parseHexBytes(line);
		else if (key === "mnt_ns") fields.numbers.set(key, line.decimalBig());
		else fields.numbers.set(key, line.hexBig());
	}
	return fields;
}

function parseHexBytes(line: ProcCursor): Uint8Array {
	const text = Buffer.from(line.word()).toString("latin1");
	if (text.length % 2 !== 0 || !/^[0-9a-f]*$/.test(text)) line.fail("a file handle is not whole bytes");
	return Uint8Array.from(Buffer.from(text, "hex"));
}

function needBig(fields: HexFields, key: string, line: ProcCursor): bigint {
	return fields.numbers.get(key) ?? line.fail(`${key} is missing`);
}

function need(fields: HexFields, key: string, line: ProcCursor): number {
	const value = needBig(fields, key, line);
	return value > 0xffffffffn ? line.fail(`${key} is too large`) : Number(value);
}

function handleOf(fields: HexFields, line: ProcCursor): FileHandleFacts | undefined {
	if (fields.handle === undefined) return undefined;
	if (need(fields, "fhandle-bytes", line) !== fields.handle.length) line.fail("a file handle's length is wrong");
	return { type: need(fields, "fhandle-type", line) | 0, bytes: fields.handle };
}

function parseInotify(line: ProcCursor): InotifyWatch {
	line.expectText("inotify ");
	const fields = parseFields(line);
	return {
		wd: need(fields, "wd", line),
		ino: needBig(fields, "ino", line),
		sdev: need(fields, "sdev", line),
		mask: need(fields, "mask", line),
		ignoredMask: need(fields, "ignored_mask", line),
		handle: handleOf(fields, line),
	};
}

function parseFanotifyMark(line: ProcCursor): FanotifyMark {
	const fields = parseFields(line);
	const has = (key: string): boolean => fields.numbers.has(key);
	const on = has("ino") ? "inode" : has("mnt_id") ? "mount" : has("mnt_ns") ? "mntns" : "sb";
	return {
		on,
		ino: on === "inode" ? needBig(fields, "ino", line) : 0n,
		sdev: on === "inode" || on === "sb" ? need(fields, "sdev", line) : 0,
		mntId: on === "mount" ? need(fields, "mnt_id", line) : on === "mntns" ? need(fields, "mnt_ns", line) : 0,
		mflags: need(fields, "mflags", line),
		mask: need(fields, "mask", line),
		ignoredMask: need(fields, "ignored_mask", line),
		handle: handleOf(fields, line),
	};
}

/**
 * Which kind the collected lines tell of; `plain` when none. An epoll or inotify that watches nothing writes no line of its
 * own: its link (`anon_inode:[eventpoll]`) tells.
 */
export function fdinfoKind(from: KindCollector, file: string): FdinfoKind {
	const { eventfd, timerfd } = from;
	if (eventfd.count !== undefined)
		return { type: "eventfd", count: eventfd.count, id: eventfd.id, semaphore: eventfd.semaphore };
	if (from.sigmask !== undefined) return { type: "signalfd", sigmask: from.sigmask };
	if (timerfd.clockId !== undefined) return timerfdKind(timerfd, file);
	if (from.targets.length > 0) return { type: "epoll", targets: from.targets };
	if (from.watches.length > 0) return { type: "inotify", watches: from.watches };
	if (from.fanotify !== undefined) return { type: "fanotify", ...from.fanotify, marks: from.marks };
	if (from.pidfd !== undefined) return { type: "pidfd", pid: from.pidfd, nsPids: from.nsPids };
	return { type: "plain" };
}

function timerfdKind(timerfd: KindCollector["timerfd"], file: string): FdinfoKind {
	const { clockId, ticks, settimeFlags, value, interval } = timerfd;
	if (
		clockId === undefined ||
		ticks === undefined ||
		settimeFlags === undefined ||
		value === undefined ||
		interval === undefined
	)
		throw procParseError(file, "a timerfd line is missing");
	return { type: "timerfd", clockId, ticks, settimeFlags, value, interval };
}
