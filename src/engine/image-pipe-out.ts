// SPDX-License-Identifier: GPL-2.0-only
// The dump's end of a stream of images: records as they come, pages at the end.

import { BugError, CriuError, isErrno } from "../errors.ts";
import type { ImageChannel, OutgoingImage } from "../images/index.ts";
import { POLLERR } from "../kernel/abi/event-files.ts";
import { closeFd } from "../sys/file.ts";
import { pollFds } from "../sys/poll.ts";
import { countWaiting, isPipe, writeStream } from "../sys/stream-io.ts";
import { encodeHead, encodePlan, encodeRecord, type PlannedPages, RECORD } from "./image-pipe.ts";

/** Between looks at whether all has been read. */
const LOOK_MS = 1;

function brokenStream(cause?: unknown): CriuError {
	return new CriuError("STREAM_BROKEN", "whoever reads the stream of images has ended", {
		cause,
		remedy: "see what the other end of the pipe says; the program here runs on as before",
	});
}

export class ImagePipeOut implements ImageChannel {
	readonly hasPagesLast = true;
	private images = 0;
	private bytes = 0;
	private plan: readonly PlannedPages[] | undefined;
	private nextPages = 0;

	/** Takes over the descriptor. */
	constructor(private readonly fd: number) {
		this.write(encodeHead());
	}

	private write(bytes: Uint8Array): void {
		try {
			writeStream(this.fd, bytes);
		} catch (error) {
			throw this.explain(error);
		}
	}

	create(name: string): OutgoingImage {
		if (this.plan !== undefined) return this.createPages(name, this.plan);
		const number = this.images++;
		let total = 0;
		const announce = (length: number) => {
			total += length;
			this.bytes += length;
			this.write(encodeRecord(RECORD.data, number, length));
		};
		this.write(encodeRecord(RECORD.name, number, new TextEncoder().encode(name)));
		return {
			fd: this.fd,
			announce,
			write: (bytes) => {
				announce(bytes.length);
				this.write(bytes);
			},
			close: () =>
				this.write(encodeRecord(RECORD.whole, number, new Uint8Array(BigUint64Array.of(BigInt(total)).buffer))),
			abandon: () => {},
		};
	}

	/** Only they may come now, in their order, each in one piece. */
	private createPages(name: string, plan: readonly PlannedPages[]): OutgoingImage {
		const index = this.nextPages++;
		const planned = plan[index];
		if (planned?.name !== name) throw new BugError(`${name} comes too late in the stream of images`);
		this.images++;
		return {
			fd: this.fd,
			announce: (length) => {
				if (length !== planned.length) throw new BugError(`${name} has ${length} bytes, not ${planned.length}`);
				this.bytes += length;
				this.write(encodeRecord(RECORD.pages, index, length));
			},
			write: () => {
				throw new BugError(`${name} comes in pieces`);
			},
			close: () => {},
			abandon: () => {},
		};
	}

	beginPages(plan: readonly PlannedPages[]): void {
		this.plan = plan;
		this.write(encodeRecord(RECORD.plan, plan.length, encodePlan(plan)));
	}

	open(name: string): never {
		throw new BugError(`image ${name} can't be read while it's written`);
	}

	/** What waits in the pipe has to be read before the dump may end its tree. */
	finish(): void {
		if (this.plan === undefined || this.nextPages !== this.plan.length) throw new BugError("pages weren't written");
		const totals = BigUint64Array.of(BigInt(this.bytes), BigInt(this.images));
		this.write(encodeRecord(RECORD.end, 0, new Uint8Array(totals.buffer)));
		if (!isPipe(this.fd)) return;
		while (countWaiting(this.fd) > 0) {
			const [state = 0] = pollFds([{ fd: this.fd, events: 0 }], LOOK_MS);
			if ((state & POLLERR) !== 0) throw brokenStream();
		}
	}

	explain(error: unknown): unknown {
		return isErrno(error, "EPIPE", "ECONNRESET") ? brokenStream(error) : error;
	}

	close(): void {
		closeFd(this.fd);
	}
}
