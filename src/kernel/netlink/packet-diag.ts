// SPDX-License-Identifier: GPL-2.0-only
// What sock_diag tells of packet sockets. Source: linux/packet_diag.h, net/packet/diag.c.

import * as diag from "../abi/sock-diag.ts";
import { AF_PACKET } from "../abi/socket.ts";
import { Attributes, fixedPart, netlinkParseError } from "./message.ts";

const MAX_ADDRESS = 32;

/** One packet socket. */
export interface PacketDiag {
	readonly ino: number;
	readonly cookie: bigint;
	/** SOCK_RAW, SOCK_DGRAM or SOCK_PACKET. */
	readonly type: number;
	/** ETH_P_*, in host byte order. */
	readonly protocol: number;
	readonly info: diag.PacketDiagInfo | undefined;
	/** Memberships; `count` of one and the same. */
	readonly memberships: readonly { index: number; count: number; type: number; address: Uint8Array }[];
	readonly rxRing: diag.PacketDiagRing | undefined;
	readonly txRing: diag.PacketDiagRing | undefined;
	/** Id in the low half, type and flags in the high half. */
	readonly fanout: number | undefined;
	readonly memory: readonly number[] | undefined;
	readonly uid: number | undefined;
	/** struct sock_filter, one after the other. */
	readonly filter: Uint8Array | undefined;
}

/** Asks for all packet sockets. */
export function packetDiagRequest(): Uint8Array {
	return diag.PacketDiagReq.encode({
		sdiag_family: AF_PACKET,
		pdiag_show:
			diag.PACKET_SHOW_INFO |
			diag.PACKET_SHOW_MCLIST |
			diag.PACKET_SHOW_RING_CFG |
			diag.PACKET_SHOW_FANOUT |
			diag.PACKET_SHOW_MEMINFO |
			diag.PACKET_SHOW_FILTER,
	});
}

function readMemberships(attributes: Attributes): PacketDiag["memberships"] {
	const bytes = attributes.find(diag.PACKET_DIAG_MCLIST);
	if (bytes === undefined) return [];
	const { size } = diag.PacketDiagMclist;
	return Array.from({ length: Math.floor(bytes.length / size) }, (_, i) => {
		const one = diag.PacketDiagMclist.read(fixedPart(bytes.subarray(i * size), size));
		if (one.pdmc_alen > MAX_ADDRESS) throw netlinkParseError(`an address of ${one.pdmc_alen} bytes`);
		return {
			index: one.pdmc_index,
			count: one.pdmc_count,
			type: one.pdmc_type,
			address: one.pdmc_addr.subarray(0, one.pdmc_alen),
		};
	});
}

function readRing(attributes: Attributes, type: number): diag.PacketDiagRing | undefined {
	const view = attributes.view(type, diag.PacketDiagRing.size);
	return view === undefined ? undefined : diag.PacketDiagRing.read(view);
}

/** An answer to such a question. @throws CriuError NETLINK_PARSE */
export function parsePacketDiag(payload: Uint8Array): PacketDiag {
	const at = diag.PacketDiagMsg.offsets;
	const view = fixedPart(payload, diag.PacketDiagMsg.size);
	const attributes = new Attributes(payload, diag.PacketDiagMsg.size);
	const info = attributes.view(diag.PACKET_DIAG_INFO, diag.PacketDiagInfo.size);
	return {
		ino: view.getUint32(at.pdiag_ino, true),
		cookie: view.getBigUint64(at.pdiag_cookie, true),
		type: view.getUint8(at.pdiag_type),
		protocol: view.getUint16(at.pdiag_num, true),
		info: info === undefined ? undefined : diag.PacketDiagInfo.read(info),
		memberships: readMemberships(attributes),
		rxRing: readRing(attributes, diag.PACKET_DIAG_RX_RING),
		txRing: readRing(attributes, diag.PACKET_DIAG_TX_RING),
		fanout: attributes.u32(diag.PACKET_DIAG_FANOUT),
		memory: attributes.u32List(diag.PACKET_DIAG_MEMINFO),
		uid: attributes.u32(diag.PACKET_DIAG_UID),
		filter: attributes.find(diag.PACKET_DIAG_FILTER)?.slice(),
	};
}
