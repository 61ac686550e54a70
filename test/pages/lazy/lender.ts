// SPDX-License-Identifier: GPL-2.0-only
// A page server made for tests: it has the pages of images, and gives them slowly, in part, wrongly, or stops giving them.

import { ImageDir, KINDS } from "../../../src/images/index.ts";
import { listFiles, openChainFile, type PageChain, readChain } from "../../../src/pages/chain.ts";
import * as wire from "../../../src/pages/wire.ts";
import { closeFd, readAt } from "../../../src/sys/file.ts";

const PAGE = 4096n;

export interface Manner {
	/** Bytes of answers after which the connection is cut. */
	readonly cutAfter?: number;
	/** Pages after which nothing is given any more. */
	readonly stallAfter?: number;
	/** Pages given at most for a question. */
	readonly atMost?: bigint;
	/** Waits that long before each answer, in milliseconds. */
	readonly delayMs?: number;
	/** Changes the header of an answer. */
	twist?(message: wire.Message): Partial<wire.Message>;
}

export class Lender {
	private readonly server: Bun.TCPSocketListener<{ rest: Uint8Array }>;
	private readonly dir: ImageDir;
	private readonly chains = new Map<number, PageChain>();
	private readonly files = new Map<PageChain, number>();
	private sent = 0;
	given = 0;
	closed = false;
	private busy: Promise<void> = Promise.resolve();

	constructor(
		images: string,
		private readonly manner: Manner,
	) {
		this.dir = ImageDir.open(images);
		this.server = Bun.listen<{ rest: Uint8Array }>({
			hostname: "127.0.0.1",
			port: 0,
			socket: {
				open: (socket) => {
					socket.data = { rest: new Uint8Array(0) };
				},
				data: (socket, bytes) => {
					const all = Buffer.concat([socket.data.rest, bytes]);
					const whole = all.length - (all.length % wire.SHORT_HEADER);
					socket.data.rest = all.subarray(whole);
					for (let at = 0; at < whole; at += wire.SHORT_HEADER) {
						const view = new DataView(all.buffer, all.byteOffset + at, wire.SHORT_HEADER);
						const message = wire.readHeader(view, wire.SHORT_HEADER);
						this.busy = this.busy.then(() => this.answer(socket, message));
					}
				},
				drain: () => {},
			},
		});
	}

	get port(): number {
		return this.server.port;
	}

	private async answer(socket: Bun.Socket<{ rest: Uint8Array }>, message: wire.Message): Promise<void> {
		const { command, address, target, pages } = message;
		if (command !== wire.PS_GET) {
			if (command === wire.PS_CLOSE) this.closed = true;
			await this.send(socket, new Uint8Array(4));
			return;
		}
		const { stallAfter, delayMs, atMost = 1n << 30n, twist } = this.manner;
		if (stallAfter !== undefined && this.given >= stallAfter) return;
		if (delayMs !== undefined) await Bun.sleep(delayMs);
		const pid = Number(target);
		const chain = this.chains.get(pid) ?? (readChain(this.dir, KINDS.PAGEMAP, pid) as PageChain);
		this.chains.set(pid, chain);
		const run = chain.runs.find((one) => one.address <= address && address < one.address + one.bytes);
		if (run === undefined) throw new Error(`no page 0x${address.toString(16)} of pid ${pid}`);
		const [file] = listFiles(chain);
		const fd = this.files.get(chain) ?? openChainFile(this.dir, file as never, chain.file);
		this.files.set(chain, fd);
		const there = (run.address + run.bytes - address) / PAGE;
		const count = [pages, there, atMost].reduce((a, b) => (a < b ? a : b));
		const header = new Uint8Array(wire.SHORT_HEADER);
		const plain: wire.Message = { command: wire.PS_ADD_F, flags: 4, pages: count, address, target };
		wire.writeHeader(new DataView(header.buffer), 0, wire.SHORT_HEADER, { ...plain, ...twist?.(plain) });
		const bytes = readAt(fd, Number(count * PAGE), run.offset + (address - run.address));
		await this.send(socket, Buffer.concat([header, bytes]));
		this.given += Number(count);
	}

	private async send(socket: Bun.Socket<{ rest: Uint8Array }>, bytes: Uint8Array): Promise<void> {
		const { cutAfter } = this.manner;
		const cut = cutAfter !== undefined && this.sent + bytes.length > cutAfter;
		const rest = cut ? bytes.subarray(0, Math.max(0, cutAfter - this.sent)) : bytes;
		this.sent += bytes.length;
		for (let at = 0; at < rest.length; ) {
			const done = socket.write(rest, at, rest.length - at);
			if (done < 0) return;
			at += done;
			if (at < rest.length) await Bun.sleep(1);
		}
		if (cut) socket.end();
	}

	close(): void {
		this.server.stop(true);
		for (const fd of this.files.values()) closeFd(fd);
		this.dir.close();
	}
}
