// SPDX-License-Identifier: GPL-2.0-only
// Brings pages to restored processes: those that they wait for at once, the others meanwhile, near to the last ones first. A
// page is put in place whole, or not at all; what can't be brought ends in an error, and the processes' end.

import { CriuError, ImageError, isErrno, KernelError } from "../../errors.ts";
import { errnoName, errnoNumber } from "../../kernel/abi/errno.ts";
import { POLLIN } from "../../kernel/abi/event-files.ts";
import { SYS_poll } from "../../kernel/abi/syscalls.x86_64.ts";
import { listChildren } from "../../kernel/procfs/tasks.ts";
import { closeFd } from "../../sys/file.ts";
import { syscall } from "../../sys/host.ts";
import { openPidfd } from "../../sys/process.ts";
import { earlier } from "../pagemap.ts";
import type { Ranges } from "../ranges.ts";
import { cutConnection } from "../wire.ts";
import type { LazyGuard } from "./guard.ts";
import { type PendingRange, PendingRanges } from "./pending.ts";
import type { Arrival, PageSource } from "./source.ts";
import { type Origin, Space } from "./space.ts";
import { copyPages, wakeRange, zeroPage } from "./userfault.ts";

const PAGE = 4096n;
const [EAGAIN, EEXIST, ENOENT, EINVAL, ESRCH, ENOMEM, EINTR] = (
	["EAGAIN", "EEXIST", "ENOENT", "EINVAL", "ESRCH", "ENOMEM", "EINTR"] as const
).map(errnoNumber) as [number, number, number, number, number, number, number];
/** What comes with a page that is waited for: fetching more costs hardly more. */
const BLOCK = 65536n;
const CHUNK_MIN = 65536n;
const CHUNK_MAX = 4n << 20n;
/** Ranges in one go, where they are small. */
const PIECES = 128;
/** Rounds without memory, and how long each is. */
const MEMORY_ROUNDS = 500;
const MEMORY_MS = 20;
/** In which a source has to answer. */
const STUCK_MS = 120_000;
/** How often a forked child is looked for. */
const CHILD_ROUNDS = 50;

/** What has been done, in pages. */
export interface LazyCounts {
	faults: number;
	copied: bigint;
	zeros: bigint;
}

export class LazyServer {
	readonly counts: LazyCounts = { faults: 0, copied: 0n, zeros: 0n };
	private readonly spaces: Space[] = [];
	private readonly origins = new Map<number, Origin>();
	/** Processes that wait for pages, or may. */
	private readonly pids = new Set<number>();
	/** For poll(2): control socket, source, spaces; empty when it has to be made anew. */
	private polled = new Int32Array(0);
	/** Whose pages are brought next. */
	private current = 0;
	private chunk = CHUNK_MIN;
	private childRounds = 0;
	private hungry = 0;
	/** When something came last of what is on its way, or the first of it was asked for. */
	private movedAt = 0;
	/** All pages may be brought, not only those that are waited for. */
	private pushes = false;

	constructor(
		private readonly source: PageSource,
		private readonly guard: LazyGuard,
		private readonly patienceMs = STUCK_MS,
	) {}

	/** Takes on the memory of a task. `pid`: as we see it, 0 for one that we can't see; `imagePid`: in the images. */
	add(uffd: number, pid: number, imagePid: number, ranges: Ranges): void {
		const origin: Origin = { pid: imagePid, unasked: new PendingRanges(ranges), spaces: [] };
		this.origins.set(imagePid, origin);
		this.take(origin, uffd, new PendingRanges(ranges), this.watch(pid));
		this.guard.publish();
	}

	private watch(pid: number): number | undefined {
		if (pid <= 0 || this.pids.has(pid)) return undefined;
		try {
			const pidfd = openPidfd(pid);
			this.pids.add(pid);
			return pidfd;
		} catch (error) {
			if (isErrno(error, "ESRCH", "EINVAL")) return undefined;
			throw error;
		}
	}

	private take(origin: Origin, uffd: number, pending: PendingRanges, pidfd: number | undefined): void {
		const space = new Space(origin, uffd, pending, pidfd);
		origin.spaces.push(space);
		this.spaces.push(space);
		this.guard.keep(uffd, pidfd);
		this.polled = new Int32Array(0);
	}

	private drop(space: Space): void {
		for (const list of [this.spaces, space.origin.spaces]) {
			const at = list.indexOf(space);
			if (at >= 0) list.splice(at, 1);
		}
		this.guard.forget(space.uffd);
		if (space.pidfd !== undefined) this.guard.forget(space.pidfd);
		this.guard.publish();
		// The kernel forgets the registration, and those who wait look again.
		closeFd(space.uffd);
		if (space.pidfd !== undefined) closeFd(space.pidfd);
		this.polled = new Int32Array(0);
	}

	/** From here on everything is brought. */
	push(): void {
		this.pushes = true;
	}

	get isDone(): boolean {
		return this.pushes && this.spaces.length === 0;
	}

