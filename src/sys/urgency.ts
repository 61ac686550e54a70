// SPDX-License-Identifier: GPL-2.0-only
// The nice value of our main thread, for instants in which a program stands still: others' work needn't be waited for then.
// Source: setpriority(2), sched(7).

import { PRIO_PROCESS } from "../kernel/abi/resource.ts";
import { SYS_getpriority, SYS_setpriority } from "../kernel/abi/syscalls.x86_64.ts";
import { syscall } from "./host.ts";

const MOST_URGENT = -20;

/** An instant that is urgent, from `begin` to `end`, any number of times. Use with `using`. */
export class Urgency {
	private before: number | undefined;

	/** Goes ahead of all others of ordinary scheduling, where that's allowed. */
	begin(): void {
		if (this.before !== undefined) return;
		const nice = 20 - syscall(SYS_getpriority, PRIO_PROCESS, 0);
		if (nice > MOST_URGENT && syscall(SYS_setpriority, PRIO_PROCESS, 0, MOST_URGENT) === 0) this.before = nice;
	}

	/** Takes the old place again. */
	end(): void {
		if (this.before !== undefined) syscall(SYS_setpriority, PRIO_PROCESS, 0, this.before);
		this.before = undefined;
	}

	[Symbol.dispose](): void {
		this.end();
	}
}
