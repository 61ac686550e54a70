// SPDX-License-Identifier: GPL-2.0-only
// What a restore and the lazy-pages daemon say to each other, over a socket in the work directory: for each task its pid in the
// images, and a userfaultfd; the negative pid when it waits for nothing. Then, once all of them run, one word.

import { CriuError, messageOf } from "../../errors.ts";
import { POLLIN } from "../../kernel/abi/event-files.ts";
import {
	acceptStream,
	connectStream,
	listenStream,
	passFd,
	receiveWord,
	sendWord,
	takeFd,
} from "../../sys/fd-stream.ts";
import { closeFd } from "../../sys/file.ts";
import { pollFds } from "../../sys/poll.ts";

/** Relative to the work directory. */
export const LAZY_SOCKET = "lazy-pages.socket";
const FINISHED = 0x52535446;
const BACKLOG = 10;

function lostDaemon(cause?: unknown): CriuError {
	return new CriuError("LAZY_DAEMON_GONE", "the lazy-pages daemon ended before the restore was over", {
		cause,
		remedy: "look into its log (criu lazy-pages -o FILE), then start it and the restore again",
	});
}

/** A restore's side. */
export class LazyHandover {
	private constructor(private readonly fd: number) {}

	/** @throws CriuError NO_LAZY_DAEMON */
	static connect(): LazyHandover {
		try {
			return new LazyHandover(connectStream(LAZY_SOCKET));
		} catch (error) {
			throw new CriuError("NO_LAZY_DAEMON", `no lazy-pages daemon listens at ${LAZY_SOCKET} in the work directory`, {
				cause: error,
				remedy: "start `criu lazy-pages` with the same --work-dir (or --images-dir) before the restore",
			});
		}
	}

	private tell(send: () => void): void {
		try {
			send();
		} catch (error) {
			throw lostDaemon(error);
		}
	}

	/** The memory of a task is the daemon's business from here on. `pid`: as we see it. */
	pass(imagePid: number, pid: number, uffd: number): void {
		this.tell(() => sendWord(this.fd, imagePid));
		this.tell(() => passFd(this.fd, uffd, pid));
	}

	/** A task has all it needs. */
	skip(imagePid: number): void {
		this.tell(() => sendWord(this.fd, -imagePid));
	}

	/** @throws CriuError LAZY_DAEMON_GONE */
	check(): void {
		const [events = 0] = pollFds([{ fd: this.fd, events: POLLIN }], 0);
		if (events !== 0) throw lostDaemon();
	}

	/** All tasks run. */
	finish(): void {
		this.tell(() => sendWord(this.fd, FINISHED));
	}

	close(): void {
		closeFd(this.fd);
	}
}

/** A task of a restore. */
export interface Received {
	readonly imagePid: number;
	/** As we see it; 0 when we can't. */
	readonly pid: number;
	/** Ours. */
	readonly uffd: number;
}

function refuse(problem: string): CriuError {
	return new CriuError("LAZY_RESTORE", problem, {
		remedy: "look into the log of the restore, then start the daemon and the restore again",
	});
}

/** The daemon's side, before a restore has come. @throws KernelError */
export function listenForRestore(): number {
	return listenStream(LAZY_SOCKET, BACKLOG);
}

/** The daemon's side. */
export class RestoreConnection {
	private constructor(readonly fd: number) {}

	/** Waits for a restore. @throws KernelError */
	static accept(listening: number): RestoreConnection {
		return new RestoreConnection(acceptStream(listening));
	}

	/**
	 * Waits for the records of that many tasks.
	 *
	 * @throws CriuError LAZY_RESTORE
	 */
	*receive(tasks: number): Generator<Received> {
		for (let left = tasks; left > 0; left--) {
			const word = this.next();
			if (word < 0) continue;
			const passed = takeFd(this.fd);
			if (passed === undefined) throw refuse(`the restore names pid ${word} without its memory`);
			yield { imagePid: word, pid: passed.pid, uffd: passed.fd };
		}
	}

	private next(): number {
		let word: number | undefined;
		try {
			word = receiveWord(this.fd);
		} catch (error) {
			throw refuse(`the restore can't be heard: ${messageOf(error)}`);
		}
		if (word === undefined) throw refuse("Restorer unexpectedly closed the connection");
		if (word === 0 || word === -0x80000000) throw refuse(`the restore names pid ${word}`);
		return word;
	}

	/** To be called when there is something to be read: the restore is over. @throws CriuError LAZY_RESTORE when it failed */
	receiveEnd(): void {
		const word = this.next();
		if (word !== FINISHED) throw refuse(`Unexpected response from the restore: ${word}`);
	}

	close(): void {
		closeFd(this.fd);
	}
}
