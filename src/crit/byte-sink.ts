// SPDX-License-Identifier: GPL-2.0-only
// Where crit writes to: stdout, memory, or a file that gets its name only when all is written, so that a run that
// fails leaves an older file as it was, and input and output may be the same file.

import { closeSync, constants, fchmodSync, openSync, realpathSync, renameSync, statSync, unlinkSync } from "node:fs";
import { dirname } from "node:path";
import { CriuError } from "../errors.ts";
import { toKernelError } from "../images/framing.ts";
import { O_CLOEXEC } from "../kernel/abi/fcntl.ts";
import { writeFully } from "./byte-source.ts";

const BUFFER_SIZE = 256 * 1024;

export abstract class ByteSink {
	#buffer = new Uint8Array(BUFFER_SIZE);
	#filled = 0;

	/** Takes these bytes further; they are valid during the call only. */
	protected abstract put(bytes: Uint8Array): void;

	/** Appends bytes. They are copied, the caller may use them again. */
	write(bytes: Uint8Array): void {
		if (bytes.length > BUFFER_SIZE - this.#filled) this.flush();
		if (bytes.length > BUFFER_SIZE) this.put(bytes);
		else {
			this.#buffer.set(bytes, this.#filled);
			this.#filled += bytes.length;
		}
	}

	/** Appends text as UTF-8. */
	text(text: string): void {
		const { read, written } = encoder.encodeInto(text, this.#buffer.subarray(this.#filled));
		if (read === text.length) this.#filled += written;
		else this.write(Buffer.from(text));
	}

	flush(): void {
		if (this.#filled === 0) return;
		const length = this.#filled;
		this.#filled = 0;
		this.put(this.#buffer.subarray(0, length));
	}

	/** All is written. */
	close(): void {
		this.flush();
	}
}

const encoder = new TextEncoder();

/** Keeps what is written. */
export class MemorySink extends ByteSink {
	readonly #parts: Uint8Array[] = [];

	protected put(bytes: Uint8Array): void {
		this.#parts.push(bytes.slice());
	}

	/** All that was written. */
	bytes(): Uint8Array {
		this.flush();
		return Buffer.concat(this.#parts);
	}
}

/** The reader of stdout has gone away: nothing more needs to be written. */
export class ReaderGone extends Error {}

class FdSink extends ByteSink {
	constructor(
		protected fd: number,
		protected readonly shown: string,
	) {
		super();
	}

	protected put(bytes: Uint8Array): void {
		try {
			writeFully(this.fd, bytes);
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code === "EPIPE") throw new ReaderGone();
			throw outputFailure(this.shown, error);
		}
	}
}

function outputFailure(shown: string, error: unknown): CriuError {
	return new CriuError("CRIT_OUTPUT", `cannot write ${shown}`, {
		cause: toKernelError(error, shown),
		remedy: "check its folder, its permissions and the space on its file system",
	});
}

class NewFileSink extends FdSink {
	constructor(
		fd: number,
		private readonly draft: string,
		private readonly path: string,
	) {
		super(fd, path);
	}

	override close(): void {
		super.close();
		try {
			closeSync(this.fd);
			this.fd = -1;
			renameSync(this.draft, this.path);
		} catch (error) {
			throw outputFailure(this.path, error);
		}
	}

	[Symbol.dispose](): void {
		if (this.fd < 0) return;
		closeSync(this.fd);
		this.fd = -1;
		unlinkSync(this.draft);
	}
}

export type DisposableSink = ByteSink & Partial<Disposable>;

/** The mode of the file that is replaced; undefined for a new one. @throws CriuError CRIT_OUTPUT for what is no file */
function findTarget(path: string): { real: string; mode: number | undefined; isFile: boolean } {
	try {
		const real = realpathSync(path);
		const stat = statSync(real);
		return { real, mode: stat.mode & 0o7777, isFile: stat.isFile() };
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === "ENOENT") return { real: path, mode: undefined, isFile: true };
		throw outputFailure(path, error);
	}
}

/** Opens what `--out` names; undefined is stdout. Close it when all is written, dispose it in any case. */
export function openSink(path: string | undefined): DisposableSink {
	if (path === undefined) return new FdSink(1, "stdout");
	const { real, mode, isFile } = findTarget(path);
	const { O_WRONLY, O_CREAT, O_EXCL, O_TRUNC } = constants;
	if (isFile) {
		const draft = `${real}.crit-${process.pid}`;
		try {
			const fd = openSync(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666);
			if (mode !== undefined) fchmodSync(fd, mode);
			return new NewFileSink(fd, draft, real);
		} catch (error) {
			// The file alone may be writable.
			if (mode === undefined) throw outputFailure(path, error);
		}
	}
	try {
		return new FdSink(openSync(real, O_WRONLY | O_TRUNC | O_CLOEXEC), path);
	} catch (error) {
		throw outputFailure(path, error);
	}
}

/** Folder of an output, for what has to be put aside; undefined for stdout. */
export function folderOf(path: string | undefined): string | undefined {
	return path === undefined ? undefined : dirname(path);
}
