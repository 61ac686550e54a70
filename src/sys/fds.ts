// SPDX-License-Identifier: GPL-2.0-only
// Descriptors of another process, looked at by the hundred. Source: proc_pid_fd(5), proc_pid_fdinfo(5), pidfd_getfd(2),
// kcmp(2), fcntl(2).

import { CriuError, KernelError } from "../errors.ts";
import { errnoNumber } from "../kernel/abi/errno.ts";
import { S_IFMT } from "../kernel/abi/stat.ts";
import { viewOf } from "../kernel/abi/struct.ts";
import { decodeStatx, type FileStat } from "./file.ts";
import { addressOf, closeAll, readFds } from "./host.ts";
import { CrFd, CrFds } from "./host-layout.ts";

const { offsets } = CrFd;
/** How many are looked at in one call. */
const BATCH = 512;
/** So many are looked at by two threads: the kernel takes longer for them than for making the thread. */
const WORTH_A_THREAD = 64;
const FIRST_TEXT = 256 * 1024;
/** No fdinfo can honestly be larger: an epoll with a million files. */
const MAX_TEXT = 1 << 28;
const CALLS = ["open", "open", "read", "readlink", "pidfd_getfd", "statx", "fcntl"];
/** Offsets in `struct statx`: of the type, and of what else tells one file from others (inode, device). */
const STATX_MODE = 0x1c;
const SAME_FILE = [0x20, 0x24, 0x88, 0x8c];
const ENOBUFS = errnoNumber("ENOBUFS");

/** Whose descriptors are looked at, and with whose they are compared. */
export interface FdScanRequest {
	readonly pid: number;
	readonly pidfd: number;
	readonly fds: readonly number[];
	/** What goes before the paths of links to reach them from here. */
	readonly prefix: Uint8Array;
	/** A process that may have the same open file under a number. */
	readonly other?: { readonly pid: number; has(fd: number): boolean } | undefined;
}

/** One descriptor; valid until the next one is shown. */
export interface ScannedFd {
	readonly fd: number;
	/** The other process has the same open file under this number: all but fdinfo is as there, and not told again. */
	readonly isShared: boolean;
	/** All text of a batch, each byte a letter, and where the fdinfo stands in it. */
	readonly text: string;
	readonly infoAt: number;
	readonly infoEnd: number;
	/** The same as bytes. */
	readonly info: Uint8Array;
	/** A copy. */
	readonly link: Uint8Array;
	readonly ownFd: number;
	readonly stat: FileStat;
	/** True when the path that the link shows, taken literally, leads to the same file. */
	readonly isAtPath: boolean;
	/** F_GETOWN_EX, F_GETSIG, F_GETOWNER_UIDS; zeros for handles. */
	readonly owner: { type: number; pid: number; signum: number; uid: number; euid: number };
}

class Scanner implements ScannedFd {
	text = "";
	private readonly list = new Uint8Array(BATCH * CrFd.size);
	readonly view = viewOf(this.list);
	private bytes = new Uint8Array(FIRST_TEXT);
	private at = 0;

	get fd(): number {
		return this.word(offsets.fd);
	}

	get isShared(): boolean {
		return this.word(offsets.shared) !== 0;
	}

	get infoAt(): number {
		return this.word(offsets.info_at);
	}

	get infoEnd(): number {
		return this.word(offsets.info_at) + this.word(offsets.info_length);
	}

	get info(): Uint8Array {
		return this.bytes.subarray(this.infoAt, this.infoEnd);
	}

	get link(): Uint8Array {
		const from = this.word(offsets.link_at);
		return this.bytes.slice(from, from + this.word(offsets.link_length));
	}

	get ownFd(): number {
		return this.word(offsets.own_fd);
	}

	get stat(): FileStat {
		return decodeStatx(this.view, this.at + offsets.status);
	}

