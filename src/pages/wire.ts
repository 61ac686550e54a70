// SPDX-License-Identifier: GPL-2.0-only
// What dumps and page servers say to each other: fixed headers, and pages behind them. CRIU 4.2 has headers of 32 bytes, earlier
// ones of 24; the first message tells which.

import { CriuError, isErrno, KernelError } from "../errors.ts";
import { MSG_NOSIGNAL, MSG_PEEK, MSG_WAITALL } from "../kernel/abi/socket.ts";
import { SYS_poll, SYS_recvfrom, SYS_sendto } from "../kernel/abi/syscalls.x86_64.ts";
import { syscall } from "../sys/host.ts";

export const PS_ADD = 1;
export const PS_HOLE = 2;
export const PS_OPEN = 3;
export const PS_OPEN2 = 4;
export const PS_PARENT = 5;
export const PS_ADD_F = 6;
export const PS_GET = 7;
export const PS_CLOSE = 0x1023;
export const PS_FORCE_CLOSE = 0x1024;

export const TYPE_TASK = 1;
export const TYPE_SEGMENT = 2;

const EINTR = 4;
const SHORT = 24;
const LONG = 32;

/** Length of a header in bytes: that of CRIU 4.2, or of earlier ones. */
export type HeaderSize = typeof SHORT | typeof LONG;
export const SHORT_HEADER: HeaderSize = SHORT;
export const LONG_HEADER: HeaderSize = LONG;

/** A message without what follows it. */
export interface Message {
	readonly command: number;
	/** PE_*, of ADD_F only. */
	readonly flags: number;
	readonly pages: bigint;
	readonly address: bigint;
	/** Type in the low byte, id above. */
	readonly target: bigint;
}

/** The number by which both sides know a pagemap. */
export function targetOf(type: number, id: number | bigint): bigint {
	return (BigInt(id) << 8n) | BigInt(type);
}

/** Writes a header at an offset. @throws RangeError when so many pages don't fit */
export function writeHeader(view: DataView, at: number, size: HeaderSize, message: Partial<Message>): void {
	const { command = 0, flags = 0, pages = 0n, address = 0n, target = 0n } = message;
	view.setUint32(at, ((flags << 16) | command) >>> 0, true);
	if (size === SHORT) {
		if (pages >= 1n << 32n) throw new RangeError(`${pages} pages in one message`);
		view.setUint32(at + 4, Number(pages), true);
	} else {
		view.setUint32(at + 4, 0, true);
		view.setBigUint64(at + 8, pages, true);
	}
	view.setBigUint64(at + size - 16, address, true);
	view.setBigUint64(at + size - 8, target, true);
}

/** Reads a header. */
export function readHeader(view: DataView, size: HeaderSize): Message {
	const word = view.getUint32(0, true);
	return {
		command: word & 0xffff,
		flags: word >>> 16,
		pages: size === SHORT ? BigInt(view.getUint32(4, true)) : view.getBigUint64(8, true),
		address: view.getBigUint64(size - 16, true),
		target: view.getBigUint64(size - 8, true),
	};
}

/** A connection between dump, page server or lazy-pages daemon, and what is known of it besides its bytes. */
export interface PageLink {
	/** Plain bytes are read and written here, by blocking calls. Who uses the link closes it, before its end. */
	readonly fd: number;
	/** Asked at the end of what came: true unless it's known that the other side didn't mean this end. */
	endedWell(): boolean;
	/** The reason of an error, where more is known of it than the connection shows. */
	explain(error: unknown): unknown;
	[Symbol.dispose](): void;
}

/** A connection that isn't encrypted. */
export function plainLink(fd: number): PageLink {
	return { fd, endedWell: () => true, explain: (error) => error, [Symbol.dispose]: () => {} };
}

