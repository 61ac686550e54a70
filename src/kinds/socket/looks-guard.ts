// SPDX-License-Identifier: GPL-2.0-only
// Looks behind the first message of a queue move a mark of the socket (SO_PEEK_OFF). A child of ours puts it back when we're
// killed meanwhile. Source: socket(7), cparts/host/looks.c.

import { closeFd } from "../../sys/file.ts";
import { startLooksGuard } from "../../sys/host.ts";
import { CrLooks } from "../../sys/host-layout.ts";
import { type Mapping, mapPrivate } from "../../sys/memory.ts";
import { __WALL, openPidfd, P_PID, sendSignal, WEXITED, waitId } from "../../sys/process.ts";
import { onLooksEnd } from "../file/open-files.ts";
import type { DumpContext } from "../kind.ts";

const SIGKILL = 9;
const SIZE = 8192;
const NO_FD = -1;
/** Where the child's stack ends, which grows down. */
const STACK_AT = 4096;

/** The child, from the first look that needs one up to the end of a dump. */
export class LooksGuard {
	private readonly memory: Mapping;
	private readonly pidfd: number;
	private readonly pid: number;

	private constructor() {
		this.pidfd = openPidfd(process.pid);
		this.memory = mapPrivate(SIZE);
		const { view, address } = this.memory;
		const stack = { stack: BigInt(address + STACK_AT), stack_size: BigInt(SIZE - STACK_AT) };
		CrLooks.write(view, 0, { fd: NO_FD, before: NO_FD, pidfd: this.pidfd, pad: 0, ...stack });
		this.pid = startLooksGuard(address);
	}

	/** The guard of a dump, started at first use. @throws KernelError */
	static of(context: Pick<DumpContext, "once">): LooksGuard {
		return context.once("looks-guard", () => {
			const guard = new LooksGuard();
			onLooksEnd(context, () => guard.end());
			return guard;
		});
	}

	/** From here on the mark of a socket is put back to `before` when we end. */
	arm(fd: number, before: number): void {
		this.memory.view.setInt32(CrLooks.offsets.before, before, true);
		this.memory.view.setInt32(CrLooks.offsets.fd, fd, true);
	}

	/** The mark is where the program has it. */
	disarm(): void {
		this.memory.view.setInt32(CrLooks.offsets.fd, NO_FD, true);
	}

	private end(): void {
		sendSignal(this.pid, SIGKILL);
		waitId(P_PID, this.pid, WEXITED | __WALL);
		this.memory.unmap();
		closeFd(this.pidfd);
	}
}
