// SPDX-License-Identifier: GPL-2.0-only
// Copies parts of files into images or sockets. Source: sendfile(2).

import { KernelError } from "../errors.ts";
import { SYS_sendfile } from "../kernel/abi/syscalls.x86_64.ts";
import { readAt, writeAll } from "../sys/file.ts";
import { noteProgress, syscall } from "../sys/host.ts";
import { earlier } from "./pagemap.ts";

const EINVAL = 22;
const COPY_PIECE = 1n << 20n;
/** So much at once that the call costs nothing, and so little that somebody can be told of it. */
const SEND_PIECE = 64n << 20n;

/** For files that can't be spliced, as those of huge pages. */
function copyByBuffer(from: number, start: bigint, to: number, length: bigint): void {
	for (let done = 0n; done < length; done += COPY_PIECE) {
		const size = length - done < COPY_PIECE ? length - done : COPY_PIECE;
		const bytes = readAt(from, Number(size), start + done);
		if (BigInt(bytes.length) !== size) throw new KernelError("pread64", 5, "of shared memory: it shrank meanwhile");
		writeAll(to, bytes);
		noteProgress(bytes.length, 0);
	}
}

/** Appends a part of a file to a pages image, inside the kernel where that's possible. */
export function copyFileRange(from: number, start: bigint, to: number, length: bigint): void {
	const offset = new BigUint64Array([start]);
	let left = length;
	while (left > 0n) {
		const done = syscall(SYS_sendfile, to, from, offset, earlier(left, SEND_PIECE));
		if (done === -EINVAL) {
			copyByBuffer(from, offset[0] ?? start, to, left);
			return;
		}
		if (done < 0) throw new KernelError("sendfile", -done, "of shared memory to the pages image");
		if (done === 0) throw new KernelError("sendfile", 5, "of shared memory: it shrank meanwhile");
		left -= BigInt(done);
		noteProgress(done, 0);
	}
}
