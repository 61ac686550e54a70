// SPDX-License-Identifier: GPL-2.0-only
// Probes that need an object to try on: an AIO ring, a connection, an overlay. As those of probe-host.ts, they leave nothing
// behind.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errnoName } from "../kernel/abi/errno.ts";
import { O_RDONLY } from "../kernel/abi/fcntl.ts";
import {
	IPPROTO_RAW,
	IPPROTO_TCP,
	SockaddrIn,
	TCP_REPAIR,
	TCP_REPAIR_OFF_NO_WP,
	TCP_REPAIR_ON,
} from "../kernel/abi/inet.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, MREMAP_FIXED, MREMAP_MAYMOVE, PROT_READ } from "../kernel/abi/mman.ts";
import { FSCONFIG_CMD_CREATE, FSCONFIG_SET_STRING } from "../kernel/abi/mount.ts";
import { AF_INET, AF_INET6, SHUT_WR, SOCK_CLOEXEC, SOCK_STREAM } from "../kernel/abi/socket.ts";
import * as nr from "../kernel/abi/syscalls.x86_64.ts";
import { inetDiagRequest } from "../kernel/netlink/inet-diag.ts";
import { SockDiag } from "../kernel/netlink/sock-diag.ts";
import { readMaps } from "../kernel/procfs/maps.ts";
import { openAt, scopedFd, statFd, toCString } from "../sys/file.ts";
import { mustSyscall, syscall } from "../sys/host.ts";
import type { Probe } from "./probe-host.ts";

/** An address for mmap that fails as such. */
const isError = (result: number) => result < 0 && result > -4096;

/** A ring that has been moved has to go on working under its new address. Source: io_setup(2), aio_ring_mremap in fs/aio.c. */
export const probeAioRemap: Probe = () => {
	const context = new BigUint64Array(1);
	mustSyscall("of one event", nr.SYS_io_setup, 1, context);
	let at = context[0] ?? 0n;
	try {
		const ring = readMaps("self").find((vma) => vma.start === at);
		if (ring === undefined) return "the ring has no mapping";
		const length = ring.end - ring.start;
		const room = mustSyscall("for the ring", nr.SYS_mmap, 0, length, 0, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		const moved = syscall(nr.SYS_mremap, at, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, room);
		if (isError(moved)) {
			syscall(nr.SYS_munmap, room, length);
			return `a ring can't be moved (${errnoName(-moved)})`;
		}
		at = BigInt(moved);
		const events = syscall(nr.SYS_io_getevents, at, 0, 1, new Uint8Array(32), 0);
		return events === 0 ? undefined : `a moved ring doesn't work (${errnoName(-events)})`;
	} finally {
		syscall(nr.SYS_io_destroy, at);
	}
};

/** Repair mode for a connection one side of which is closed. Needs the loopback interface. Source: tcp_can_repair_sock. */
export const probeTcpHalfClosed: Probe = () => {
	const open = () => scopedFd(mustSyscall("of TCP", nr.SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	using listener = open();
	using client = open();
	const address = SockaddrIn.encode({ sin_family: AF_INET, sin_addr: new Uint8Array([127, 0, 0, 1]) });
	mustSyscall("to the loopback address", nr.SYS_bind, listener.fd, address, address.length);
	mustSyscall("", nr.SYS_listen, listener.fd, 1);
	mustSyscall("", nr.SYS_getsockname, listener.fd, address, new Uint32Array([address.length]));
	mustSyscall("over the loopback interface", nr.SYS_connect, client.fd, address, address.length);
	using server = scopedFd(mustSyscall("", nr.SYS_accept4, listener.fd, 0, 0, SOCK_CLOEXEC));
	mustSyscall("", nr.SYS_shutdown, server.fd, SHUT_WR);
	const repair = (value: number) =>
		syscall(nr.SYS_setsockopt, server.fd, IPPROTO_TCP, TCP_REPAIR, new Int32Array([value]), 4);
	const result = repair(TCP_REPAIR_ON);
	repair(TCP_REPAIR_OFF_NO_WP);
	return result === 0 ? undefined : `no repair mode for half-closed connections (${errnoName(-result)})`;
};

export const probeRawDiag: Probe = () => {
	using diag = SockDiag.open();
	for (const family of [AF_INET, AF_INET6])
		if (!diag.dump(inetDiagRequest(family, IPPROTO_RAW), () => undefined)) return "sock_diag can't tell of raw sockets";
	return undefined;
};

/** An overlay that is mounted nowhere: gone with its descriptor. */
function openOverlay(lower: readonly string[]): number {
	using context = scopedFd(mustSyscall("of an overlay", nr.SYS_fsopen, toCString("overlay"), 1));
	const set = (key: string, value: string) =>
		mustSyscall(key, nr.SYS_fsconfig, context.fd, FSCONFIG_SET_STRING, toCString(key), toCString(value), 0);
	set("lowerdir", lower.join(":"));
	mustSyscall("of an overlay", nr.SYS_fsconfig, context.fd, FSCONFIG_CMD_CREATE, 0, 0, 0);
	return mustSyscall("of an overlay", nr.SYS_fsmount, context.fd, 1, 0);
}

/** Whether a mapping shows device and inode of the file on the overlay, not of the one below it. */
export const probeOverlayMaps: Probe = () => {
	const dir = mkdtempSync(join(tmpdir(), "criu-probe-"));
	try {
		const lower = ["a", "b"].map((name) => join(dir, name));
		for (const path of lower) mkdirSync(path);
		writeFileSync(join(dir, "a", "file"), "x");
		using overlay = scopedFd(openOverlay(lower));
		using file = scopedFd(openAt("file", O_RDONLY, 0, overlay.fd));
		const { ino, devMajor, devMinor } = statFd(file.fd);
		const at = BigInt(mustSyscall("of a file on an overlay", nr.SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE, file.fd, 0));
		const vma = readMaps("self").find(({ start, end }) => start <= at && at < end);
		syscall(nr.SYS_munmap, at, 4096);
		const same = vma?.ino === ino && vma.devMajor === devMajor && vma.devMinor === devMinor;
		return same ? undefined : "mappings show the file below the overlay";
	} finally {
		rmSync(dir, { recursive: true, force: true });
	}
};
