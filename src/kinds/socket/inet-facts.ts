// SPDX-License-Identifier: GPL-2.0-only
// What the kernel tells of an internet socket besides its options: addresses, state, queues, which directions are shut down.
// Source: TCP_INFO in tcp(7); sock_diag(7); proc_net(5); poll(2).

import { BugError } from "../../errors.ts";
import * as inet from "../../kernel/abi/inet.ts";
import { SK_MEMINFO_RMEM_ALLOC } from "../../kernel/abi/sock-diag.ts";
import * as so from "../../kernel/abi/socket.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { SYS_ioctl, SYS_poll } from "../../kernel/abi/syscalls.x86_64.ts";
import { type NetSocket, readNetSockets } from "../../kernel/procfs/net-sockets.ts";
import { syscall } from "../../sys/host.ts";
import { findLastPeerName, findOption, findPeerName, getSocketName } from "../../sys/socket.ts";
import type { DumpContext, FdFacts } from "../kind.ts";
import { hostLength, type InetAddress, isAny, parseSockaddr } from "./inet-address.ts";
import { findSocketFacts, type SocketFacts } from "./socket-facts.ts";
import { inetSockets } from "./socket-tables.ts";

const POLLRDHUP = 0x2000;
const POLLHUP = 0x10;
const SHUT_RECEIVE = 1;
const SHUT_BOTH = 3;
const MEMINFO_SIZE = 36;

/** An internet socket. */
export interface InetFacts extends SocketFacts {
	/** TCP_*, also of other protocols. */
	readonly state: number;
	readonly local: InetAddress;
	/** Of a connected socket, also of one whose connection has ended. */
	readonly peer: InetAddress | undefined;
	/** Of a listening socket. */
	readonly backlog: number;
	/** Connections that a listening socket hasn't accepted yet. */
	readonly pending: number;
	/** Bits 1: no more receiving, 2: no more sending. */
	readonly shutdown: number;
	/** Bytes of kernel memory that datagrams take which nobody has received yet. */
	readonly received: number;
	/** Bytes of kernel memory that datagrams take which aren't sent yet. */
	readonly unsent: number;
}

const known = new WeakMap<FdFacts, InetFacts>();

function pollFor(fd: number): number {
	const poll = new Int32Array([fd, POLLRDHUP]);
	return syscall(SYS_poll, poll, 1, 0) <= 0 ? 0 : (poll[1] ?? 0) >>> 16;
}

/** From outside the two directions of a socket that's ready for nothing more can't be told apart. */
function pollShutdown(fd: number): number {
	const events = pollFor(fd);
	if ((events & POLLRDHUP) === 0) return 0;
	return (events & POLLHUP) !== 0 ? SHUT_BOTH : SHUT_RECEIVE;
}

function emptyAddress(family: number): InetAddress {
	return { host: new Uint8Array(hostLength(family)), port: 0, scope: 0 };
}

function readTcp(file: FdFacts, facts: SocketFacts, local: InetAddress): InetFacts {
	const { ownFd } = file;
	const bytes = findOption(ownFd, so.SOL_TCP, inet.TCP_INFO, inet.TcpInfo.size);
	if (bytes?.length !== inet.TcpInfo.size) throw new BugError(`no TCP_INFO of fd ${file.fd} of pid ${file.task.pid}`);
	const { tcpi_state: state, tcpi_unacked, tcpi_sacked } = inet.TcpInfo.read(viewOf(bytes));
	const listens = state === inet.TCP_LISTEN;
	const name = findLastPeerName(ownFd, facts.family === so.AF_INET6 ? inet.SockaddrIn6.size : inet.SockaddrIn.size);
	return {
		...facts,
		state,
		local,
		peer: name === undefined ? undefined : parseSockaddr(name),
		backlog: listens ? tcpi_sacked : 0,
		pending: listens ? tcpi_unacked : 0,
		shutdown: state === inet.TCP_CLOSE ? pollShutdown(ownFd) & SHUT_BOTH : 0,
		received: 0,
		unsent: 0,
	};
}

