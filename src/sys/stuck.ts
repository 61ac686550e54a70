// SPDX-License-Identifier: GPL-2.0-only
// Our own end where a call never comes back, as of files on a file system that doesn't answer: what stands still because of us
// goes on then. A thread of the host library watches.

import { addressOf, endStuckWatch, startStuckWatch } from "./host.ts";
import { CrStuck } from "./host-layout.ts";

const encoder = new TextEncoder();

/** What is said at the end, to standard error and to a log. */
export interface LastWords {
	readonly text: string;
	readonly logFd: number;
}

/** Watches over stretches of work in which no call takes long. Use with `using`. */
export class StuckWatch {
	private readonly armed = new Uint32Array(1);
	private readonly text: Uint8Array;

	/** One call may take so many seconds. Where there can't be a thread nothing is watched. */
	constructor(seconds: number, { text, logFd }: LastWords) {
		this.text = encoder.encode(text);
		const length = BigInt(this.text.length);
		startStuckWatch(
			CrStuck.encode({
				text: addressOf(this.text),
				length,
				armed: addressOf(this.armed),
				seconds,
				log_fd: logFd,
			}),
		);
	}

	/** Does work that is watched over. */
	during<T>(work: () => T): T {
		this.armed[0] = 1;
		try {
			return work();
		} finally {
			this.armed[0] = 0;
		}
	}

	[Symbol.dispose](): void {
		endStuckWatch();
	}
}
