// SPDX-License-Identifier: GPL-2.0-only
// Memory of our own that other processes share: mapped outside the JavaScript heap, unmapped explicitly.

import { type Pointer, toArrayBuffer } from "bun:ffi";
import { KernelError } from "../errors.ts";
import { SYS_madvise, SYS_mmap, SYS_munmap } from "../kernel/abi/syscalls.x86_64.ts";
import { syscall } from "./host.ts";

const PROT_NONE = 0;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_POPULATE = 0x8000;
const MADV_POPULATE_WRITE = 23;
const PAGE = 4096;

/** Memory at an address of our own. */
export interface Room {
	readonly address: number;
	readonly length: number;
	readonly bytes: Uint8Array;
	readonly view: DataView;
}

/** A mapping of our own; `view` must not be used after unmap(). */
export interface Mapping extends Room {
	unmap(): void;
	[Symbol.dispose](): void;
}

function mmap(address: number, length: number, prot: number, flags: number, fd: number): number {
	const ret = syscall(SYS_mmap, address, length, prot, flags, fd, 0);
	if (ret < 0) throw new KernelError("mmap", -ret, `of ${length} bytes`);
	return ret;
}

function describe(address: number, length: number): Room {
	const buffer = toArrayBuffer(address as Pointer, 0, length);
	return { address, length, bytes: new Uint8Array(buffer), view: new DataView(buffer) };
}

function describeMapping(base: number, address: number, length: number, whole: number): Mapping {
	let mapped = true;
	const unmap = () => {
		if (!mapped) return;
		mapped = false;
		syscall(SYS_munmap, base, whole);
	};
	return { ...describe(address, length), unmap, [Symbol.dispose]: unmap };
}

/** Maps private zeroed memory, populated at once, for buffers whose address the kernel or C code keeps. */
export function mapPrivate(length: number): Mapping {
	const address = mmap(0, length, PROT_READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1);
	return describeMapping(address, address, length, length);
}

/** Maps an open file or shared memory from its start, populated, so that its pages are charged to us. */
export function mapShared(fd: number, length: number): Mapping {
	const address = mmap(0, length, PROT_READ_WRITE, MAP_SHARED | MAP_POPULATE, fd);
	return describeMapping(address, address, length, length);
}

/** Shared memory of another process, and a private page right below it. */
export interface AreaMapping {
	readonly page: Room;
	readonly shared: Room;
	/** Gives both back; neither must be used afterwards. */
	release(): void;
}

interface Place {
	readonly page: Room;
	readonly shared: Room;
}

/** Places of areas that were given back, by length. What they show last stays mapped until it gives way to another. */
const free = new Map<number, Place[]>();

function reservePlace(length: number): Place {
	const base = mmap(0, length + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	try {
		mmap(base, PAGE, PROT_READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE, -1);
	} catch (error) {
		syscall(SYS_munmap, base, length + PAGE);
		throw error;
	}
	return { page: describe(base, PAGE), shared: describe(base + PAGE, length) };
}

/**
 * Maps shared memory with one private page right below it. The page holds what must be ours alone though it has to lie at
 * a fixed distance from something in the shared part (nodes of a robust futex list). Places are used again: a new one for each
 * of many tasks costs more calls, and counts as memory that the garbage collector has to look for. `touched`: how much is written to soon.
 *
 * @throws KernelError
 */
export function mapSharedBehindPage(fd: number, length: number, touched: number): AreaMapping {
	const places = free.get(length) ?? [];
	free.set(length, places);
	const place = places.pop() ?? reservePlace(length);
	let held = true;
	const release = () => {
		if (held) places.push(place);
		held = false;
	};
	const { address } = place.shared;
	try {
		mmap(address, length, PROT_READ_WRITE, MAP_SHARED | MAP_FIXED, fd);
	} catch (error) {
		// The place isn't used again: kernels before 6.12 may have left a hole there, which others of our threads can fill.
		syscall(SYS_munmap, place.page.address, PAGE);
		throw error;
	}
	// One call instead of a fault for each page; a kernel that can't (before 5.14) has the faults.
	syscall(SYS_madvise, address, touched, MADV_POPULATE_WRITE);
	return { ...place, release };
}
