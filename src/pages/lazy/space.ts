// SPDX-License-Identifier: GPL-2.0-only
// An address space whose pages come later: what it waits for, and what its userfaultfd tells of it.

import * as uf from "../../kernel/abi/userfaultfd.ts";
import { log } from "../../log.ts";
import type { PendingRanges } from "./pending.ts";
import { readMessages } from "./userfault.ts";

/** The pages that the images have of one task. */
export interface Origin {
	/** Its pid there. */
	readonly pid: number;
	/** By the task's own addresses: what nobody has asked for yet. */
	readonly unasked: PendingRanges;
	/** Who waits for them: the task, and what it has forked. */
	readonly spaces: Space[];
}

export class Space {
	/** Addresses of faults that aren't answered yet. */
	readonly faults: bigint[] = [];
	/** Where the transfer goes on. */
	hint = 0n;

	constructor(
		readonly origin: Origin,
		readonly uffd: number,
		readonly pending: PendingRanges,
		/** Of a process that has this memory; undefined: it isn't known. */
		readonly pidfd: number | undefined,
	) {}

	/**
	 * Takes note of all that its userfaultfd tells; false when that is nothing. Changes come first: a fault may be told before
	 * the move that led to it. `forked`: gets the userfaultfd of a child.
	 *
	 * @throws KernelError
	 */
	listen(forked: (uffd: number) => void): boolean {
		const messages = readMessages(this.uffd);
		for (const message of messages) {
			const { event } = message;
			if (event === uf.UFFD_EVENT_PAGEFAULT) this.faults.push(message.pagefault_address & ~4095n);
			else if (event === uf.UFFD_EVENT_FORK) forked(message.fork_ufd);
			else if (event === uf.UFFD_EVENT_REMAP)
				this.pending.move(message.remap_from, message.remap_to, message.remap_len);
			else if (event === uf.UFFD_EVENT_REMOVE || event === uf.UFFD_EVENT_UNMAP)
				this.pending.take(message.remove_start, message.remove_end);
			else log.warn(`a userfaultfd tells of an unknown event, ${event}`);
		}
		return messages.length > 0;
	}
}