/** The error for a connection that ends, or doesn't get on, in the middle. */
export function cutConnection(cause?: unknown): CriuError {
	const what = isErrno(cause, "EAGAIN") ? "stood still for too long" : "was cut";
	return new CriuError("PAGE_CONNECTION", `the connection between dump and page server ${what}`, {
		cause,
		remedy: "look into the log of the other side; nothing of this dump counts: dump again",
	});
}

/** Sends all bytes. @throws CriuError PAGE_CONNECTION */
export function send(fd: number, bytes: Uint8Array): void {
	for (let at = 0; at < bytes.length; ) {
		const ret = syscall(SYS_sendto, fd, bytes.subarray(at), bytes.length - at, MSG_NOSIGNAL, 0, 0);
		if (ret === -EINTR) continue;
		if (ret <= 0) throw cutConnection(new KernelError("sendto", -ret, "on the connection"));
		at += ret;
	}
}

/** Receives so many bytes; fewer only at the end of the stream. @throws CriuError PAGE_CONNECTION */
export function receive(fd: number, bytes: Uint8Array): number {
	return receiveBy(fd, bytes, MSG_WAITALL);
}

function receiveBy(fd: number, bytes: Uint8Array, flags: number): number {
	let done = 0;
	while (done < bytes.length) {
		const ret = syscall(SYS_recvfrom, fd, bytes.subarray(done), bytes.length - done, flags, 0, 0);
		if (ret === -EINTR) continue;
		if (ret < 0) throw cutConnection(new KernelError("recvfrom", -ret, "on the connection"));
		if (ret === 0) break;
		// Another look would begin at the front again.
		if ((flags & MSG_PEEK) !== 0) return ret;
		done += ret;
	}
	return done;
}

/**
 * Looks at so many bytes and leaves them in the socket: closed like that, by whatever ends us, it resets the connection, so that
 * the other side doesn't take the end for one that was meant. Source: RFC 2525 2.17; unix(7), net/unix/af_unix.c.
 *
 * @throws CriuError PAGE_CONNECTION
 */
export function peekAll(fd: number, length: number): DataView {
	const bytes = new Uint8Array(length);
	if (receiveBy(fd, bytes, MSG_PEEK | MSG_WAITALL) < length) throw cutConnection();
	return new DataView(bytes.buffer);
}

/** Receives exactly so many bytes. @throws CriuError PAGE_CONNECTION */
export function receiveAll(fd: number, length: number): DataView {
	const bytes = new Uint8Array(length);
	if (receive(fd, bytes) < length) throw cutConnection();
	return new DataView(bytes.buffer);
}

/** True when there is something to be read, or the stream's end, within that time. */
export function awaitInput(fd: number, timeoutMs: number): boolean {
	const poll = new Int32Array([fd, 1]);
	const until = performance.now() + timeoutMs;
	for (;;) {
		const ret = syscall(SYS_poll, poll, 1, Math.max(0, Math.round(until - performance.now())));
		if (ret !== -EINTR) return ret > 0;
	}
}

/** How long an old server has for its first answer, in milliseconds: a new one waits for more of the message meanwhile. */
const FIRST_ANSWER_MS = 1500;
/** What the first question is about: nothing, and its first word is no command. */
export const NO_TARGET = targetOf(TYPE_TASK, 0x3fffff);

/**
 * Which headers a server has, by a question that is whole with 24 bytes for old servers, and with eight more for new ones.
 *
 * @throws CriuError PAGE_CONNECTION
 */
export function askSize(fd: number): HeaderSize {
	const question = new Uint8Array(LONG);
	const view = new DataView(question.buffer);
	writeHeader(view, 0, SHORT, { command: PS_PARENT, target: NO_TARGET });
	send(fd, question.subarray(0, SHORT));
	let size: HeaderSize = SHORT;
	if (!awaitInput(fd, FIRST_ANSWER_MS)) {
		size = LONG;
		view.setBigUint64(0, NO_TARGET, true);
		send(fd, question.subarray(0, LONG - SHORT));
	}
	receiveAll(fd, 4);
	return size;
}
