// SPDX-License-Identifier: GPL-2.0-only
// Who has the pages that a lazy-pages daemon asks for: images, or processes that stand still.

import { isErrno, KernelError } from "../../errors.ts";
import { type ImageDir, KINDS } from "../../images/index.ts";
import { closeFd } from "../../sys/file.ts";
import { addressOf, pump } from "../../sys/host.ts";
import { PIECE_LOCAL, PUMP_LIVE, PUMP_STREAM } from "../../sys/host-layout.ts";
import { listFiles, openChainFile, type PageChain, readChain } from "../chain.ts";
import { copyFileRange } from "../copy.ts";
import { earlier, type PageRun } from "../pagemap.ts";
import type { Ranges } from "../ranges.ts";
import * as wire from "../wire.ts";
import type { PageKeeper } from "./giver.ts";

/** The last of sorted items that begins at or before an address, by whatever tells where it begins. */
function findLast<T>(list: readonly T[], address: bigint, startOf: (item: T) => bigint): T | undefined {
	let low = 0;
	let high = list.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		if (startOf(list[middle] as T) <= address) low = middle + 1;
		else high = middle;
	}
	return list[low - 1];
}

function sending(send: () => void): void {
	try {
		send();
	} catch (error) {
		if (!isErrno(error, "EPIPE", "ECONNRESET", "ETIMEDOUT", "EAGAIN")) throw error;
		throw wire.cutConnection(new KernelError(error.syscall, error.errno, "of pages to the connection"));
	}
}

/** Images have them. */
export class ImageKeeper implements PageKeeper {
	private readonly chains = new Map<number, PageChain | undefined>();
	private readonly files = new Map<string, number>();

	constructor(
		private readonly dir: ImageDir,
		private readonly fd: number,
	) {}

	private find(pid: number, address: bigint): { chain: PageChain; run: PageRun } | undefined {
		if (!this.chains.has(pid)) this.chains.set(pid, readChain(this.dir, KINDS.PAGEMAP, pid));
		const chain = this.chains.get(pid);
		const run = findLast(chain?.runs ?? [], address, (one) => one.address);
		return chain === undefined || run === undefined || run.address + run.bytes <= address ? undefined : { chain, run };
	}

	count(pid: number, address: bigint, bytes: bigint): bigint {
		const found = this.find(pid, address);
		return found === undefined ? 0n : earlier(found.run.address + found.run.bytes - address, bytes);
	}

	/** The pages file of a run, opened at first use. */
	private open(chain: PageChain, { level }: PageRun): number {
		const key = `${chain.file} ${level}`;
		const file = listFiles(chain).find((one) => one.level === level);
		const fd = this.files.get(key) ?? (file === undefined ? -1 : openChainFile(this.dir, file, chain.file));
		this.files.set(key, fd);
		return fd;
	}

	send(pid: number, address: bigint, bytes: bigint, header: Uint8Array): void {
		const found = this.find(pid, address);
		if (found === undefined) return;
		const { chain, run } = found;
		const from = this.open(chain, run);
		wire.send(this.fd, header);
		sending(() => copyFileRange(from, run.offset + (address - run.address), this.fd, bytes));
	}

	close(): void {
		for (const fd of this.files.values()) closeFd(fd);
	}
}

/** Memory of a process that stands still. */
export interface KeptMemory {
	readonly pid: number;
	/** `/proc/PID/mem`, opened while it stood still. */
	readonly memFd: number;
	/** What may be asked for, sorted. */
	readonly ranges: Ranges;
}

/** Processes have them; by their pids in the images. */
export class ProcessKeeper implements PageKeeper {
	constructor(
		private readonly memories: ReadonlyMap<number, KeptMemory>,
		private readonly fd: number,
	) {}

	count(pid: number, address: bigint, bytes: bigint): bigint {
		const range = findLast(this.memories.get(pid)?.ranges ?? [], address, ({ start }) => start);
		return range === undefined || range.end <= address ? 0n : earlier(range.end - address, bytes);
	}

	send(imagePid: number, address: bigint, bytes: bigint, header: Uint8Array): void {
		const memory = this.memories.get(imagePid);
		if (memory === undefined) return;
		const { pid, memFd } = memory;
		const local = addressOf(header) | BigInt(PIECE_LOCAL);
		const pieces = BigUint64Array.from([local, BigInt(header.length), address, bytes]);
		const request = { pid, memFd, outFd: this.fd, offset: 0n, pieces, threads: 1 };
		// Not by process_vm_readv: that would unshare what is shared copy-on-write.
		sending(() => pump({ ...request, flags: PUMP_STREAM | PUMP_LIVE }));
	}
}
