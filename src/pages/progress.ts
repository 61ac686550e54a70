// SPDX-License-Identifier: GPL-2.0-only
// How far the moving of memory has come, told by a thread of the host library (cparts/host/progress.c): a line on a terminal,
// lines of JSON for programs. Where nobody wants to know, nothing is started.

import { onStderr } from "../log.ts";
import type { Options } from "../options.ts";
import { endProgress, hideProgress, noteProgress, startProgress } from "../sys/host.ts";

/** Tells until it's disposed of. Calls cost nothing where nobody listens. */
export class Progress {
	private ok = false;

	private constructor(private readonly active: boolean) {}

	/** `what`: dump, pre-dump, restore, page-server. A failure to begin is none of the run. */
	static open({ progressFd, showsProgress }: Options, what: string): Progress {
		if (progressFd === undefined && !showsProgress) return new Progress(false);
		const active = startProgress(what, showsProgress ? 2 : -1, progressFd ?? -1) === 0;
		if (active && showsProgress) onStderr(hideProgress);
		return new Progress(active);
	}

	/** So many more bytes are to be moved, or fewer. */
	expect(bytes: bigint): void {
		if (this.active) noteProgress(0, Number(bytes));
	}

	/** The same for a number that costs something. */
	expectAll(bytes: () => bigint): void {
		if (this.active) this.expect(bytes());
	}

	/** Adds a u64 at an address of ours, which others count; undefined: no more. */
	follow(address: number | undefined): void {
		if (this.active) noteProgress(0, 0, address ?? 1);
	}

	/** All went well. */
	succeed(): void {
		this.ok = true;
	}

	[Symbol.dispose](): void {
		if (!this.active) return;
		onStderr(undefined);
		endProgress(this.ok);
	}
}
