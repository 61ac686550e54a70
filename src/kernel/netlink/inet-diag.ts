// SPDX-License-Identifier: GPL-2.0-only
// What sock_diag tells of internet sockets that are bound: TCP, UDP, UDP-Lite, raw.
// Source: sock_diag(7), linux/inet_diag.h, net/ipv4/inet_diag.c.

import * as diag from "../abi/sock-diag.ts";
import { AF_INET } from "../abi/socket.ts";
import { Attributes, fixedPart } from "./message.ts";

/** One internet socket. */
export interface InetDiag {
	readonly ino: number;
	readonly cookie: bigint;
	/** AF_INET or AF_INET6. */
	readonly family: number;
	/** TCP_*, also for other protocols. */
	readonly state: number;
	readonly srcPort: number;
	readonly dstPort: number;
	/** 4 or 16 bytes. */
	readonly src: Uint8Array;
	readonly dst: Uint8Array;
	/** Number of the device that it's bound to; 0: none. */
	readonly device: number;
	/** Bytes to receive; of a listening socket the number of waiting connections. */
	readonly rqueue: number;
	/** Bytes not sent or not acknowledged; of a listening socket its backlog. */
	readonly wqueue: number;
	readonly uid: number;
	/** SK_MEMINFO_*. */
	readonly memory: readonly number[] | undefined;
	/** Bits 1: no more receiving, 2: no more sending. */
	readonly shutdown: number;
	/** Of AF_INET6. */
	readonly v6only: boolean | undefined;
}

const ALL_STATES = 0xffffffff;

/** Asks for all sockets of a family and protocol in some states (bits by TCP_*). */
export function inetDiagRequest(family: number, protocol: number, states = ALL_STATES): Uint8Array {
	return diag.InetDiagReqV2.encode({
		sdiag_family: family,
		sdiag_protocol: protocol,
		idiag_ext: 1 << (diag.INET_DIAG_SKMEMINFO - 1),
		idiag_states: states,
	});
}

/** An answer to such a question. @throws CriuError NETLINK_PARSE */
export function parseInetDiag(payload: Uint8Array): InetDiag {
	const at = diag.InetDiagMsg.offsets;
	const id = diag.InetDiagSockid.offsets;
	const view = fixedPart(payload, diag.InetDiagMsg.size);
	const attributes = new Attributes(payload, diag.InetDiagMsg.size);
	const family = view.getUint8(at.idiag_family);
	const length = family === AF_INET ? 4 : 16;
	const v6only = attributes.u8(diag.INET_DIAG_SKV6ONLY);
	const address = (from: number) => payload.slice(at.id + from, at.id + from + length);
	return {
		ino: view.getUint32(at.idiag_inode, true),
		cookie: view.getBigUint64(at.id + id.idiag_cookie, true),
		family,
		state: view.getUint8(at.idiag_state),
		srcPort: view.getUint16(at.id + id.idiag_sport),
		dstPort: view.getUint16(at.id + id.idiag_dport),
		src: address(id.idiag_src),
		dst: address(id.idiag_dst),
		device: view.getUint32(at.id + id.idiag_if, true),
		rqueue: view.getUint32(at.idiag_rqueue, true),
		wqueue: view.getUint32(at.idiag_wqueue, true),
		uid: view.getUint32(at.idiag_uid, true),
		memory: attributes.u32List(diag.INET_DIAG_SKMEMINFO),
		shutdown: attributes.u8(diag.INET_DIAG_SHUTDOWN) ?? 0,
		v6only: v6only === undefined ? undefined : v6only !== 0,
	};
}