	get isAtPath(): boolean {
		if (this.word(offsets.path_error) !== 0) return false;
		const { view, at } = this;
		const [own, found] = [at + offsets.status, at + offsets.path_status];
		const isSame = (offset: number) => view.getUint32(own + offset, true) === view.getUint32(found + offset, true);
		if (!SAME_FILE.every(isSame)) return false;
		const [mode, other] = [view.getUint16(own + STATX_MODE, true), view.getUint16(found + STATX_MODE, true)];
		return ((mode ^ other) & S_IFMT) === 0;
	}

	get owner(): ScannedFd["owner"] {
		const { view, at } = this;
		return {
			type: this.word(offsets.owner_type),
			pid: this.word(offsets.owner),
			signum: this.word(offsets.signum),
			uid: view.getUint32(at + offsets.owner_uids, true),
			euid: view.getUint32(at + offsets.owner_uids + 4, true),
		};
	}

	private word(offset: number): number {
		return this.view.getInt32(this.at + offset, true);
	}

	/** Looks at the next ones; how many were told of. @throws KernelError, CriuError PROC_PARSE */
	fill({ pid, pidfd, fds, prefix, other }: FdScanRequest, from: number): number {
		const nr = Math.min(BATCH, fds.length - from);
		this.list.fill(0, 0, nr * CrFd.size);
		for (let i = 0; i < nr; i++) {
			const fd = fds[from + i] ?? -1;
			this.view.setInt32(i * CrFd.size + offsets.fd, fd, true);
			this.view.setInt32(i * CrFd.size + offsets.other_fd, other?.has(fd) === true ? fd : -1, true);
		}
		for (;;) {
			const block = CrFds.encode({
				list: addressOf(this.list),
				text: addressOf(this.bytes),
				text_size: BigInt(this.bytes.length),
				prefix: prefix.length === 0 ? 0n : addressOf(prefix),
				prefix_length: BigInt(prefix.length),
				nr,
				pid,
				pidfd,
				other_pid: other?.pid ?? 0,
				by_two: nr >= WORTH_A_THREAD ? 1 : 0,
			});
			const got = readFds(block);
			const { used, done, call } = CrFds.read(viewOf(block));
			if (got >= 0) {
				const { buffer, byteOffset } = this.bytes;
				this.text = Buffer.from(buffer, byteOffset, Number(used)).toString("latin1");
				return got;
			}
			this.closeOwn(0, done);
			const first = fds[from + done] ?? -1;
			if (got !== -ENOBUFS) throw new KernelError(CALLS[call] ?? "open", -got, `of fd ${first} of pid ${pid}`);
			if (this.bytes.length >= MAX_TEXT)
				throw new CriuError("PROC_PARSE", `cannot parse fdinfo of fd ${first} of pid ${pid}: it has no end`);
			this.bytes = new Uint8Array(this.bytes.length * 4);
		}
	}

	/** Shows one of those that `fill` has told of. */
	show(index: number): ScannedFd {
		this.at = index * CrFd.size;
		return this;
	}

	/** Closes copies that nobody has taken. */
	closeOwn(from: number, to: number): void {
		const open: number[] = [];
		for (let i = from; i < to; i++) {
			this.at = i * CrFd.size;
			if (this.ownFd >= 0) open.push(this.ownFd);
		}
		closeAll(open);
	}
}

let scanner: Scanner | undefined;

/**
 * Looks at descriptors of a process that stands still; `take` gets each in turn, and with it the copy, which is its to close.
 *
 * @throws KernelError (ENOENT when one is closed), CriuError PROC_PARSE
 */
export function scanFds(request: FdScanRequest, take: (fd: ScannedFd) => void): void {
	scanner ??= new Scanner();
	for (let from = 0; from < request.fds.length; ) {
		const done = scanner.fill(request, from);
		for (let i = 0; i < done; i++) {
			try {
				take(scanner.show(i));
			} catch (error) {
				scanner.closeOwn(i, done);
				throw error;
			}
		}
		from += done;
	}
}
