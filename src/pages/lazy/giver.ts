// SPDX-License-Identifier: GPL-2.0-only
// The giving side of lazy memory: answers the questions of one lazy-pages daemon for pages, of images or of processes that
// stand still. All that comes is untrusted.

import { CriuError } from "../../errors.ts";
import { POLLIN } from "../../kernel/abi/event-files.ts";
import { pollFds } from "../../sys/poll.ts";
import { PE_PRESENT } from "../pagemap.ts";
import * as wire from "../wire.ts";

const PAGE = 4096n;
const ADDRESS_LIMIT = 1n << 47n;
const PID_LIMIT = 4194304n;
/** Until the rest of a first message has come that may be of either length. */
const REST_MS = 200;

/** Who has the pages. */
export interface PageKeeper {
	/** Bytes that are there without a gap from an address on, at most so many; 0 for none. @throws CriuError */
	count(pid: number, address: bigint, bytes: bigint): bigint;
	/** Sends a header, and that many bytes behind it. @throws CriuError, KernelError */
	send(pid: number, address: bigint, bytes: bigint, header: Uint8Array): void;
}

function refuse(problem: string): CriuError {
	return new CriuError("PAGE_STREAM", `what came is no question of a lazy-pages daemon: ${problem}`, {
		remedy: "use the same version of criu on both sides, and a connection that nobody else writes to",
	});
}

function lostDaemon(cause?: unknown): CriuError {
	return new CriuError(
		"PAGE_CONNECTION",
		"the lazy-pages daemon, or the connection to it, ended before it had all pages",
		{
			cause,
			remedy:
				"look into its log; the processes that it served have ended, so the dump or page server can be started again",
		},
	);
}

export class PageGiver {
	private size: wire.HeaderSize | undefined;
	/** Pages that were given. */
	given = 0n;

	constructor(
		/** The connection; stays the caller's. */
		private readonly fd: number,
		private readonly keeper: PageKeeper,
		/** Called now and then while nothing comes; throws to end it. */
		private readonly check: () => void = () => {},
	) {}

	/**
	 * Serves until the daemon says that it has all it needs.
	 *
	 * @throws CriuError PAGE_CONNECTION, PAGE_STREAM
	 */
	run(): void {
		try {
			this.serve();
		} catch (error) {
			throw error instanceof CriuError && error.code === "PAGE_CONNECTION" ? lostDaemon(error.cause) : error;
		}
	}

	private serve(): void {
		for (;;) {
			// A daemon may wait for a restore as long as it likes.
			do this.check();
			while (pollFds([{ fd: this.fd, events: POLLIN }], -1)[0] === 0);
			const message = this.next();
			if (message === undefined) throw lostDaemon();
			if (message.command === wire.PS_GET) this.give(message);
			else if (message.command === wire.PS_PARENT) wire.send(this.fd, new Uint8Array(4));
			else if (message.command === wire.PS_CLOSE || message.command === wire.PS_FORCE_CLOSE) {
				wire.send(this.fd, new Uint8Array(4));
				return;
			} else throw refuse(`command ${message.command}`);
		}
	}

	/** The next message; undefined at the end of the stream. */
	private next(): wire.Message | undefined {
		const bytes = new Uint8Array(wire.LONG_HEADER);
		const view = new DataView(bytes.buffer);
		const first = this.size ?? wire.SHORT_HEADER;
		const got = wire.receive(this.fd, bytes.subarray(0, first));
		if (got === 0) return undefined;
		if (got < first) throw wire.cutConnection();
		this.size ??= this.findSize(bytes, view);
		return wire.readHeader(view, this.size);
	}

	/** A first message of 24 bytes may be the beginning of one of 32. */
	private findSize(bytes: Uint8Array, view: DataView): wire.HeaderSize {
		const command = view.getUint32(0, true) & 0xffff;
		// The count of pages is there in the short form, a gap in the long one; other questions have their target there.
		const isShort = command === wire.PS_GET ? view.getUint32(4, true) !== 0 : view.getBigUint64(16, true) !== 0n;
		if (isShort) return wire.SHORT_HEADER;
		const ends = command === wire.PS_CLOSE || command === wire.PS_FORCE_CLOSE;
		if (ends && !wire.awaitInput(this.fd, REST_MS)) return wire.SHORT_HEADER;
		const rest = wire.LONG_HEADER - wire.SHORT_HEADER;
		if (wire.receive(this.fd, bytes.subarray(wire.SHORT_HEADER)) < rest) throw wire.cutConnection();
		return wire.LONG_HEADER;
	}

	private give({ pages, address, target }: wire.Message): void {
		const end = address + pages * PAGE;
		if (address % PAGE !== 0n || pages === 0n || end > ADDRESS_LIMIT || target < 1n || target > PID_LIMIT)
			throw refuse(`a wish for ${pages} pages at 0x${address.toString(16)} of pid ${target}`);
		const pid = Number(target);
		const bytes = this.keeper.count(pid, address, pages * PAGE);
		if (bytes === 0n) throw refuse(`a wish for page 0x${address.toString(16)} of pid ${pid}, which isn't here`);
		const size = this.size ?? wire.SHORT_HEADER;
		const header = new Uint8Array(size);
		const answer = { command: wire.PS_ADD_F, flags: PE_PRESENT, pages: bytes / PAGE, address, target };
		wire.writeHeader(new DataView(header.buffer), 0, size, answer);
		this.keeper.send(pid, address, bytes, header);
		this.given += bytes / PAGE;
	}
}
