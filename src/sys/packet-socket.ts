// SPDX-License-Identifier: GPL-2.0-only
// Unix sockets that keep the bounds of messages (SOCK_SEQPACKET): listening, talking, handing over descriptors, and who is at
// the other end. Source: unix(7), recv(2), sendmsg(2), cmsg(3).

import { BugError, CriuError, KernelError } from "../errors.ts";
import { errnoNumber } from "../kernel/abi/errno.ts";
import * as so from "../kernel/abi/socket.ts";
import * as nr from "../kernel/abi/syscalls.x86_64.ts";
import { closeFd } from "./file.ts";
import { addressOf, mustSyscall, syscall } from "./host.ts";
import { findIntOption, findOption, getIntOption } from "./socket.ts";

const SUN_PATH_SIZE = 108;
const HEADER_SIZE = 56;
const CONTROL_SIZE = 24;
const CONTROL_LENGTH = 20;
const EINTR = errnoNumber("EINTR");
const ENOTCONN = errnoNumber("ENOTCONN");
/**
 * Of a read: tried again. ECONNRESET says once that the other side went without reading all that we sent; what it sent itself may
 * still be there to be read.
 */
const PASSING: readonly number[] = [EINTR, errnoNumber("ECONNRESET")];
/** Of a write: nobody reads it any more. */
const GONE: readonly number[] = ["ECONNRESET", "EPIPE", "ENOTCONN"].map(errnoNumber);

/** What the kernel takes and fills. They live for ever: what only the kernel points to must not be collected meanwhile. */
const header = new BigUint64Array(HEADER_SIZE / 8);
const iov = new BigUint64Array(2);
const control = new Uint8Array(CONTROL_SIZE);
const controlView = new DataView(control.buffer);
let held: Uint8Array | undefined;

/** Makes the header ready for a message; `controlSize` 0: no descriptor goes with it. */
function prepare(bytes: Uint8Array, controlSize: number): void {
	held = bytes;
	iov.set([addressOf(bytes), BigInt(bytes.length)]);
	header.fill(0n);
	header.set([addressOf(iov), 1n], 2);
	if (controlSize > 0) header.set([addressOf(control), BigInt(controlSize)], 4);
}

/** True for a unix socket that keeps the bounds of messages. */
export function isPacketSocket(fd: number): boolean {
	try {
		return (
			findIntOption(fd, so.SOL_SOCKET, so.SO_DOMAIN) === so.AF_UNIX &&
			getIntOption(fd, so.SOL_SOCKET, so.SO_TYPE) === so.SOCK_SEQPACKET
		);
	} catch (error) {
		if (error instanceof KernelError) return false;
		throw error;
	}
}

function newSocket(): number {
	return mustSyscall("of requests", nr.SYS_socket, so.AF_UNIX, so.SOCK_SEQPACKET | so.SOCK_CLOEXEC, 0);
}

function addressOfPath(path: string): Uint8Array {
	const name = new TextEncoder().encode(path);
	if (name.length === 0 || name.length >= SUN_PATH_SIZE || name.includes(0))
		throw new CriuError("SOCKET_NAME", `${path} can't be the path of a unix socket`, {
			remedy: `give a path of at most ${SUN_PATH_SIZE - 1} bytes`,
		});
	const address = new Uint8Array(2 + name.length + 1);
	address[0] = so.AF_UNIX;
	address.set(name, 2);
	return address;
}

/** A new socket that listens at a path, which must be free. @throws CriuError SOCKET_NAME, KernelError */
export function listenAt(path: string, backlog: number): number {
	const address = addressOfPath(path);
	const fd = newSocket();
	try {
		mustSyscall(`to ${path}`, nr.SYS_bind, fd, address, address.length);
		mustSyscall(`at ${path}`, nr.SYS_listen, fd, backlog);
		return fd;
	} catch (error) {
		closeFd(fd);
		throw error;
	}
}

/** A new socket connected to the one that listens at a path. @throws CriuError SOCKET_NAME, KernelError */
export function connectTo(path: string): number {
	const address = addressOfPath(path);
	const fd = newSocket();
	try {
		mustSyscall(`to ${path}`, nr.SYS_connect, fd, address, address.length);
		return fd;
	} catch (error) {
		closeFd(fd);
		throw error;
	}
}

/** Two sockets connected to each other. @throws KernelError */
export function makePair(): readonly [number, number] {
	const pair = new Int32Array(2);
	const type = so.SOCK_SEQPACKET | so.SOCK_CLOEXEC;
	mustSyscall("of requests", nr.SYS_socketpair, so.AF_UNIX, type, 0, pair);
	return [pair[0] ?? -1, pair[1] ?? -1];
}

