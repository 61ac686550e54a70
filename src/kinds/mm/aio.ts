// SPDX-License-Identifier: GPL-2.0-only
// Rings of asynchronous I/O. A context's number is the address of its ring, so a new one is made and moved to the old place;
// the kernel's own count of events is brought up by requests that end at once. Requests in flight aren't kept.
// Images: mm-PID.img (aios), the ring's pages. Source: io_setup(2), fs/aio.c (aio_setup_ring, aio_complete, aio_ring_mremap).

import { type Arg, loadWideFrom, type OpRef, type Program } from "../../agent/program.ts";
import { CriuError, isErrno, KernelError, UnsupportedError } from "../../errors.ts";
import { type aio_ring_entry, aio_ring_entrySchema, type vma_entry } from "../../images/gen/mm_pb.ts";
import { create } from "../../images/index.ts";
import { AIO_RING_MAGIC, AioRing, IOCB_CMD_PREAD, Iocb, IoEvent } from "../../kernel/abi/aio.ts";
import { O_DIRECT, O_RDONLY } from "../../kernel/abi/fcntl.ts";
import * as mman from "../../kernel/abi/mman.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import type { SmapsFacts } from "../../kernel/procfs/smaps.ts";
import { log } from "../../log.ts";
import type { PageRun } from "../../pages/pagemap.ts";
import { openAt, readAt, scopedFd } from "../../sys/file.ts";
import { mustSyscall, syscall } from "../../sys/host.ts";
import { collectFds } from "../file/open-files.ts";
import type { Completion, DumpContext, DumpedTask, RestoreContext, TaskDraft, TaskImage, TaskPlan } from "../kind.ts";
import { runsWithin } from "./inherit.ts";
import { corruptMemory, readImagePages } from "./mm-pages.ts";
import type { PageFiles } from "./page-files.ts";
import { isRing, VMA_AREA_AIORING } from "./vma.ts";

const HEAD = BigInt(AioRing.size);
const EVENT = BigInt(IoEvent.size);
const EVENTS_PER_PAGE = 128;
/** The kernel makes no larger one. */
const MAX_LENGTH = 0x10000000n;
/** Requests of one call. */
const BATCH = 512;

const hex = (value: bigint) => `0x${value.toString(16)}`;

/** A range of addresses. */
interface Place {
	readonly start: bigint;
	readonly end: bigint;
}

/** What a ring says of itself. */
export interface RingState {
	/** Events that it has room for, with one place that stays free. */
	readonly nr: number;
	/** The next event that the program takes. */
	readonly head: number;
	/** Where the kernel puts the next one. */
	readonly tail: number;
}

/**
 * Reads the head of a ring that is mapped at a place. Programs can write to it, and images may hold anything.
 *
 * @returns what's wrong with it, as text
 */
