// SPDX-License-Identifier: GPL-2.0-only
// Unix sockets that are streams, over which descriptors are handed, each with the process that it's about. Source: unix(7),
// cmsg(3).

import { KernelError } from "../errors.ts";
import { errnoNumber } from "../kernel/abi/errno.ts";
import * as so from "../kernel/abi/socket.ts";
import * as nr from "../kernel/abi/syscalls.x86_64.ts";
import { closeFd } from "./file.ts";
import { addressOf, mustSyscall, syscall } from "./host.ts";

const SUN_PATH_SIZE = 108;
const EINTR = errnoNumber("EINTR");
const ENAMETOOLONG = errnoNumber("ENAMETOOLONG");
/** Two control messages: a descriptor (24 bytes) and credentials (32). */
const RIGHTS_SPACE = 24;
const RIGHTS_LENGTH = 20;
const CREDENTIALS_LENGTH = 28;
const CONTROL_SIZE = 64;

/** What the kernel takes and fills. They live for ever: what only the kernel points to must not be collected meanwhile. */
const header = new BigUint64Array(so.Msghdr.size / 8);
const iov = new BigUint64Array(2);
const byte = new Uint8Array(1);
const control = new Uint8Array(CONTROL_SIZE);
const controlView = new DataView(control.buffer);

function prepare(controlSize: number): void {
	iov.set([addressOf(byte), 1n]);
	header.fill(0n);
	header.set([addressOf(iov), 1n, addressOf(control), BigInt(controlSize)], 2);
}

function openWith(path: string, use: (fd: number, address: Uint8Array) => void): number {
	const name = new TextEncoder().encode(path);
	if (name.length >= SUN_PATH_SIZE) throw new KernelError("socket", ENAMETOOLONG, `for ${path}`);
	const address = new Uint8Array(2 + name.length);
	address[0] = so.AF_UNIX;
	address.set(name, 2);
	const fd = mustSyscall(`for ${path}`, nr.SYS_socket, so.AF_UNIX, so.SOCK_STREAM | so.SOCK_CLOEXEC, 0);
	try {
		use(fd, address);
		return fd;
	} catch (error) {
		closeFd(fd);
		throw error;
	}
}

/** A socket that listens at a path, which must be free; what comes tells of its senders. @throws KernelError */
export function listenStream(path: string, backlog: number): number {
	return openWith(path, (fd, address) => {
		syscall(nr.SYS_setsockopt, fd, so.SOL_SOCKET, so.SO_PASSCRED, new Int32Array([1]), 4);
		mustSyscall(`to ${path}`, nr.SYS_bind, fd, address, address.length);
		mustSyscall(`at ${path}`, nr.SYS_listen, fd, backlog);
	});
}

/** A socket connected to the one that listens at a path. @throws KernelError */
export function connectStream(path: string): number {
	return openWith(path, (fd, address) => mustSyscall(`to ${path}`, nr.SYS_connect, fd, address, address.length));
}

/** Two sockets that are connected to each other. @throws KernelError */
export function makeStreamPair(): readonly [one: number, other: number] {
	const pair = new Int32Array(2);
	mustSyscall("of our own", nr.SYS_socketpair, so.AF_UNIX, so.SOCK_STREAM | so.SOCK_CLOEXEC, 0, pair);
	return [pair[0] ?? -1, pair[1] ?? -1];
}

/** Waits for a connection, which tells of senders, too. @throws KernelError */
export function acceptStream(fd: number): number {
	for (;;) {
		const ret = syscall(nr.SYS_accept4, fd, 0, 0, so.SOCK_CLOEXEC);
		if (ret === -EINTR) continue;
		if (ret < 0) throw new KernelError("accept4", -ret, "of a connection");
		syscall(nr.SYS_setsockopt, ret, so.SOL_SOCKET, so.SO_PASSCRED, new Int32Array([1]), 4);
		return ret;
	}
}

