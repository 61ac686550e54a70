// SPDX-License-Identifier: GPL-2.0-only
// All sockets of a network namespace as sock_diag tells of them: read once in a dump, and only when a task has such sockets.
// Targets are in the namespace of this process: others are refused.

import { KernelError } from "../../errors.ts";
import { errnoNumber } from "../../kernel/abi/errno.ts";
import { type InetDiag, inetDiagRequest, parseInetDiag } from "../../kernel/netlink/inet-diag.ts";
import { type NetlinkDiag, netlinkDiagRequest, parseNetlinkDiag } from "../../kernel/netlink/netlink-diag.ts";
import { type PacketDiag, packetDiagRequest, parsePacketDiag } from "../../kernel/netlink/packet-diag.ts";
import { SockDiag } from "../../kernel/netlink/sock-diag.ts";
import { parseUnixDiag, UDIAG_SHOW_KEPT, type UnixDiag, unixDiagRequest } from "../../kernel/netlink/unix-diag.ts";
import type { DumpContext } from "../kind.ts";
import { ownIds, readNamespaces } from "../ns/namespaces.ts";

/** Sockets by inode number. */
export type SocketTable<T> = ReadonlyMap<number, T>;

function readTable<T extends { ino: number }>(request: Uint8Array, parse: (payload: Uint8Array) => T): SocketTable<T> {
	using diag = SockDiag.open();
	const table = new Map<number, T>();
	diag.dump(request, (payload) => {
		const socket = parse(payload);
		if (socket.ino !== 0) table.set(socket.ino, socket);
	});
	return table;
}

/** All unix sockets at this moment. @throws KernelError, CriuError NETLINK_PARSE */
export function readUnixSockets(): SocketTable<UnixDiag> {
	return readTable(unixDiagRequest(0, UDIAG_SHOW_KEPT), parseUnixDiag);
}

/** All unix sockets, asked for once. @throws KernelError, CriuError NETLINK_PARSE */
export function unixSockets(context: Pick<DumpContext, "once">): SocketTable<UnixDiag> {
	return context.once("sockets:unix", readUnixSockets);
}

/** False when this kernel doesn't tell of unix sockets at all. @throws KernelError */
export function tellsOfUnixSockets(context: Pick<DumpContext, "once">): boolean {
	return context.once("tells-of-unix-sockets", () => {
		using diag = SockDiag.open();
		return diag.dump(unixDiagRequest(0, 0), () => undefined);
	});
}

/** How often all sockets are read for one that can't be told alone. */
const REREADS = 8;

/**
 * A unix socket by its inode number, also one that the kernel passed over as others came and went.
 *
 * @throws KernelError, CriuError NETLINK_PARSE
 */
export function findUnixSocket(ino: number, context: Pick<DumpContext, "once">): UnixDiag | undefined {
	const known = unixSockets(context).get(ino);
	if (known !== undefined) return known;
	using diag = SockDiag.open();
	try {
		const answer = diag.find(unixDiagRequest(ino));
		return answer === undefined ? undefined : parseUnixDiag(answer);
	} catch (error) {
		if (!(error instanceof KernelError && error.errno === errnoNumber("EMSGSIZE"))) throw error;
		// The kernel has room for some 2000 waiting connections in an answer about one socket, for more in those about all.
		for (let i = 0; i < REREADS; i++) {
			const found = readUnixSockets().get(ino);
			if (found !== undefined) return found;
		}
		throw error;
	}
}

/** All bound internet sockets of a family and protocol. @throws KernelError, CriuError NETLINK_PARSE */
export function inetSockets(
	family: number,
	protocol: number,
	context: Pick<DumpContext, "once">,
): SocketTable<InetDiag> {
	return context.once(`sockets:inet:${family}:${protocol}`, () =>
		readTable(inetDiagRequest(family, protocol), parseInetDiag),
	);
}

/** All netlink sockets. @throws KernelError, CriuError NETLINK_PARSE */
export function netlinkSockets(context: Pick<DumpContext, "once">): SocketTable<NetlinkDiag> {
	return context.once("sockets:netlink", () => readTable(netlinkDiagRequest(), parseNetlinkDiag));
}

/** All packet sockets. @throws KernelError, CriuError NETLINK_PARSE */
export function packetSockets(context: Pick<DumpContext, "once">): SocketTable<PacketDiag> {
	return context.once("sockets:packet", () => readTable(packetDiagRequest(), parsePacketDiag));
}

/** The number of the network namespace in images: the one of this process. */
export function netNamespaceId(context: Pick<DumpContext, "once">): number {
	return context.once("net-namespace-id", () => ownIds(readNamespaces("self")).netNsId);
}
