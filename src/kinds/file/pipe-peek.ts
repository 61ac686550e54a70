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

/** What a pipe holds. */
export interface PipeLook {
	/** Its capacity. */
	readonly size: number;
	readonly bytes: number;
	/** Valid until the next look; shorter than `bytes` when that is more than 64 KiB, or packets. */
	readonly data: Uint8Array;
	/** Packets are seen among it, in whatever mode its ends are now; such of one byte can be overlooked. */
	readonly hasPackets: boolean;
}

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

	/** @throws KernelError */
	look(fd: number): PipeLook {
		this.view.setInt32(CrPipePeek.offsets.fd, fd, true);
		const ret = peekPipe(this.block);
		if (ret < 0) throw new KernelError("tee", -ret, `of the pipe of fd ${fd}`);
		const word = (offset: number) => this.view.getUint32(offset, true);
		const { size, bytes, copied, packets } = CrPipePeek.offsets;
		const data = this.room.subarray(0, word(copied));
		return { size: word(size), bytes: word(bytes), data, hasPackets: word(packets) !== 0 };
	}

	close(): void {
		for (const fd of this.ends) closeFd(fd);
		this.ends.fill(-1);
	}
}

/** What a pipe holds; `fd` is a read end. @throws KernelError */
export function lookIntoPipe(fd: number, context: DumpContext): PipeLook {
	const peeker = context.once("pipe-peeker", () => {
		const made = new PipePeeker();
		context.files.atEnd(() => made.close());
		context.files.onFailure(() => made.close());
		return made;
	});
	return peeker.look(fd);
}
