// SPDX-License-Identifier: GPL-2.0-only
// What becomes of restored processes when the lazy-pages daemon ends too early: a child of ours, which has our descriptors,
// ends them. Without it they would go on, with zeros where pages are missing. Source: cparts/host/lazy-guard.c.

import { closeFd } from "../../sys/file.ts";
import { startLazyGuard } from "../../sys/host.ts";
import { CrLazyFd, CrLazyGuard } from "../../sys/host-layout.ts";
import { type Mapping, mapPrivate } from "../../sys/memory.ts";
import { __WALL, openPidfd, P_PID, sendSignal, WEXITED, waitId } from "../../sys/process.ts";

const SIGKILL = 9;
const SIZE = 16384;
/** Where the child's stack ends, which grows down. */
const STACK_AT = 12288;

export class LazyGuard {
	private readonly memory: Mapping = mapPrivate(SIZE);
	private readonly ownPidfd = openPidfd(process.pid);
	private readonly pid: number;
	private readonly fds = new Map<number, boolean>();
	private list: Mapping | undefined;

	/** @throws KernelError */
	constructor() {
		const { view, address } = this.memory;
		const stack = { stack: BigInt(address), stack_size: BigInt(STACK_AT) };
		CrLazyGuard.write(view, STACK_AT, { list: 0n, pad: 0, pidfd: this.ownPidfd, ...stack });
		this.publish();
		this.pid = startLazyGuard(address + STACK_AT);
	}

	/** Says which descriptors, ours, it keeps open: a userfaultfd, and the pidfd of a process that it ends. See publish. */
	keep(uffd: number, pidfd: number | undefined): void {
		this.fds.set(uffd, false);
		if (pidfd !== undefined) this.fds.set(pidfd, true);
	}

	/** They will be closed. See publish. */
	forget(...fds: number[]): void {
		for (const fd of fds) this.fds.delete(fd);
	}

	/** Makes what was said true. Our end may come at any instant: one store puts a whole list in the place of another. */
	publish(): void {
		const sorted = [...this.fds].sort(([a], [b]) => a - b);
		const list = mapPrivate((sorted.length + 1) * CrLazyFd.size);
		CrLazyFd.write(list.view, 0, { fd: sorted.length, is_pidfd: 0 });
		for (const [index, [fd, isPidfd]] of sorted.entries())
			CrLazyFd.write(list.view, (index + 1) * CrLazyFd.size, { fd, is_pidfd: isPidfd ? 1 : 0 });
		this.memory.view.setBigUint64(STACK_AT + CrLazyGuard.offsets.list, BigInt(list.address), true);
		this.list?.unmap();
		this.list = list;
	}

	/** All pages are there: it isn't needed any more. */
	end(): void {
		sendSignal(this.pid, SIGKILL);
		waitId(P_PID, this.pid, WEXITED | __WALL);
		this.list?.unmap();
		this.memory.unmap();
		closeFd(this.ownPidfd);
	}
}
