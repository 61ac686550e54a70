// SPDX-License-Identifier: GPL-2.0-only
// Options and addresses of sockets. Source: getsockopt(2), getsockname(2).

import { BugError, KernelError } from "../errors.ts";
import { errnoNumber } from "../kernel/abi/errno.ts";
import { SO_PEERNAME, SOL_SOCKET } from "../kernel/abi/socket.ts";
import { viewOf } from "../kernel/abi/struct.ts";
import * as nr from "../kernel/abi/syscalls.x86_64.ts";
import { readSockopts, syscall } from "./host.ts";
import { CrSockopt } from "./host-layout.ts";

/** Room for values; lives for ever, so that one call costs no allocation. */
const room = new Uint8Array(256);
const word = new Int32Array(room.buffer, 0, 1);
const length = new Uint32Array(1);

const LACKING: ReadonlySet<number> = new Set(["ENOPROTOOPT", "EOPNOTSUPP", "EINVAL"].map(errnoNumber));

/** An option to read and the length of its value at most. */
export interface OptionSpec {
	readonly level: number;
	readonly name: number;
	readonly capacity: number;
}

/** Options that are read together, again and again. What was read stands here until the next socket is. */
export class OptionReader {
	/** Values of all options, each at its offset. */
	readonly values: Uint8Array;
	/** Offset of each option's value, a multiple of eight. */
	readonly offsets: readonly number[];
	private readonly list: Uint8Array;
	private readonly view: DataView;
	private readonly valueView: DataView;

	constructor(private readonly specs: readonly OptionSpec[]) {
		const offsets: number[] = [];
		let size = 0;
		for (const { capacity } of specs) {
			offsets.push(size);
			size += (capacity + 7) & ~7;
		}
		this.offsets = offsets;
		this.values = new Uint8Array(Math.max(size, 8));
		this.list = new Uint8Array(specs.length * CrSockopt.size);
		this.view = viewOf(this.list);
		this.valueView = viewOf(this.values);
		for (const [i, { level, name, capacity }] of specs.entries())
			CrSockopt.write(this.view, i * CrSockopt.size, { level, name, offset: offsets[i] ?? 0, capacity });
	}

	/** Reads all options of a socket. Gives how many failed, not for want of the option, or differ from the usual values. */
	read(fd: number, usual: Uint8Array = this.values): number {
		this.values.fill(0);
		return readSockopts(fd, this.list, this.values, usual);
	}

	/** True for an option that was there. @throws KernelError when its reading failed otherwise than for want of it */
	has(index: number): boolean {
		const result = this.view.getInt32(index * CrSockopt.size + CrSockopt.offsets.result, true);
		if (result === 0) return true;
		if (LACKING.has(-result)) return false;
		const { level, name } = this.specs[index] ?? { level: 0, name: 0 };
		throw new KernelError("getsockopt", -result, `of level ${level}, option ${name}`);
	}

	/** True when an option has a value of whatever length, or one that may not be read. */
	isFilled(index: number): boolean {
		const at = index * CrSockopt.size;
		const result = this.view.getInt32(at + CrSockopt.offsets.result, true);
		if (result !== 0) return !LACKING.has(-result);
		return this.view.getUint32(at + CrSockopt.offsets.length, true) !== 0;
	}

	/** Bytes that an option's value has. */
	lengthOf(index: number): number {
		const { capacity = 0 } = this.specs[index] ?? {};
		return Math.min(this.view.getUint32(index * CrSockopt.size + CrSockopt.offsets.length, true), capacity);
	}

	/** An option that is an int; undefined where there's no such option. @throws KernelError */
	findInt(index: number): number | undefined {
		return this.has(index) ? this.valueView.getInt32(this.offsets[index] ?? 0, true) : undefined;
	}

	/** A copy of an option's bytes; undefined where there's no such option. @throws KernelError */
	find(index: number): Uint8Array | undefined {
		const at = this.offsets[index];
		if (at === undefined) throw new BugError(`no option ${index} in a list`);
		return this.has(index) ? this.values.slice(at, at + this.lengthOf(index)) : undefined;
	}
}

/** An option that is an int; undefined where the socket or the kernel knows no such option. @throws KernelError */
export function findIntOption(fd: number, level: number, name: number): number | undefined {
	word[0] = 0;
	length[0] = 4;
	const ret = syscall(nr.SYS_getsockopt, fd, level, name, room, length);
	if (ret === 0) return word[0];
	if (LACKING.has(-ret)) return undefined;
	throw new KernelError("getsockopt", -ret, `of fd ${fd}, level ${level}, option ${name}`);
}

/** An option that is an int. @throws KernelError */
export function getIntOption(fd: number, level: number, name: number): number {
	word[0] = 0;
	length[0] = 4;
	const ret = syscall(nr.SYS_getsockopt, fd, level, name, room, length);
	if (ret === 0) return word[0] as number;
	throw new KernelError("getsockopt", -ret, `of fd ${fd}, level ${level}, option ${name}`);
}

/** The bytes of an option of at most `capacity`; undefined where there's no such option. @throws KernelError */
export function findOption(fd: number, level: number, name: number, capacity: number): Uint8Array | undefined {
	const value = capacity <= room.length ? room : new Uint8Array(capacity);
	value.fill(0, 0, capacity);
	length[0] = capacity;
	const ret = syscall(nr.SYS_getsockopt, fd, level, name, value, length);
	if (ret === 0) return value.slice(0, Math.min(length[0] ?? 0, capacity));
	if (LACKING.has(-ret)) return undefined;
	throw new KernelError("getsockopt", -ret, `of fd ${fd}, level ${level}, option ${name}`);
}

/**
 * The classic BPF program of a socket, eight bytes each instruction; empty without one.
 *
 * @throws KernelError EACCES for an eBPF program, which nobody can read
 */
export function readSocketFilter(fd: number, level: number, name: number): Uint8Array {
	length[0] = 0;
	let ret = syscall(nr.SYS_getsockopt, fd, level, name, 0, length);
	// Lengths are counted in instructions.
	const count = length[0] ?? 0;
	if (ret === 0 && count === 0) return new Uint8Array(0);
	const program = new Uint8Array(count * 8);
	if (ret === 0) ret = syscall(nr.SYS_getsockopt, fd, level, name, program, length);
	if (ret < 0) throw new KernelError("getsockopt", -ret, `of fd ${fd}: SO_GET_FILTER`);
	return program;
}

function readAddress(call: number, fd: number): Uint8Array | number {
	length[0] = room.length;
	const ret = syscall(call, fd, room, length);
	return ret < 0 ? ret : room.slice(0, Math.min(length[0] ?? 0, room.length));
}

/** The address that a socket is bound to, struct sockaddr. @throws KernelError */
export function getSocketName(fd: number): Uint8Array {
	const name = readAddress(nr.SYS_getsockname, fd);
	if (typeof name === "number") throw new KernelError("getsockname", -name, `of fd ${fd}`);
	return name;
}

/**
 * The address that a socket is or was connected to, struct sockaddr; undefined when there is none. `size`: that of addresses of
 * its family, of which the kernel makes a condition.
 */
export function findLastPeerName(fd: number, size: number): Uint8Array | undefined {
	length[0] = size;
	const ret = syscall(nr.SYS_getsockopt, fd, SOL_SOCKET, SO_PEERNAME, room, length);
	return ret < 0 ? undefined : room.slice(0, size);
}

/** The address of a socket's peer; undefined when it isn't connected. */
export function findPeerName(fd: number): Uint8Array | undefined {
	const name = readAddress(nr.SYS_getpeername, fd);
	return typeof name === "number" ? undefined : name;
}
