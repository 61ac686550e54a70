// SPDX-License-Identifier: GPL-2.0-only
// What sock_diag tells of netlink sockets. Source: linux/netlink_diag.h, net/netlink/diag.c.

import * as diag from "../abi/sock-diag.ts";
import { AF_NETLINK } from "../abi/socket.ts";
import { Attributes, fixedPart } from "./message.ts";

/** One netlink socket. */
export interface NetlinkDiag {
	readonly ino: number;
	readonly cookie: bigint;
	/** SOCK_RAW or SOCK_DGRAM. */
	readonly type: number;
	/** NETLINK_*. */
	readonly protocol: number;
	/** 0 not connected, 1 connected. */
	readonly state: number;
	/** 0: not bound. */
	readonly portid: number;
	readonly dstPortid: number;
	/** Group that it's connected to, counted from 1; 0: none. */
	readonly dstGroup: number;
	/** Membership of the groups 1..32, 33..64, …: one bit each. */
	readonly groups: readonly number[];
	/** SK_MEMINFO_*. */
	readonly memory: readonly number[] | undefined;
	/** NDIAG_FLAG_*. */
	readonly flags: number;
}

/** Asks for all netlink sockets of a family, or of all families. */
export function netlinkDiagRequest(protocol: number = diag.NDIAG_PROTO_ALL): Uint8Array {
	return diag.NetlinkDiagReq.encode({
		sdiag_family: AF_NETLINK,
		sdiag_protocol: protocol,
		ndiag_show: diag.NDIAG_SHOW_MEMINFO | diag.NDIAG_SHOW_GROUPS | diag.NDIAG_SHOW_FLAGS,
	});
}

/** An answer to such a question. @throws CriuError NETLINK_PARSE */
export function parseNetlinkDiag(payload: Uint8Array): NetlinkDiag {
	const at = diag.NetlinkDiagMsg.offsets;
	const view = fixedPart(payload, diag.NetlinkDiagMsg.size);
	const attributes = new Attributes(payload, diag.NetlinkDiagMsg.size);
	return {
		ino: view.getUint32(at.ndiag_ino, true),
		cookie: view.getBigUint64(at.ndiag_cookie, true),
		type: view.getUint8(at.ndiag_type),
		protocol: view.getUint8(at.ndiag_protocol),
		state: view.getUint8(at.ndiag_state),
		portid: view.getUint32(at.ndiag_portid, true),
		dstPortid: view.getUint32(at.ndiag_dst_portid, true),
		dstGroup: view.getUint32(at.ndiag_dst_group, true),
		groups: attributes.u32List(diag.NETLINK_DIAG_GROUPS) ?? [],
		memory: attributes.u32List(diag.NETLINK_DIAG_MEMINFO),
		flags: attributes.u32(diag.NETLINK_DIAG_FLAGS) ?? 0,
	};
}
