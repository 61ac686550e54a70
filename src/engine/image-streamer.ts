// SPDX-License-Identifier: GPL-2.0-only
// --stream: images go through a program beside us (criu-image-streamer), over a socket in the images directory: a request for each
// image, by name, and a pipe for its bytes. Source: CRIU's protocol, messages in images/proto/img_streamer.proto.

import { CriuError, ImageError, isErrno } from "../errors.ts";
import { img_streamer_reply_entrySchema, img_streamer_request_entrySchema } from "../images/gen/img_streamer_pb.ts";
import { create, decodeMessage, encodeMessage, type ImageChannel, type OutgoingImage } from "../images/index.ts";
import { POLLHUP, POLLIN } from "../kernel/abi/event-files.ts";
import { O_NONBLOCK, O_RDONLY, O_RDWR } from "../kernel/abi/fcntl.ts";
import { connectStream, passFd } from "../sys/fd-stream.ts";
import { closeFd, openAt } from "../sys/file.ts";
import { makePipe } from "../sys/pipe.ts";
import { pollFds } from "../sys/poll.ts";
import { countWaiting, duplicate, readStream, widenPipe, writeStream } from "../sys/stream-io.ts";
import { takeWaitingFile } from "../sys/waiting-file.ts";

const SOCKETS = { write: "streamer-capture.sock", read: "streamer-serve.sock" } as const;
/** A yes or no. */
const MAX_REPLY = 64;
/** Of the pipe that a task reads its pages from. */
const PIPE_SIZE = 1 << 20;
const REST = 1 << 16;
/** Between looks at whether all has been read. */
const LOOK_MS = 1;
/** Without any progress. */
const PATIENCE_MS = 60_000;

function streamerGone(cause?: unknown): CriuError {
	return new CriuError("STREAMER_GONE", "the image streamer has ended, or doesn't take part any more", {
		cause,
		remedy: "see what it says; then start it again, and criu after it",
	});
}

/** Failures that mean that the other side is gone, told as such. */
function explain(error: unknown): unknown {
	return isErrno(error, "EPIPE", "ECONNRESET", "ENOTCONN") ? streamerGone(error) : error;
}

function attempt<T>(call: () => T): T {
	try {
		return call();
	} catch (error) {
		throw explain(error);
	}
}

/** Pages that a task reads from the pipe that the streamer gets when all else was fetched. */
interface Straight {
	readonly name: string;
	readonly reader: number;
	/** -1: it was asked for. */
	writer: number;
}

export class ImageStreamer implements ImageChannel {
	/** Images that have come, undefined for those that aren't there. */
	private readonly fetched = new Map<string, number | undefined>();
	/** Pipes of images that are whole, as we look into them: not all of it may have been read yet. */
	private readonly unread = new Set<number>();
	private straight: Straight | undefined;

	private constructor(
		private readonly socket: number,
		private readonly places: readonly string[],
	) {}

	/**
	 * Connects to the streamer that waits in a directory. `places`: where files may lie for pages that have to wait.
	 *
	 * @throws CriuError NO_STREAMER
	 */
	static connect(imagesDir: string, imagesFd: number, use: "write" | "read", places: readonly string[]): ImageStreamer {
		try {
			// A path in the directory may be longer than an address holds.
			return new ImageStreamer(connectStream(`/proc/self/fd/${imagesFd}/${SOCKETS[use]}`), places);
		} catch (cause) {
			throw new CriuError("NO_STREAMER", `no image streamer answers at ${imagesDir}/${SOCKETS[use]}`, {
				cause,
				remedy: `start criu-image-streamer --images-dir ${imagesDir} ${use === "write" ? "capture" : "serve"} first`,
			});
		}
	}

	private request(filename: string): void {
		const message = encodeMessage(
			img_streamer_request_entrySchema,
			create(img_streamer_request_entrySchema, { filename }),
		);
		const bytes = new Uint8Array(4 + message.length);
		new DataView(bytes.buffer).setUint32(0, message.length, true);
		bytes.set(message, 4);
		writeStream(this.socket, bytes);
	}

	private receiveReply(filename: string): boolean {
		const head = new Uint8Array(4);
		if (readStream(this.socket, head) < 4) throw streamerGone();
		const size = new DataView(head.buffer).getUint32(0, true);
		if (size > MAX_REPLY)
			throw new CriuError("STREAMER_REPLY", `the image streamer answers for ${filename} with ${size} bytes`, {
				remedy: "check that it's a criu-image-streamer that waits in the images directory",
			});
		const bytes = new Uint8Array(size);
		if (readStream(this.socket, bytes) < size) throw streamerGone();
		const source = { file: `the image streamer's answer for ${filename}`, offset: 0 };
		return decodeMessage(img_streamer_reply_entrySchema, bytes, source).exists;
	}

