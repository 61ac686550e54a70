// SPDX-License-Identifier: GPL-2.0-only
// Options and addresses of sockets. Source: getsockopt(2), getsockname(2).

import { KernelError } from "../errors.ts";
import { errnoNumber } from "../kernel/abi/errno.ts";
import * as nr from "../kernel/abi/syscalls.x86_64.ts";
import { syscall } from "./host.ts";

/** Room for values; lives for ever, so that one call costs no allocation. */
const room = new Uint8Array(256);
const word = new Int32Array(room.buffer, 0, 1);
const length = new Uint32Array(1);

const ENOPROTOOPT = errnoNumber("ENOPROTOOPT");
const EOPNOTSUPP = errnoNumber("EOPNOTSUPP");
const EINVAL = errnoNumber("EINVAL");

function mayLack(errno: number): boolean {
	return errno === ENOPROTOOPT || errno === EOPNOTSUPP || errno === EINVAL;
}

/** An option that is an int; undefined where the socket or the kernel knows no such option. @throws KernelError */
export function findIntOption(fd: number, level: number, name: number): number | undefined {
	word[0] = 0;
	length[0] = 4;
	const ret = syscall(nr.SYS_getsockopt, fd, level, name, room, length);
	if (ret === 0) return word[0];
	if (mayLack(-ret)) return undefined;
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
	if (mayLack(-ret)) return undefined;
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

/** The address of a socket's peer; undefined when it isn't connected. */
export function findPeerName(fd: number): Uint8Array | undefined {
	const name = readAddress(nr.SYS_getpeername, fd);
	return typeof name === "number" ? undefined : name;
}