	/** Waits for what comes next, or as long as there's nothing else to do, and deals with it. @throws CriuError */
	turn(control: number | undefined): boolean {
		// Before the wait: with nothing on its way nothing else would end it.
		if (this.pushes) this.askAhead();
		const ready = this.wait(control);
		let faults = false;
		for (const space of [...this.spaces]) {
			if (ready.has(space.uffd)) this.listen(space);
			if (space.faults.length > 0) faults = this.answer(space) || faults;
		}
		if (this.childRounds > 0) this.findChildren();
		this.chunk = faults ? CHUNK_MIN : earlier(this.chunk * 2n, CHUNK_MAX);
		for (let arrival = this.source.take(); arrival !== undefined; arrival = this.source.take()) {
			this.movedAt = performance.now();
			this.deliver(arrival);
			if (this.source.fd !== undefined) break;
		}
		if (this.restMs <= 0) throw cutConnection(new Error(`nothing came for ${this.patienceMs / 1000} seconds`));
		if (this.pushes) for (const space of [...this.spaces]) if (space.pending.isEmpty) this.drop(space);
		return control !== undefined && ready.has(control);
	}

	/** Which descriptors have something to say. */
	private wait(control: number | undefined): Set<number> {
		if (this.polled.length === 0) {
			const fds = [-1, this.source.fd ?? -1, ...this.spaces.map(({ uffd }) => uffd)];
			this.polled = Int32Array.from(fds.flatMap((fd) => [fd, POLLIN]));
		}
		this.polled[0] = control ?? -1;
		const { length } = this.polled;
		const { waitMs } = this;
		const ret = syscall(SYS_poll, this.polled, length / 2, waitMs);
		if (ret < 0 && ret !== -EINTR) throw new KernelError("poll", -ret, `of ${length / 2} descriptors`);
		const ready = new Set<number>();
		// Results are the upper halves of the second words.
		for (let at = 0; ret > 0 && at < length; at += 2)
			if ((this.polled[at + 1] ?? 0) >>> 16 !== 0) ready.add(this.polled[at] ?? -1);
		return ready;
	}

	private get waitMs(): number {
		const unanswered = this.spaces.some(({ faults, pending }) => faults.length > 0 || (this.pushes && pending.isEmpty));
		if (unanswered || (this.pushes && this.source.fd === undefined)) return 0;
		if (this.childRounds > 0) return 1;
		return this.source.inFlight > 0n ? Math.max(0, Math.ceil(this.restMs)) : -1;
	}

	/** How long what is on its way may still take. Others' faults and changes, which end any wait, don't count for it. */
	private get restMs(): number {
		return this.source.inFlight > 0n ? this.movedAt + this.patienceMs - performance.now() : this.patienceMs;
	}

	private ask(origin: Origin, from: bigint, bytes: bigint): void {
		if (this.source.inFlight === 0n) this.movedAt = performance.now();
		this.source.ask(origin.pid, from, bytes);
	}

	private listen(space: Space): boolean {
		return space.listen((uffd) => {
			this.take(space.origin, uffd, space.pending.copy(), undefined);
			this.guard.publish();
			this.childRounds = CHILD_ROUNDS;
		});
	}

	/** Forked children aren't named: whoever has one more child now has them. */
	private findChildren(): void {
		this.childRounds--;
		let found = false;
		for (const pid of this.pids) {
			let children: number[] = [];
			try {
				children = listChildren(pid);
			} catch {
				// It has ended.
			}
			for (const child of children) {
				const pidfd = this.watch(child);
				if (pidfd === undefined) continue;
				this.guard.keep(pidfd, pidfd);
				found = true;
			}
		}
		if (found) this.guard.publish();
	}

	/** Deals with the faults of a space. True when there were any. */
	private answer(space: Space): boolean {
		const faults = space.faults.splice(0);
		for (const address of faults) {
			const range = space.pending.find(address);
			if (range === undefined) this.giveZeros(space, address);
			else {
				this.counts.faults++;
				space.hint = address + PAGE;
				this.current = this.spaces.indexOf(space);
				this.askFor(space.origin, range, range.source + (address - range.start));
			}
		}
		return faults.length > 0;
	}

	/** Asks for a page and its neighbours. */
	private askFor(origin: Origin, range: PendingRange, source: bigint): void {
		const last = range.source + (range.end - range.start);
		const block = source & ~(BLOCK - 1n);
		const from = block > range.source ? block : range.source;
		const to = block + BLOCK < last ? block + BLOCK : last;
		const wanted = origin.unasked.find(source);
		// It's on its way already.
		if (wanted === undefined) return;
		const start = from > wanted.start ? from : wanted.start;
		const end = to < wanted.end ? to : wanted.end;
		origin.unasked.take(start, end);
		this.ask(origin, start, end - start);
	}