/** Sends a word. @throws KernelError */
export function sendWord(fd: number, value: number): void {
	mustSyscall("on a socket", nr.SYS_sendto, fd, Int32Array.of(value), 4, so.MSG_NOSIGNAL, 0, 0);
}

/** Waits for a word; undefined when the other side has ended. @throws KernelError */
export function receiveWord(fd: number): number | undefined {
	const word = new Int32Array(1);
	const bytes = new Uint8Array(word.buffer);
	for (let done = 0; done < 4; ) {
		const ret = syscall(nr.SYS_recvfrom, fd, bytes.subarray(done), 4 - done, so.MSG_WAITALL, 0, 0);
		if (ret === -EINTR) continue;
		if (ret === 0 || ret === -errnoNumber("ECONNRESET")) return undefined;
		if (ret < 0) throw new KernelError("recvfrom", -ret, "on a socket");
		done += ret;
	}
	return word[0];
}

/** Hands over a descriptor, with a byte, and says which process it's about to whoever asks for that. @throws KernelError */
export function passFd(fd: number, passed: number, pid: number): void {
	control.fill(0);
	so.Cmsghdr.write(controlView, 0, {
		cmsg_len: BigInt(RIGHTS_LENGTH),
		cmsg_level: so.SOL_SOCKET,
		cmsg_type: so.SCM_RIGHTS,
	});
	controlView.setInt32(so.Cmsghdr.size, passed, true);
	so.Cmsghdr.write(controlView, RIGHTS_SPACE, {
		cmsg_len: BigInt(CREDENTIALS_LENGTH),
		cmsg_level: so.SOL_SOCKET,
		cmsg_type: so.SCM_CREDENTIALS,
	});
	const uid = process.geteuid?.() ?? 0;
	const gid = process.getegid?.() ?? 0;
	so.Ucred.write(controlView, RIGHTS_SPACE + so.Cmsghdr.size, { pid, uid, gid });
	prepare(RIGHTS_SPACE + CREDENTIALS_LENGTH);
	mustSyscall("of a descriptor", nr.SYS_sendmsg, fd, header, so.MSG_NOSIGNAL);
}

/** A descriptor that was handed over. */
export interface PassedFd {
	/** Ours. */
	readonly fd: number;
	/** The process it's about, or who sent it; 0 for one that we can't see. */
	readonly pid: number;
}

/** Waits for a descriptor; undefined when none came with the byte, or the other side has ended. @throws KernelError */
export function takeFd(fd: number): PassedFd | undefined {
	prepare(CONTROL_SIZE);
	let ret: number;
	do ret = syscall(nr.SYS_recvmsg, fd, header, so.MSG_CMSG_CLOEXEC);
	while (ret === -EINTR);
	if (ret < 0 && ret !== -errnoNumber("ECONNRESET")) throw new KernelError("recvmsg", -ret, "of a descriptor");
	const length = Number(header[5] ?? 0n);
	let found: number | undefined;
	let pid = 0;
	for (let at = 0; at + so.Cmsghdr.size <= length; ) {
		const { cmsg_len, cmsg_level, cmsg_type } = so.Cmsghdr.read(controlView, at);
		const size = Number(cmsg_len);
		if (size < so.Cmsghdr.size || at + size > length) break;
		const data = at + so.Cmsghdr.size;
		if (cmsg_level === so.SOL_SOCKET && cmsg_type === so.SCM_CREDENTIALS) pid = so.Ucred.read(controlView, data).pid;
		if (cmsg_level === so.SOL_SOCKET && cmsg_type === so.SCM_RIGHTS)
			for (let one = data; one + 4 <= at + size; one += 4) {
				if (found !== undefined) closeFd(found);
				found = controlView.getInt32(one, true);
			}
		at += (size + 7) & ~7;
	}
	return ret <= 0 || found === undefined ? undefined : { fd: found, pid };
}