	create(name: string): OutgoingImage {
		return attempt(() => {
			this.request(name);
			const [reader, fd] = makePipe();
			try {
				passFd(this.socket, reader, process.pid);
			} catch (error) {
				closeFd(fd);
				throw error;
			} finally {
				closeFd(reader);
			}
			return {
				fd,
				announce: () => {},
				write: (bytes) => attempt(() => writeStream(fd, bytes)),
				close: () => {
					if (countWaiting(fd) > 0) this.unread.add(openAt(`/proc/self/fd/${fd}`, O_RDONLY | O_NONBLOCK));
					closeFd(fd);
					this.forgetRead();
				},
				abandon: () => closeFd(fd),
			};
		});
	}

	private forgetRead(): number {
		let waiting = 0;
		for (const pipe of this.unread) {
			const bytes = countWaiting(pipe);
			waiting += bytes;
			if (bytes > 0) continue;
			this.unread.delete(pipe);
			closeFd(pipe);
		}
		return waiting;
	}

	/** The streamer has read all that was written, so nothing depends on us or on what was dumped any more. */
	finish(): void {
		let before = this.forgetRead();
		let since = performance.now();
		while (before > 0) {
			const [state = 0] = pollFds([{ fd: this.socket, events: POLLIN }], LOOK_MS);
			const now = this.forgetRead();
			if (now !== before) since = performance.now();
			const isStuck = performance.now() - since > PATIENCE_MS;
			if (now > 0 && ((state & (POLLHUP | POLLIN)) !== 0 || isStuck)) throw streamerGone();
			before = now;
		}
		const [state = 0] = pollFds([{ fd: this.socket, events: POLLIN }], 0);
		if ((state & POLLHUP) !== 0) throw streamerGone();
	}

	open(name: string): number | undefined {
		if (!this.fetched.has(name))
			this.fetched.set(
				name,
				attempt(() => this.fetch(name)),
			);
		const fd = this.fetched.get(name);
		// Pages are freed where they were read.
		return fd === undefined ? undefined : openAt(`/proc/self/fd/${fd}`, name.startsWith("pages-") ? O_RDWR : O_RDONLY);
	}

	/** The whole image; each is asked for once, and read to its end before the next. */
	private fetch(name: string): number | undefined {
		const [reader, writer] = makePipe();
		try {
			return this.ask(name, writer) ? takeWaitingFile(name, reader, this.places) : undefined;
		} finally {
			closeFd(reader);
		}
	}

	/** Asks for an image, which comes through a pipe, if it's there. The descriptor is closed. */
	private ask(name: string, writer: number): boolean {
		try {
			this.request(name);
			const isThere = this.receiveReply(name);
			if (isThere) passFd(this.socket, writer, process.pid);
			return isThere;
		} finally {
			closeFd(writer);
		}
	}

	openStraight(name: string): { fd: number; length: undefined } | undefined {
		if (this.straight !== undefined || this.fetched.has(name)) return undefined;
		const [reader, writer] = makePipe();
		widenPipe(reader, PIPE_SIZE);
		this.straight = { name, reader, writer };
		return { fd: duplicate(reader), length: undefined };
	}

	beginPlan(): void {
		const { reader = -1, writer = -1 } = this.straight ?? {};
		if (reader >= 0) closeFd(reader);
		if (writer >= 0) closeFd(writer);
		this.straight = undefined;
	}

	receive(): void {
		const { straight } = this;
		if (straight === undefined) return;
		const { name, reader, writer } = straight;
		if (writer < 0) {
			// The streamer gets rid of what no pagemap tells of, too.
			for (const rest = new Uint8Array(REST); readStream(reader, rest) === REST; );
			this.beginPlan();
			return;
		}
		straight.writer = -1;
		if (attempt(() => this.ask(name, writer))) return;
		throw new ImageError("IMAGE_MISSING", `the image streamer has no ${name}`, {
			file: name,
			remedy: "dump again; the images are incomplete",
		});
	}

	/** A task that reads a pipe can't tell its end apart from other failures of reading. */
	explain(error: unknown): unknown {
		const { straight } = this;
		const isCut = straight?.writer === -1 && error instanceof CriuError && isErrno(error.cause ?? error, "EIO");
		if (!isCut) return explain(error);
		const [state = 0] = pollFds([{ fd: this.socket, events: POLLIN }], 0);
		if ((state & POLLHUP) !== 0) return streamerGone(error);
		return new ImageError("IMAGE_TRUNCATED", `image ${straight.name} ends too early, or the streamer does`, {
			file: straight.name,
			cause: error,
			remedy: "see what the image streamer says; if nothing, dump again: the images are incomplete",
		});
	}

	close(): void {
		this.beginPlan();
		for (const pipe of this.unread) closeFd(pipe);
		for (const fd of this.fetched.values()) if (fd !== undefined) closeFd(fd);
		this.unread.clear();
		this.fetched.clear();
		closeFd(this.socket);
	}
}
