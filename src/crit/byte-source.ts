// SPDX-License-Identifier: GPL-2.0-only
// Bytes from a file or a pipe, from its start to its end, with one window of it in memory. What has to be read twice
// (`remember`) is put aside in a file without a name when it comes from a pipe.

import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { CriuError } from "../errors.ts";
import { toKernelError, truncated } from "../images/framing.ts";
import { O_CLOEXEC, O_TMPFILE } from "../kernel/abi/fcntl.ts";

const WINDOW_SIZE = 256 * 1024;
/** Between tries when a non-blocking stdin has nothing yet. */
const RETRY_MS = 5;

/** A file without a name; it's gone when it is closed. Beside the output where possible, since that has to have room anyway. */
export function openNameless(dir = tmpdir()): number {
	try {
		return openSync(dir, constants.O_RDWR | O_TMPFILE | O_CLOEXEC, 0o600);
	} catch (error) {
		throw new CriuError("SPOOL", `cannot put data aside in ${dir}`, {
			cause: toKernelError(error, dir),
			remedy: "set TMPDIR to a folder with room for it",
		});
	}
}

/** Writes all of it. */
export function writeFully(fd: number, bytes: Uint8Array): void {
	for (let at = 0; at < bytes.length; ) {
		try {
			at += writeSync(fd, bytes, at, bytes.length - at);
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
			Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
		}
	}
}

export class ByteSource {
	#fd: number;
	#owned: boolean;
	/** Where the next read from the file starts; undefined for what can't be read at a place. */
	#fileAt: number | undefined;
	#window: Uint8Array;
	#start = 0;
	#end = 0;
	#offset = 0;
	#ended = false;

	private constructor(
		fd: number,
		owned: boolean,
		/** For messages. */
		readonly name: string,
		windowSize = WINDOW_SIZE,
	) {
		this.#fd = fd;
		this.#owned = owned;
		this.#fileAt = undefined;
		this.#window = new Uint8Array(windowSize);
	}

	/** Opens a file by path; undefined is stdin. @throws CriuError CRIT_INPUT */
	static open(path: string | undefined, windowSize?: number): ByteSource {
		if (path === undefined) return new ByteSource(0, false, "stdin", windowSize);
		try {
			const fd = openSync(path, constants.O_RDONLY | O_CLOEXEC);
			const source = new ByteSource(fd, true, path, windowSize);
			if (fstatSync(fd).isFile()) source.#fileAt = 0;
			return source;
		} catch (error) {
			throw new CriuError("CRIT_INPUT", `cannot open ${path}`, {
				cause: toKernelError(error, path),
				remedy: "name a file that exists and may be read",
			});
		}
	}

	/** Takes over a descriptor of a regular file. */
	static fromFd(fd: number, name: string): ByteSource {
		const source = new ByteSource(fd, true, name, 64 * 1024);
		source.#fileAt = 0;
		return source;
	}

	/** Bytes taken so far. */
	get offset(): number {
		return this.#offset;
	}

	/** Reads more into the window; false at the end. */
	#fill(): boolean {
		if (this.#ended) return false;
		if (this.#start > 0) {
			this.#window.copyWithin(0, this.#start, this.#end);
			this.#end -= this.#start;
			this.#start = 0;
		}
		if (this.#end === this.#window.length) {
			const larger = new Uint8Array(this.#window.length * 2);
			larger.set(this.#window);
			this.#window = larger;
		}
		const count = this.#read(this.#window, this.#end, this.#window.length - this.#end);
		this.#end += count;
		this.#ended = count === 0;
		return count > 0;
	}

	#read(into: Uint8Array, at: number, length: number): number {
		for (;;) {
			try {
				const count = readSync(this.#fd, into, at, length, this.#fileAt ?? null);
				if (this.#fileAt !== undefined) this.#fileAt += count;
				return count;
			} catch (error) {
				const { code } = error as NodeJS.ErrnoException;
				if (code === "EOF") return 0;
				if (code !== "EAGAIN") {
					throw new CriuError("CRIT_INPUT", `cannot read ${this.name}`, {
						cause: toKernelError(error, this.name),
						remedy: "name a file that may be read",
					});
				}
				Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
			}
		}
	}

	/** True when nothing is left. */
	isAtEnd(): boolean {
		return this.#start === this.#end && !this.#fill();
	}

	/** What of the source is in memory, at least one byte of it unless it's at its end. Valid until the next call. */
	peekWindow(): Uint8Array {
		if (this.#start === this.#end) this.#fill();
		return this.#window.subarray(this.#start, this.#end);
	}

	/** Steps over what `peekWindow` showed. */
	advance(length: number): void {
		this.#start += length;
		this.#offset += length;
	}

	/** The next `length` bytes, valid until the next call. @throws ImageError IMAGE_TRUNCATED: `what` ends too early. */
	take(length: number, what: string): Uint8Array {
		const started = this.#offset;
		while (this.#end - this.#start < length) {
			if (!this.#fill()) throw truncated(this.name, started, what);
		}
		const bytes = this.#window.subarray(this.#start, this.#start + length);
		this.advance(length);
		return bytes;
	}

	/** The next `length` bytes in pieces, each a multiple of `unit` long but the last. */
	*pieces(length: number, unit: number, what: string): Generator<Uint8Array, void, undefined> {
		const started = this.#offset;
		for (let left = length; left > 0; ) {
			const wanted = Math.min(left, unit);
			while (this.#end - this.#start < wanted) {
				if (!this.#fill()) throw truncated(this.name, started, what);
			}
			const there = Math.min(this.#end - this.#start, left);
			const piece = there === left ? there : there - (there % unit);
			left -= piece;
			const bytes = this.#window.subarray(this.#start, this.#start + piece);
			this.advance(piece);
			yield bytes;
		}
	}

	/** All that is left in pieces, each a multiple of `unit` long but the last. */
	*rest(unit: number): Generator<Uint8Array, void, undefined> {
		while (!this.isAtEnd()) {
			while (this.#end - this.#start < unit && this.#fill());
			const there = this.#end - this.#start;
			const piece = there < unit ? there : there - (there % unit);
			const bytes = this.#window.subarray(this.#start, this.#start + piece);
			this.advance(piece);
			yield bytes;
		}
	}

	/** Steps over `length` bytes. */
	skip(length: number, what: string): void {
		for (const _ of this.pieces(length, 1, what));
	}

	/**
	 * A place to come back to. What comes from a pipe is put aside first, all of it.
	 * @throws CriuError SPOOL
	 */
	remember(): () => void {
		if (this.#fileAt === undefined) this.#spool();
		const fileAt = (this.#fileAt ?? 0) - (this.#end - this.#start);
		const offset = this.#offset;
		return () => {
			this.#fileAt = fileAt;
			this.#start = 0;
			this.#end = 0;
			this.#offset = offset;
			this.#ended = false;
		};
	}

	#spool(): void {
		const fd = openNameless();
		const inMemory = this.#end - this.#start;
		writeFully(fd, this.#window.subarray(this.#start, this.#end));
		const buffer = new Uint8Array(WINDOW_SIZE);
		for (let count = this.#read(buffer, 0, buffer.length); count > 0; count = this.#read(buffer, 0, buffer.length)) {
			writeFully(fd, buffer.subarray(0, count));
		}
		if (this.#owned) closeSync(this.#fd);
		this.#fd = fd;
		this.#owned = true;
		this.#fileAt = inMemory;
		this.#ended = false;
	}

	[Symbol.dispose](): void {
		if (this.#owned) closeSync(this.#fd);
		this.#owned = false;
	}
}
