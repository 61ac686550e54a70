// SPDX-License-Identifier: GPL-2.0-only
// Missing pages from elsewhere: a dump with --lazy-pages, or a page server. Requests are answered in their order, perhaps in part;
// all that comes is untrusted.

import { CriuError, KernelError } from "../../errors.ts";
import { errnoNumber } from "../../kernel/abi/errno.ts";
import { POLLIN } from "../../kernel/abi/event-files.ts";
import { MSG_DONTWAIT } from "../../kernel/abi/socket.ts";
import { SYS_recvfrom } from "../../kernel/abi/syscalls.x86_64.ts";
import { syscall } from "../../sys/host.ts";
import { mapPrivate } from "../../sys/memory.ts";
import { pollFds } from "../../sys/poll.ts";
import { PE_PRESENT } from "../pagemap.ts";
import * as wire from "../wire.ts";
import type { Arrival, PageSource } from "./source.ts";

const PAGE = 4096;
const BUFFER = 64 * PAGE;
const [EAGAIN, EINTR] = [errnoNumber("EAGAIN"), errnoNumber("EINTR")];
const END_MS = 120_000;

interface Asked {
	readonly pid: number;
	readonly source: bigint;
	readonly bytes: bigint;
}

/** An answer that is being received. */
interface Answer {
	readonly pid: number;
	source: bigint;
	/** Bytes that aren't there yet, or not handed on. */
	left: bigint;
}

function refuse(problem: string): CriuError {
	return new CriuError("PAGE_STREAM", `what came is no answer of a page server: ${problem}`, {
		remedy: "use the same version of criu on both sides, and a connection that nobody else writes to",
	});
}

/** An error of a daemon that has lost its connection, as what that means there; any other as it is. */
export function tellLoss(error: unknown): unknown {
	if (!(error instanceof CriuError) || error.code !== "PAGE_CONNECTION") return error;
	return new CriuError("PAGE_CONNECTION", "the connection was lost by which missing pages come", {
		cause: error.cause,
		remedy:
			"look into the log of the other side; start the page server there again, or dump the program again, which goes on there, and restore again",
	});
}

export class RemoteSource implements PageSource {
	private readonly asked: Asked[] = [];
	private answer: Answer | undefined;
	private readonly header: Uint8Array;
	private headerBytes = 0;
	private readonly memory = mapPrivate(BUFFER);
	private readonly buffer = this.memory.bytes;
	/** Bytes in the buffer, and how many of them are handed on. */
	private have = 0;
	private handed = 0;
	inFlight = 0n;

	private constructor(
		readonly fd: number,
		private readonly size: wire.HeaderSize,
		private readonly closing: number,
	) {
		this.header = new Uint8Array(size);
	}

	/**
	 * Takes over a connection and finds out which headers the server has. `shared`: others may hold it, too.
	 *
	 * @throws CriuError PAGE_CONNECTION
	 */
	static start(fd: number, shared: boolean): RemoteSource {
		return new RemoteSource(fd, wire.askSize(fd), shared ? wire.PS_FORCE_CLOSE : wire.PS_CLOSE);
	}

	private tell(message: Partial<wire.Message>): void {
		const bytes = new Uint8Array(this.size);
		wire.writeHeader(new DataView(bytes.buffer), 0, this.size, message);
		wire.send(this.fd, bytes);
	}

	ask(pid: number, source: bigint, bytes: bigint): void {
		this.tell({ command: wire.PS_GET, pages: bytes / BigInt(PAGE), address: source, target: BigInt(pid) });
		this.asked.push({ pid, source, bytes });
		this.inFlight += bytes;
	}

	/** What is there to be received, without waiting; 0 for nothing yet. @throws CriuError PAGE_CONNECTION */
	private receive(room: Uint8Array): number {
		const ret = syscall(SYS_recvfrom, this.fd, room, room.length, MSG_DONTWAIT, 0, 0);
		if (ret > 0) return ret;
		if (ret === -EAGAIN || ret === -EINTR) return 0;
		throw wire.cutConnection(ret === 0 ? undefined : new KernelError("recvfrom", -ret, "on the connection"));
	}

	/** The header of the next answer; undefined when it isn't there yet. */
	private begin(): Answer | undefined {
		this.headerBytes += this.receive(this.header.subarray(this.headerBytes));
		if (this.headerBytes < this.header.length) return undefined;
		this.headerBytes = 0;
		const { command, flags, pages, address, target } = wire.readHeader(new DataView(this.header.buffer), this.size);
		const wanted = this.asked.shift();
		if (wanted === undefined) throw refuse("nothing was asked");
		if (command !== wire.PS_ADD_F || (flags & PE_PRESENT) === 0) throw refuse(`command ${command}, flags ${flags}`);
		const bytes = pages * BigInt(PAGE);
		if (target !== BigInt(wanted.pid) || address !== wanted.source || bytes === 0n || bytes > wanted.bytes)
			throw refuse(`${pages} pages at 0x${address.toString(16)} of pid ${target}`);
		const rest = wanted.bytes - bytes;
		this.inFlight -= rest;
		if (rest > 0n) this.ask(wanted.pid, wanted.source + bytes, rest);
		return { pid: wanted.pid, source: wanted.source, left: bytes };
	}

	take(): Arrival | undefined {
		if (this.handed > 0) {
			this.buffer.copyWithin(0, this.handed, this.have);
			this.have -= this.handed;
			this.handed = 0;
		}
		if (this.answer === undefined && this.asked.length === 0) return this.checkSilence();
		this.answer ??= this.begin();
		const { answer } = this;
		if (answer === undefined) return undefined;
		const room = Math.min(Number(answer.left), BUFFER) - this.have;
		this.have += this.receive(this.buffer.subarray(this.have, this.have + room));
		const whole = this.have - (this.have % PAGE);
		if (whole === 0) return undefined;
		const arrival = {
			pid: answer.pid,
			source: answer.source,
			address: BigInt(this.memory.address),
			bytes: BigInt(whole),
		};
		answer.source += arrival.bytes;
		answer.left -= arrival.bytes;
		this.inFlight -= arrival.bytes;
		this.handed = whole;
		if (answer.left === 0n) this.answer = undefined;
		return arrival;
	}

	/** Nothing may come that wasn't asked for, but for the end. */
	private checkSilence(): undefined {
		if (this.receive(new Uint8Array(1)) > 0) throw refuse("nothing was asked");
		return undefined;
	}

	finish(): void {
		// Answers for processes that have ended meanwhile.
		while (this.answer !== undefined || this.asked.length > 0) {
			if (this.take() !== undefined) continue;
			const [events = 0] = pollFds([{ fd: this.fd, events: POLLIN }], END_MS);
			if (events === 0) throw wire.cutConnection();
		}
		this.tell({ command: this.closing });
		const status = wire.receiveAll(this.fd, 4).getInt32(0, true);
		if (status !== 0) throw refuse(`status ${status} at the end`);
	}
}
