// SPDX-License-Identifier: GPL-2.0-only
// What pipes hold, looked at through one more pipe of ours; for the many that hold little. Source: tee(2), pipe(7).

import { KernelError } from "../../errors.ts";
import { O_CLOEXEC, O_NONBLOCK } from "../../kernel/abi/fcntl.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { SYS_pipe2 } from "../../kernel/abi/syscalls.x86_64.ts";
import { closeFd } from "../../sys/file.ts";
import { addressOf, mustSyscall, peekPipe } from "../../sys/host.ts";
import { CrPipePeek } from "../../sys/host-layout.ts";
import type { DumpContext } from "../kind.ts";

/** What is read in one go: all that a pipe of the usual size can hold. */
const ROOM = 65536;

/** Looks into one pipe after the other. */
class PipePeeker {
	private readonly ends = new Int32Array(2);
	private readonly room = new Uint8Array(ROOM);
	private readonly block: Uint8Array;
	private readonly view: DataView;

	constructor() {
		mustSyscall("for the content of pipes", SYS_pipe2, this.ends, O_CLOEXEC | O_NONBLOCK);
		const [read_end = -1, write_end = -1] = this.ends;
		this.block = CrPipePeek.encode({ data: addressOf(this.room), capacity: ROOM, read_end, write_end });
		this.view = viewOf(this.block);
	}

	/** `data` is valid until the next look, and shorter than `bytes` when it isn't all. @throws KernelError */
	look(fd: number): { size: number; bytes: number; data: Uint8Array } {
		this.view.setInt32(CrPipePeek.offsets.fd, fd, true);
		const ret = peekPipe(this.block);
		if (ret < 0) throw new KernelError("tee", -ret, `of the pipe of fd ${fd}`);
		const word = (offset: number) => this.view.getUint32(offset, true);
		const { size, bytes, copied } = CrPipePeek.offsets;
		return { size: word(size), bytes: word(bytes), data: this.room.subarray(0, word(copied)) };
	}

	close(): void {
		for (const fd of this.ends) closeFd(fd);
		this.ends.fill(-1);
	}
}

/** Capacity of a pipe, how much it holds, and the content unless that's more than 64 KiB; `fd` is a read end. @throws KernelError */
export function lookIntoPipe(fd: number, context: DumpContext): { size: number; bytes: number; data: Uint8Array } {
	const peeker = context.once("pipe-peeker", () => {
		const made = new PipePeeker();
		context.files.atEnd(() => made.close());
		context.files.onFailure(() => made.close());
		return made;
	});
	return peeker.look(fd);
}