	/** Memory that the images have no page of. */
	private giveZeros(space: Space, address: bigint): void {
		const { errno } = zeroPage(space.uffd, address);
		if (errno === 0) this.counts.zeros++;
		else if (errno === EAGAIN) space.faults.push(address);
		else if (errno === ESRCH) this.drop(space);
		else if (errno === ENOMEM) {
			this.waitForMemory();
			space.faults.push(address);
		}
		// It's there by now, or isn't ours any more.
		else wakeRange(space.uffd, address, address + PAGE);
	}

	/** Asks for what nobody waits for yet. */
	private askAhead(): void {
		// The more is on its way, the longer a page has to wait that is needed at once.
		let left = 2n * this.chunk - this.source.inFlight;
		let others = this.spaces.length;
		for (let pieces = 0; left > 0n && pieces < PIECES && others > 0; ) {
			const space = this.spaces[this.current % this.spaces.length] as Space;
			const range = this.findUnasked(space);
			if (range === undefined) {
				this.current++;
				others--;
				continue;
			}
			const bytes = earlier(range.end - range.start, left);
			space.origin.unasked.take(range.start, range.start + bytes);
			this.ask(space.origin, range.start, bytes);
			left -= bytes;
			pieces++;
		}
	}

	/** What a space waits for next and nobody has asked for, by the addresses of the images. */
	private findUnasked(space: Space): PendingRange | undefined {
		const { pending, origin } = space;
		const range = pending.next(space.hint);
		if (range === undefined) return undefined;
		const wanted = origin.unasked.find(range.source);
		const end = range.source + (range.end - range.start);
		if (wanted !== undefined) {
			const last = earlier(wanted.end, end);
			space.hint = range.start + (last - range.source);
			return { start: range.source, end: last, source: range.source };
		}
		// Its beginning is on its way: on with what is behind it, or anything.
		const next = origin.unasked.next(range.source);
		if (next === undefined || pending.findSource(next.start, next.end) === undefined) return undefined;
		return next;
	}

	/** Puts pages in place wherever they are waited for. */
	private deliver({ pid, source, address, bytes }: Arrival): void {
		const origin = this.origins.get(pid);
		if (origin === undefined) return;
		// Forks come behind those that they come from.
		for (let index = 0; index < origin.spaces.length; ) {
			const space = origin.spaces[index] as Space;
			if (this.fill(space, source, address, bytes)) index++;
		}
	}

	/** True when a space has all of these pages that it waits for; false when it's gone. */
	private fill(space: Space, source: bigint, address: bigint, bytes: bigint): boolean {
		const { uffd, pending } = space;
		let limit = bytes;
		for (;;) {
			const range = pending.findSource(source, source + bytes);
			if (range === undefined) return true;
			const wanted = earlier(range.end - range.start, limit);
			const { bytes: done, errno } = copyPages(uffd, range.start, address + (range.source - source), wanted);
			if (done > 0n) {
				pending.take(range.start, range.start + done);
				this.counts.copied += done / PAGE;
				limit = earlier(limit * 2n, bytes);
				this.hungry = 0;
			}
			if (errno === 0) continue;
			if (errno === EAGAIN) {
				// Its mappings change: that has to be heard first.
				if (!this.listen(space)) syscall(SYS_poll, Int32Array.of(uffd, POLLIN), 1, 1);
			} else if (errno === EEXIST) {
				pending.take(range.start, range.start + PAGE);
				wakeRange(uffd, range.start, range.start + PAGE);
			} else if (errno === ENOENT || errno === EINVAL) {
				// A copy must lie within one mapping. Where there's none, nobody can wait.
				if (wanted > PAGE) limit = (wanted / 2n / PAGE) * PAGE;
				else pending.take(range.start, range.start + PAGE);
			} else if (errno === ESRCH) {
				this.drop(space);
				return false;
			} else if (errno === ENOMEM) this.waitForMemory();
			else throw this.describeFailure(errno);
		}
	}

	private waitForMemory(): void {
		if (this.hungry++ > MEMORY_ROUNDS)
			throw new CriuError("NO_MEMORY", "there's no memory for the pages of restored processes", {
				remedy: "free memory, or raise the limit of their cgroup (memory.max)",
			});
		Bun.sleepSync(MEMORY_MS);
	}

	private describeFailure(errno: number): CriuError {
		const cause = new KernelError("ioctl", errno, "UFFDIO_COPY");
		if (errnoName(errno) === "EFAULT")
			return new ImageError("IMAGE_TRUNCATED", "pages of an image can't be read any more", {
				cause,
				remedy: "leave images as they are until all pages have been brought",
			});
		return new CriuError("LAZY_PAGES", "pages can't be put in place", {
			cause,
			remedy: "restore without --lazy-pages",
		});
	}

	/** Tells how far it got. */
	describe(): string {
		const { faults, copied, zeros } = this.counts;
		return `${copied} pages copied, ${faults} of them waited for, ${zeros} of zeros`;
	}

	/** How many bytes are missing still. */
	get missing(): bigint {
		return this.spaces.reduce((sum, { pending }) => sum + pending.bytes, 0n);
	}
}
