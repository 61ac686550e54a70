// SPDX-License-Identifier: GPL-2.0-only
// TCP connections that are used by blocking calls. Source: ip(7), ipv6(7), tcp(7).

import { KernelError, UsageError } from "../errors.ts";
import { errnoNumber } from "../kernel/abi/errno.ts";
import { IPPROTO_TCP, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_NODELAY } from "../kernel/abi/inet.ts";
import {
	AF_INET,
	AF_INET6,
	SO_KEEPALIVE,
	SO_RCVTIMEO_OLD,
	SO_REUSEADDR,
	SO_SNDTIMEO_OLD,
	SOCK_CLOEXEC,
	SOCK_STREAM,
	SOL_SOCKET,
} from "../kernel/abi/socket.ts";
import * as nr from "../kernel/abi/syscalls.x86_64.ts";
import { closeFd } from "./file.ts";
import { mustSyscall, syscall } from "./host.ts";

const [EINTR, EAFNOSUPPORT] = [errnoNumber("EINTR"), errnoNumber("EAFNOSUPPORT")];
/** Seconds in which a connection that is used has to get on. */
const STUCK_SEC = 120;

function parseIPv6(text: string): Uint8Array {
	const bytes = new Uint8Array(16);
	const view = new DataView(bytes.buffer);
	// The URL parser brings the form with dots, and any other, into groups of hexadecimal digits.
	const plain = new URL(`http://[${text.replace(/%.*$/, "")}]/`).hostname.slice(1, -1);
	const [head = "", tail] = plain.split("::");
	const groups = (part: string) => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
	for (const [i, group] of groups(head).entries()) view.setUint16(i * 2, group);
	const last = groups(tail ?? "");
	for (const [i, group] of last.entries()) view.setUint16(16 - (last.length - i) * 2, group);
	return bytes;
}

/** `struct sockaddr_in` or `sockaddr_in6` of a numeric address. @throws UsageError BAD_ADDRESS */
export function encodeAddress(address: string, port: number): Uint8Array {
	// Loaded when it's needed: every dump loads this module, and few have an address.
	const version = process.getBuiltinModule("node:net").isIP(address);
	const bytes = new Uint8Array(version === 4 ? 16 : 28);
	const view = new DataView(bytes.buffer);
	view.setUint16(2, port);
	if (version === 4) {
		view.setUint16(0, AF_INET, true);
		bytes.set(address.split(".").map(Number), 4);
	} else if (version === 6) {
		view.setUint16(0, AF_INET6, true);
		bytes.set(parseIPv6(address), 8);
	} else
		throw new UsageError("BAD_ADDRESS", `${address} is no address`, {
			remedy: "give --address an IPv4 or IPv6 address, or the name of a host",
		});
	return bytes;
}

function openSocket(address: Uint8Array): number {
	const family = new DataView(address.buffer).getUint16(0, true);
	return mustSyscall("for TCP", nr.SYS_socket, family, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/** What is small isn't held back. Who waits for as long as the other side likes hears within two minutes that its host is gone. */
const OPTIONS = [
	[IPPROTO_TCP, TCP_NODELAY, 1],
	[SOL_SOCKET, SO_KEEPALIVE, 1],
	[IPPROTO_TCP, TCP_KEEPIDLE, STUCK_SEC / 2],
	[IPPROTO_TCP, TCP_KEEPINTVL, STUCK_SEC / 12],
	[IPPROTO_TCP, TCP_KEEPCNT, 6],
] as const;

/** A connection that is stuck for long counts as cut. */
export function setTimeouts(fd: number): void {
	const time = new BigInt64Array([BigInt(STUCK_SEC), 0n]);
	for (const name of [SO_RCVTIMEO_OLD, SO_SNDTIMEO_OLD]) syscall(nr.SYS_setsockopt, fd, SOL_SOCKET, name, time, 16);
	for (const [level, name, value] of OPTIONS) syscall(nr.SYS_setsockopt, fd, level, name, new Int32Array([value]), 4);
}

/** Connects. The caller closes the descriptor. Blocks. @throws UsageError, KernelError */
export function connectTcp(address: string, port: number): number {
	const name = encodeAddress(address, port);
	const fd = openSocket(name);
	setTimeouts(fd);
	const ret = syscall(nr.SYS_connect, fd, name, name.length);
	if (ret >= 0) return fd;
	closeFd(fd);
	throw new KernelError("connect", -ret, `to ${address}, port ${port}`, {
		remedy: "start the page server there first, and check --address and --port",
	});
}

/** Listens for one connection; without an address on all. The caller closes the descriptor. @throws UsageError, KernelError */
export function listenTcp(address: string | undefined, port: number): number {
	for (const candidate of address === undefined ? ["::", "0.0.0.0"] : [address]) {
		const name = encodeAddress(candidate, port);
		let fd: number;
		try {
			fd = openSocket(name);
		} catch (error) {
			if (address !== undefined || !(error instanceof KernelError) || error.errno !== EAFNOSUPPORT) throw error;
			continue;
		}
		try {
			syscall(nr.SYS_setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, new Int32Array([1]), 4);
			mustSyscall(`to ${candidate}, port ${port}`, nr.SYS_bind, fd, name, name.length);
			mustSyscall("for a page server", nr.SYS_listen, fd, 1);
			return fd;
		} catch (error) {
			closeFd(fd);
			throw error;
		}
	}
	throw new KernelError("socket", EAFNOSUPPORT, "for TCP");
}

/** The port that a socket is bound to. @throws KernelError */
export function localPort(fd: number): number {
	const name = new Uint8Array(128);
	mustSyscall("of a listening socket", nr.SYS_getsockname, fd, name, new Uint32Array([name.length]));
	return new DataView(name.buffer).getUint16(2);
}

/** Waits for a connection. The caller closes the descriptor. @throws KernelError */
export function acceptOne(fd: number): number {
	for (;;) {
		const ret = syscall(nr.SYS_accept4, fd, 0, 0, SOCK_CLOEXEC);
		if (ret === -EINTR) continue;
		if (ret < 0) throw new KernelError("accept4", -ret, "of a connection");
		setTimeouts(ret);
		return ret;
	}
}