export function parseRing(bytes: Uint8Array, { start, end }: Place): RingState | string {
	const ring = AioRing.read(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
	if (ring.magic !== AIO_RING_MAGIC || ring.header_length !== AioRing.size || ring.incompat_features !== 0)
		return "has no head that is known";
	if (HEAD + BigInt(ring.nr) * EVENT !== end - start) return `is for ${ring.nr} events, which isn't what is mapped`;
	if (ring.head >= ring.nr || ring.tail >= ring.nr) return `is at ${ring.head} and ${ring.tail} of ${ring.nr} events`;
	return ring;
}

// ---- dump ----------------------------------------------------------------------------------------------------------

function readHead(pid: number, address: bigint): Uint8Array {
	using memory = scopedFd(openAt(`/proc/${pid}/mem`, O_RDONLY));
	return readAt(memory.fd, AioRing.size, address).slice();
}

function findRingProblem(pid: number, vma: SmapsFacts): string | undefined {
	if (vma.pgoff !== 0n) return "is mapped in parts";
	const state = parseRing(readHead(pid, vma.start), vma);
	return typeof state === "string" ? state : undefined;
}

/** What stands against a dump of a task's rings. @throws KernelError */
export function findRingBlockers({ pid, vmas }: DumpedTask): CriuError[] {
	return vmas.filter(isRing).flatMap((vma) => {
		const problem = findRingProblem(pid, vma);
		if (problem === undefined) return [];
		const message = `pid ${pid}: the ring of asynchronous I/O at ${hex(vma.start)} ${problem}`;
		return [new UnsupportedError("AIO_RING", message, { remedy: "let the program call io_destroy first" })];
	});
}

/** The largest number of requests for which the kernel makes a ring of that length. */
export function requestsOf(length: bigint): number {
	return Number((length - HEAD) / EVENT - 2n) >> 1;
}

/** The smallest one: it counts against fs.aio-max-nr. */
export function leastRequestsOf(length: bigint): number {
	const shorter = length - BigInt(EVENTS_PER_PAGE) * EVENT;
	return shorter <= 0n ? 1 : requestsOf(shorter) + 1;
}

/**
 * Adds the question whether the task has the context that a ring belongs to: a fork has the mapping only. Then there's no entry
 * for it.
 */
export function dumpRings(
	task: DumpedTask,
	rings: readonly SmapsFacts[],
	aios: aio_ring_entry[],
	ask: Program,
	context: DumpContext,
): Completion {
	const asked = rings.map(({ start, end }) => ({
		entry: create(aio_ring_entrySchema, {
			id: start,
			ringLen: Number(end - start),
			nrReq: requestsOf(end - start),
		}),
		op: ask.syscall(
			`pid ${task.pid}: ask for the context ${hex(start)}`,
			nr.SYS_io_getevents,
			[start, 0, 0, 0, new Uint8Array(16)],
			{ check: { okOr: "EINVAL" } },
		),
	}));
	return (answers) => {
		for (const { entry, op } of asked) if (answers.result(op) === 0n) aios.push(entry);
		headsOf(task, aios, context);
		if (aios.length > 0)
			log.warn(
				`pid ${task.pid} does asynchronous I/O: requests that wait for events (IOCB_CMD_POLL), if there are any, aren't kept: ` +
					"the kernel tells nobody of them",
			);
	};
}

/** So long no request may end before none is taken to be in flight: a disk's seek, and more. */
const QUIET_MS = 20;
const LONGEST_WAIT_MS = 500;

/**
 * Reads again and again until nothing has changed for a while, within bounds: nobody tells whether requests are in flight, but their
 * program stands still and makes no more.
 */
export function readWhenQuiet(read: () => Uint8Array, pause: (ms: number) => void, now: () => number): Uint8Array {
	const start = now();
	let last = read();
	for (let changed = start; now() - changed < QUIET_MS && now() - start < LONGEST_WAIT_MS; ) {
		pause(1);
		const next = read();
		if (Buffer.compare(last, next) === 0) continue;
		last = next;
		changed = now();
	}
	return last;
}

/** The heads of a task's rings as they were when it was asked; what is on its way to disks past the page cache is waited for. */
function headsOf(task: DumpedTask, aios: readonly aio_ring_entry[], context: DumpContext): Uint8Array {
	const { pid } = task;
	return context.once(`aio-heads:${pid}`, () => {
		const read = () => Buffer.concat(aios.map(({ id }) => readHead(pid, id)));
		const isDirect = aios.length > 0 && collectFds(task, context).some(({ info }) => (info.flags & O_DIRECT) !== 0);
		return isDirect ? readWhenQuiet(read, Bun.sleepSync, () => performance.now()) : read();
	});
}

/**
 * Fails a dump when a request has ended while memory was copied: its data may be in the images in part. The kernel doesn't tell
 * which are in flight. @throws UnsupportedError
 */
export function checkRingsStill(task: DumpedTask, { mm: { aios } }: TaskDraft, context: DumpContext): void {
	const heads = headsOf(task, aios, context);
	for (const [i, { id }] of aios.entries()) {
		const before = heads.subarray(i * AioRing.size, (i + 1) * AioRing.size);
		if (Buffer.compare(before, readHead(task.pid, id)) !== 0)
			throw new UnsupportedError(
				"AIO_IN_FLIGHT",
				`pid ${task.pid}: a request of asynchronous I/O (ring ${hex(id)}) ended while the memory was copied`,
				{ remedy: "try again, best when the program has no requests in flight" },
			);
	}
}

// ---- restore -------------------------------------------------------------------------------------------------------

/** Checks the rings of an image against its mappings. @throws ImageError */
export function checkRings(file: string, aios: readonly aio_ring_entry[], mappings: readonly vma_entry[]): void {
	const rings = new Map(mappings.flatMap((vma) => ((vma.status & VMA_AREA_AIORING) === 0 ? [] : [[vma.start, vma]])));
	const seen = new Set<bigint>();
	for (const { id, ringLen } of aios) {
		const vma = rings.get(id);
		if (seen.has(id)) throw corruptMemory(file, `ring ${hex(id)} is there twice`);
		seen.add(id);
		if (vma === undefined || vma.end - vma.start !== BigInt(ringLen))
			throw corruptMemory(file, `ring ${hex(id)} isn't mapped with ${ringLen} bytes`);
	}
	for (const { start, end, status, flags } of rings.values())
		if (
			(status & VMA_AREA_AIORING) !== 0 &&
			(status !== VMA_AREA_AIORING || (flags & mman.MAP_SHARED) === 0 || end - start > MAX_LENGTH)
		)
			throw corruptMemory(file, `ring ${hex(start)} has status ${hex(BigInt(status >>> 0))}`);
}

const SETUP_REMEDIES = {
	EAGAIN: "raise the sysctl fs.aio-max-nr",
	ENOSYS: "this kernel has no asynchronous I/O (CONFIG_AIO): restore on the kernel of the dump",
	ENOMEM: "free memory",
} as const;

/** Makes sure that this kernel makes a ring of that length: it depends on the number of its processors. @throws CriuError */
function probeLength(length: bigint, context: RestoreContext): number {
	const requests = leastRequestsOf(length);
	return context.once(`aio-ring:${requests}`, () => {
		const made = new BigUint64Array(1);
		const error = -syscall(nr.SYS_io_setup, requests, made);
		if (error > 0) throw failedProbe(requests, error);
		try {
			using memory = scopedFd(openAt("/proc/self/mem", O_RDONLY));
			const ring = AioRing.read(new DataView(readAt(memory.fd, AioRing.size, made[0] ?? 0n).slice().buffer));
			const here = HEAD + BigInt(ring.nr) * EVENT;
			if (here === length) return requests;
			throw new UnsupportedError(
				"AIO_RING_LENGTH",
				`a ring of asynchronous I/O has ${length} bytes in the images, this kernel makes it ${here} bytes long`,
				{ remedy: "restore on a host with as many processors as that of the dump (/sys/devices/system/cpu/possible)" },
			);
		} finally {
			mustSyscall("of a ring that was tried", nr.SYS_io_destroy, made[0] ?? 0n);
		}
	});
}

function failedProbe(requests: number, error: number): CriuError {
	const cause = new KernelError("io_setup", error, `for ${requests} requests`);
	const known = Object.entries(SETUP_REMEDIES).find(([name]) => isErrno(cause, name));
	const remedy = known === undefined ? {} : { remedy: known[1] };
	return new CriuError("AIO_SETUP", "can't make a ring of asynchronous I/O", { cause, ...remedy });
}

/** A page of the task's with a request and an array that names it many times. */
class EmptyRequests {
	private readonly array: bigint;
	private file: OpRef | undefined;

	constructor(
		private readonly program: Program,
		private readonly at: bigint,
	) {
		this.array = at + BigInt(Iocb.size);
	}

	private get length(): bigint {
		return 8192n;
	}

	private prepare(): void {
		if (this.file !== undefined) return;
		const { program, at, length } = this;
		const bytes = new Uint8Array(Iocb.size + BATCH * 8);
		bytes.set(Iocb.encode({ aio_lio_opcode: IOCB_CMD_PREAD, aio_buf: at, aio_nbytes: 1n }));
		new BigUint64Array(bytes.buffer, Iocb.size).fill(at);
		program.syscall(
			"map room for requests",
			nr.SYS_mmap,
			[at, length, 3, mman.MAP_PRIVATE | mman.MAP_ANONYMOUS | mman.MAP_FIXED_NOREPLACE, -1, 0],
			{
				check: { equal: at },
				remedies: { ENOMEM: "free memory" },
			},
		);
		program.copy("prepare requests", at, bytes, bytes.length);
		// Reads of it end at once.
		this.file = program.syscall("make an empty file", nr.SYS_memfd_create, [Uint8Array.of(0), 0]);
		program.store("prepare requests", at + BigInt(Iocb.offsets.aio_fildes), this.file, 4);
	}

	submit(ring: bigint, count: number): void {
		this.prepare();
		const what = `submit requests to the ring ${hex(ring)}`;
		this.program.syscall(what, nr.SYS_io_submit, [ring, count, this.array], {
			check: { equal: count },
			remedies: { EAGAIN: "try again: another processor holds some places of the ring" },
		});
	}

	end(): void {
		if (this.file === undefined) return;
		this.program.syscall("close the empty file", nr.SYS_close, [this.file]);
		this.program.syscall("unmap the requests", nr.SYS_munmap, [this.at, this.length]);
	}
}

/** Requests that bring a new ring to a state: first those that are taken out again, then those that stay. */
export function planTurns({ nr: places, head, tail }: RingState): { count: number; headAfter: number | undefined }[] {
	const turns: { count: number; headAfter: number | undefined }[] = [];
	// Half of the places may be set aside for other processors.
	const most = Math.min(BATCH, Math.max(1, (places - 1) >> 2));
	const waiting = (tail - head + places) % places;
	for (let done = 0; done < head; ) {
		const count = Math.min(most, head - done);
		done += count;
		turns.push({ count, headAfter: done });
	}
	for (let done = 0; done < waiting; ) {
		const count = Math.min(most, waiting - done);
		done += count;
		turns.push({ count, headAfter: undefined });
	}
	return turns;
}

function planState(program: Program, at: bigint, state: RingState, requests: EmptyRequests): void {
	for (const { count, headAfter } of planTurns(state)) {
		requests.submit(at, count);
		if (headAfter === undefined) continue;
		const head = at + BigInt(AioRing.offsets.head);
		program.store(`take events out of the ring ${hex(at)}`, head, headAfter, 4);
	}
}

/** Adds what reads the content of a ring but for `first` bytes. */
export function planRingContent(
	program: Program,
	{ start, end }: Place,
	first: bigint,
	runs: readonly PageRun[],
	pages: PageFiles,
): void {
	for (const run of runsWithin(runs, { start, end })) {
		const skipped = run.address === start ? first : 0n;
		const args: [Arg, Arg, Arg, Arg] = [
			pages.get(run),
			run.address + skipped,
			run.bytes - skipped,
			run.offset + skipped,
		];
		program.fill(`read the events of the ring ${hex(start)}`, nr.SYS_pread64, args);
	}
}

/**
 * Adds what makes the contexts of a task and puts their rings in place, when all else is mapped: the kernel chooses where a new
 * one lies first. `file`: the name of the pagemap.
 *
 * @throws ImageError, CriuError
 */
export function planRings(
	file: string,
	image: TaskImage,
	program: Program,
	runs: readonly PageRun[],
	pages: PageFiles,
	plan: TaskPlan,
	context: RestoreContext,
): void {
	const rings = image.mm.aios.map(({ id, ringLen }) => ({ start: id, end: id + BigInt(ringLen) }));
	if (rings.length === 0) return;
	for (const { start, end } of rings)
		program.syscall(
			`keep the place of the ring ${hex(start)}`,
			nr.SYS_mmap,
			[start, end - start, 0, mman.MAP_PRIVATE | mman.MAP_ANONYMOUS | mman.MAP_FIXED_NOREPLACE, -1, 0],
			{ check: { equal: start } },
		);
	const requests = new EmptyRequests(program, plan.scratch);
	for (const { start, end } of rings) {
		const bytes = readImagePages(pages, runs, start, HEAD);
		if (bytes === undefined) throw corruptMemory(file, `the pages of the ring ${hex(start)} are missing`);
		const state = parseRing(bytes, { start, end });
		if (typeof state === "string") throw corruptMemory(file, `the ring ${hex(start)} ${state}`);
		const made = program.out(8);
		const options = { remedies: SETUP_REMEDIES };
		const length = end - start;
		program.syscall(`make the ring ${hex(start)}`, nr.SYS_io_setup, [probeLength(length, context), made], options);
		program.syscall(
			`move the ring to ${hex(start)}`,
			nr.SYS_mremap,
			[loadWideFrom(made, 0), length, length, mman.MREMAP_MAYMOVE | mman.MREMAP_FIXED, start],
			{ check: { equal: start } },
		);
		planState(program, start, state, requests);
		// The head is the new context's: it has the number by which the kernel finds it.
		planRingContent(program, { start, end }, HEAD, runs, pages);
	}
	requests.end();
}