/** The next connection; undefined when its maker is gone again. @throws KernelError */
export function acceptFrom(fd: number): number | undefined {
	const ret = syscall(nr.SYS_accept4, fd, 0, 0, so.SOCK_CLOEXEC);
	if (ret >= 0) return ret;
	if ([EINTR, errnoNumber("EAGAIN"), errnoNumber("ECONNABORTED")].includes(-ret)) return undefined;
	throw new KernelError("accept4", -ret, `of fd ${fd}`);
}

/** Bytes of the message that comes next, which stays where it is; 0 for none any more. Blocks. @throws KernelError */
export function peekLength(fd: number): number {
	for (;;) {
		const ret = syscall(nr.SYS_recvfrom, fd, 0, 0, so.MSG_PEEK | so.MSG_TRUNC, 0, 0);
		if (ret >= 0) return ret;
		if (-ret === ENOTCONN) return 0;
		if (!PASSING.includes(-ret)) throw new KernelError("recvfrom", -ret, `of fd ${fd}`);
	}
}

/** A look at the beginning of the next message, which stays. @throws KernelError */
export function peekPacket(fd: number, length: number): Uint8Array {
	const bytes = new Uint8Array(length);
	const got = mustSyscall(`of fd ${fd}`, nr.SYS_recvfrom, fd, bytes, length, so.MSG_PEEK | so.MSG_DONTWAIT, 0, 0);
	return bytes.subarray(0, got);
}

/** A message, with the descriptor that came with it. */
export interface Packet {
	readonly bytes: Uint8Array;
	/** Ours from now on. */
	readonly fd?: number | undefined;
}

/**
 * The next message; undefined when the other side is gone. Blocks.
 *
 * @throws CriuError PACKET_TOO_LARGE (it is taken off the queue), KernelError
 */
export function receivePacket(fd: number, limit: number): Packet | undefined {
	const length = peekLength(fd);
	const bytes = new Uint8Array(Math.max(Math.min(length, limit), 1));
	prepare(bytes, CONTROL_SIZE);
	let got: number;
	do got = syscall(nr.SYS_recvmsg, fd, header, so.MSG_CMSG_CLOEXEC);
	while (PASSING.includes(-got));
	if (got < 0 && -got !== ENOTCONN) throw new KernelError("recvmsg", -got, `of fd ${fd}`);
	held = undefined;
	const hasFd =
		(header[5] ?? 0n) >= BigInt(CONTROL_LENGTH) &&
		controlView.getInt32(8, true) === so.SOL_SOCKET &&
		controlView.getInt32(12, true) === so.SCM_RIGHTS;
	const passed = hasFd ? controlView.getInt32(16, true) : undefined;
	if (got <= 0) return undefined;
	if (length > limit) {
		if (passed !== undefined) closeFd(passed);
		throw new CriuError("PACKET_TOO_LARGE", `a message of ${length} bytes came, where ${limit} is the limit`, {
			remedy: "send requests one by one, as messages of protobuf",
		});
	}
	return { bytes: bytes.subarray(0, got), fd: passed };
}

/** Sends a message, with a descriptor if there is one. False when the other side is gone. @throws KernelError */
export function sendPacket(fd: number, bytes: Uint8Array, passed?: number): boolean {
	prepare(bytes, passed === undefined ? 0 : CONTROL_SIZE);
	controlView.setBigUint64(0, BigInt(CONTROL_LENGTH), true);
	controlView.setInt32(8, so.SOL_SOCKET, true);
	controlView.setInt32(12, so.SCM_RIGHTS, true);
	controlView.setInt32(16, passed ?? -1, true);
	for (;;) {
		const ret = syscall(nr.SYS_sendmsg, fd, header, so.MSG_NOSIGNAL);
		if (held !== bytes) throw new BugError("two messages at once");
		if (ret >= 0) return true;
		if (GONE.includes(-ret)) return false;
		if (-ret !== EINTR) throw new KernelError("sendmsg", -ret, `of fd ${fd}`);
	}
}

/** Who is at the other end of a connection, as it was when that was made; the pid as we see it, 0 for one we can't see. */
export interface PeerCredentials {
	readonly pid: number;
	readonly uid: number;
	readonly gid: number;
}

/** @throws KernelError */
export function readPeerCredentials(fd: number): PeerCredentials {
	const bytes = findOption(fd, so.SOL_SOCKET, so.SO_PEERCRED, 12);
	if (bytes === undefined || bytes.length < 12) throw new KernelError("getsockopt", errnoNumber("ENOPROTOOPT"));
	const view = new DataView(bytes.buffer, bytes.byteOffset);
	return { pid: view.getInt32(0, true), uid: view.getUint32(4, true), gid: view.getUint32(8, true) };
}

/** A descriptor for the process at the other end; undefined where the kernel (before 6.5) or that process's end denies it. */
export function findPeerPidfd(fd: number): number | undefined {
	try {
		return findIntOption(fd, so.SOL_SOCKET, so.SO_PEERPIDFD);
	} catch (error) {
		if (error instanceof KernelError) return undefined;
		throw error;
	}
}
