// SPDX-License-Identifier: GPL-2.0-only
// What waits in a unix socket, message by message, as it would be received. Nothing is taken; small messages are kept in
// memory, large ones are read again when the image is written. Source: unix(7), net/unix/af_unix.c.

import { SO_PEEK_OFF, SOCK_SEQPACKET, SOCK_STREAM, SOL_SOCKET } from "../../kernel/abi/socket.ts";
import { closeFd } from "../../sys/file.ts";
import { getIntOption } from "../../sys/socket.ts";
import { addInFlight } from "../file/open-files.ts";
import type { DumpContext, FdFacts } from "../kind.ts";
import { LooksGuard } from "./looks-guard.ts";
import { countBeforeFiles, keepingPeekOffset, type Peeked, peekOnce, type Sender, setPeekOffset } from "./peek.ts";

/** Bytes of messages that a dump keeps in memory, all sockets together. */
const MEMORY = 16 * 1024 * 1024;
const RCV_SHUTDOWN = 1;

type Context = Pick<DumpContext, "once" | "tasks">;

/** A message, or as much of a stream as comes at once. */
export interface QueuedMessage {
	/** Bytes before it. */
	readonly offset: number;
	readonly length: number;
	/** Undefined: too large to be kept. */
	readonly data: Uint8Array | undefined;
	/** Files on their way. */
	readonly files: readonly FdFacts[];
	/** Only where the receiver wants to know. */
	readonly sender: Sender | undefined;
	/** The sender's name, as sun_path; empty without one. */
	readonly name: Uint8Array;
}

/** A queue as it was when the program stopped. */
export interface QueueFacts {
	readonly messages: readonly QueuedMessage[];
	/** SO_PEEK_OFF as the program has it. */
	readonly peekOffset: number;
	/** A control message that nothing is known about. */
	readonly unknown: string | undefined;
}

/** Which queue. */
export interface QueueSource {
	/** A descriptor of ours. */
	readonly fd: number;
	/** SOCK_*. */
	readonly type: number;
	/** Bytes that can be received: all of a stream, the first message of a datagram socket. */
	readonly bytes: number;
	/** Bits 1: no more receiving. */
	readonly shutdown: number;
}

export const EMPTY_QUEUE: QueueFacts = { messages: [], peekOffset: -1, unknown: undefined };

class Reader {
	readonly messages: QueuedMessage[] = [];
	unknown: string | undefined;
	/** Bytes seen. */
	at = 0;
	private readonly budget: { left: number };

	constructor(
		readonly source: QueueSource,
		readonly context: Context,
	) {
		this.budget = context.once("queue-memory", () => ({ left: MEMORY }));
	}

	add(peeked: Pick<Peeked, "length" | "seen" | "fds" | "sender" | "name">): void {
		const { length, seen, fds, sender, name } = peeked;
		const fits = seen.length === length && length <= this.budget.left;
		if (fits) this.budget.left -= length;
		const files = fds.map((fd) => addInFlight(fd, this.context));
		this.messages.push({ offset: this.at, length, data: fits ? seen.slice() : undefined, files, sender, name });
		this.at += length;
	}

	peek(): Peeked | undefined {
		const { fd, type } = this.source;
		const peeked = peekOnce(fd, { whole: type !== SOCK_STREAM, withFiles: true });
		if (peeked?.unknown !== undefined) this.unknown = peeked.unknown;
		return peeked;
	}

	/** Looks behind what has been seen. */
	peekNext(): Peeked | undefined {
		setPeekOffset(this.source.fd, this.at);
		return this.peek();
	}

	/** Whoever reads a stream without asking for files loses them: bytes before the message that brings some stay apart. */
	addWithFiles(peeked: Peeked): void {
		const seen = peeked.seen.slice();
		setPeekOffset(this.source.fd, this.at);
		const before = countBeforeFiles(this.source.fd, peeked.length);
		if (before > 0) this.add({ ...peeked, length: before, seen: seen.subarray(0, before), fds: [] });
		this.add({ ...peeked, length: peeked.length - before, seen: seen.subarray(before) });
	}
}

function readStream(reader: Reader, peekOffset: number): void {
	const { bytes, fd } = reader.source;
	if (bytes === 0) return;
	if (peekOffset === -1) {
		const first = reader.peek();
		if (first !== undefined && first.fds.length === 0) reader.add(first);
		for (const copy of first?.fds ?? []) closeFd(copy);
		if (reader.at >= bytes) return;
	}
	keepingPeekOffset(fd, peekOffset, LooksGuard.of(reader.context), () => {
		while (reader.at < bytes) {
			const peeked = reader.peekNext();
			if (peeked === undefined || peeked.length === 0) return;
			if (peeked.fds.length > 0) reader.addWithFiles(peeked);
			else reader.add(peeked);
		}
	});
}

/** A message without content can't be told from the end of a connection. */
function isAtEnd({ source, at }: Reader, { length }: Peeked): boolean {
	const ends = source.type === SOCK_SEQPACKET && (source.shutdown & RCV_SHUTDOWN) !== 0;
	return length === 0 && ends && at >= source.bytes;
}

function readMessages(reader: Reader, peekOffset: number): void {
	const { fd } = reader.source;
	keepingPeekOffset(fd, peekOffset, LooksGuard.of(reader.context), () => {
		if (peekOffset !== -1) setPeekOffset(fd, -1);
		// The first one shows without an offset, also when it's empty and somebody has looked at it before.
		for (let peeked = reader.peek(); peeked !== undefined; peeked = reader.peekNext()) {
			if (isAtEnd(reader, peeked)) return;
			reader.add(peeked);
		}
	});
}

/** Looks at a queue. @throws KernelError, CriuError */
export function readQueue(source: QueueSource, context: Context): QueueFacts {
	const { fd, type, bytes } = source;
	const isStream = type === SOCK_STREAM;
	if (isStream && bytes === 0) return EMPTY_QUEUE;
	// Most are empty, which one look tells.
	if (!isStream && bytes === 0 && peekOnce(fd, { limit: 0, whole: true, withFiles: false }) === undefined)
		return EMPTY_QUEUE;
	const peekOffset = getIntOption(fd, SOL_SOCKET, SO_PEEK_OFF);
	const reader = new Reader(source, context);
	if (isStream) readStream(reader, peekOffset);
	else readMessages(reader, peekOffset);
	return { messages: reader.messages, peekOffset, unknown: reader.unknown };
}
