// SPDX-License-Identifier: GPL-2.0-only
// Freezing: a task is seized, stands still, and is looked at. Whatever happens afterwards, letting go puts it back.

import { detachThread, interruptThread, passOnDeath, readStoppedThread, seizeThread } from "../agent/tracee.ts";
import { CriuError } from "../errors.ts";
import { faultPoint } from "../fault.ts";
import { readSmaps } from "../kernel/procfs/maps.ts";
import { readStat } from "../kernel/procfs/stat.ts";
import { type ProcStatus, readStatus } from "../kernel/procfs/status.ts";
import type { DumpedTask } from "../kinds/kind.ts";
import { closeFd } from "../sys/file.ts";
import { openPidfd, sendSignal } from "../sys/process.ts";

const SIGSTOP = 19;
const SIGKILL = 9;
const NO_TIMEOUT_MS = 10_000;

/** A task that stands still until it is let go. */
export interface FrozenTask {
	readonly task: DumpedTask;
	/** Lets it run on, or, with `stopped`, leaves it in a group stop that SIGCONT ends. */
	release(stopped: boolean): void;
	/** Ends it. */
	kill(): void;
	/** Lets it run on unless it was released or killed already. */
	[Symbol.dispose](): void;
}

/** A signal waits that would run a handler: a call that ended with EINTR ended for that reason. */
function hasPendingHandler(status: ProcStatus): boolean {
	return ((status.sigPnd | status.shdPnd) & ~status.sigBlk & status.sigCgt) !== 0n;
}

/**
 * Seizes a task and reads all that can be seen of it from outside. `onStop` is called when it stands still.
 *
 * @throws CriuError NO_SUCH_TASK, STOP_TIMEOUT, TASK_GONE, COMPAT_TASK; KernelError EPERM
 */
export function freezeTask(pid: number, timeoutSec: number, onStop: () => void = () => {}): FrozenTask {
	const deadline = performance.now() + (timeoutSec > 0 ? timeoutSec * 1000 : NO_TIMEOUT_MS);
	const pidfd = openPidfd(pid);
	let attached = false;
	const letGo = (until?: number) => {
		if (!attached) return;
		attached = false;
		detachThread(pid, until);
	};
	try {
		seizeThread(pid, 0);
		attached = true;
		const groupStop = interruptThread(pid, deadline);
		onStop();
		faultPoint("dump:seized");
		const status = readStatus(pid);
		const thread = readStoppedThread(pid, groupStop, hasPendingHandler(status));
		const task: DumpedTask = {
			pid,
			vpid: status.nsTgid[status.nsTgid.length - 1] ?? pid,
			isRoot: true,
			pidfd,
			stat: readStat(pid),
			status,
			vmas: readSmaps(pid),
			thread,
		};
		return {
			task,
			release(stopped) {
				if (stopped && groupStop === 0) sendSignal(pid, SIGSTOP);
				letGo();
				closeFd(pidfd);
			},
			kill() {
				sendSignal(pid, SIGKILL);
				attached = false;
				// Only then can its parent reap it: the pid is free as soon as that has.
				passOnDeath(pid);
				closeFd(pidfd);
			},
			[Symbol.dispose]() {
				if (!attached) return;
				letGo();
				closeFd(pidfd);
			},
		};
	} catch (error) {
		try {
			// All of the time may be used up by now; one that still doesn't stop is let go when we end.
			letGo(deadline);
		} catch (undo) {
			if (error instanceof CriuError) error.undo.push(undo);
		}
		closeFd(pidfd);
		throw error;
	}
}