/** The tables that there are for sockets without sock_diag. */
function findInTable(file: FdFacts, facts: SocketFacts, context: DumpContext): NetSocket | undefined {
	const isIp6 = facts.family === so.AF_INET6;
	const name = facts.type === so.SOCK_RAW ? (isIp6 ? "raw6" : "raw") : isIp6 ? "icmp6" : "icmp";
	const table = context.once(
		`sockets:proc:${name}`,
		() => new Map(readNetSockets(name).map((socket) => [socket.ino, socket])),
	);
	return table.get(file.stat.ino);
}

/** What is queued: datagrams that wait in kernel memory, and those that a program has begun to write. */
export function readQueues(fd: number): { received: number; unsent: number } {
	const memory = findOption(fd, so.SOL_SOCKET, so.SO_MEMINFO, MEMINFO_SIZE);
	const received = memory === undefined ? 0 : viewOf(memory).getUint32(SK_MEMINFO_RMEM_ALLOC * 4, true);
	const unsent = new Int32Array(1);
	syscall(SYS_ioctl, fd, so.SIOCOUTQ, unsent);
	return { received, unsent: unsent[0] ?? 0 };
}

function readDatagram(file: FdFacts, facts: SocketFacts, local: InetAddress, context: DumpContext): InetFacts {
	const { ownFd } = file;
	const common = { ...facts, local, backlog: 0, pending: 0, ...readQueues(ownFd) };
	const name = findPeerName(ownFd);
	const peer = name === undefined ? undefined : parseSockaddr(name);
	const isUdp = facts.type === so.SOCK_DGRAM && !isPing(facts);
	const isRaw = facts.type === so.SOCK_RAW;
	if (isUdp || isRaw) {
		const protocol = isRaw ? inet.IPPROTO_RAW : facts.protocol;
		const socket = inetSockets(facts.family, protocol, context).get(Number(file.stat.ino & 0xffffffffn));
		if (socket !== undefined) {
			const { state, shutdown, dst, dstPort } = socket;
			const to = { host: dst, port: dstPort, scope: peer?.scope ?? 0 };
			return { ...common, state, shutdown, peer: state === inet.TCP_ESTABLISHED ? to : undefined };
		}
	}
	const shutdown = pollShutdown(ownFd);
	const row = isUdp ? undefined : findInTable(file, facts, context);
	if (row === undefined || row.state !== inet.TCP_ESTABLISHED) {
		const state = peer === undefined ? inet.TCP_CLOSE : inet.TCP_ESTABLISHED;
		return { ...common, state, shutdown, peer };
	}
	const to = { host: row.remote, port: row.remotePort, scope: peer?.scope ?? 0 };
	return { ...common, state: row.state, shutdown, peer: to };
}

/** True for sockets that ping: datagrams of ICMP. */
export function isPing({ type, protocol }: SocketFacts): boolean {
	return type === so.SOCK_DGRAM && (protocol === inet.IPPROTO_ICMP || protocol === inet.IPPROTO_ICMPV6);
}

/** All that's to be known of an internet socket, read once. @throws KernelError, CriuError */
export function readInetFacts(file: FdFacts, context: DumpContext): InetFacts {
	const before = known.get(file);
	if (before !== undefined) return before;
	const facts = findSocketFacts(file);
	if (facts === undefined) throw new BugError(`fd ${file.fd} of pid ${file.task.pid} is no socket`);
	const local = parseSockaddr(getSocketName(file.ownFd)) ?? emptyAddress(facts.family);
	const isTcp = facts.protocol === inet.IPPROTO_TCP && facts.type === so.SOCK_STREAM;
	const read = isTcp ? readTcp(file, facts, local) : readDatagram(file, facts, local, context);
	known.set(file, read);
	return read;
}

/** True when there's an address that a socket has to be bound to. Ports of raw sockets are their protocols. */
export function isBound({ type, local }: Pick<InetFacts, "type" | "local">): boolean {
	return !isAny(local.host) || (local.port !== 0 && type !== so.SOCK_RAW);
}
