// SPDX-License-Identifier: GPL-2.0-only
// What sock_diag tells of unix sockets. Source: sock_diag(7), linux/unix_diag.h, net/unix/diag.c.

import * as diag from "../abi/sock-diag.ts";
import { AF_UNIX } from "../abi/socket.ts";
import { Attributes, fixedPart } from "./message.ts";

/** One unix socket. */
export interface UnixDiag {
	readonly ino: number;
	readonly cookie: bigint;
	/** SOCK_*. */
	readonly type: number;
	/** TCP_ESTABLISHED, TCP_CLOSE or TCP_LISTEN. */
	readonly state: number;
	/** sun_path as it was bound: abstract names begin with NUL, paths have what the program gave. Undefined: not bound. */
	readonly name: Uint8Array | undefined;
	/** Inode and device (major << 20 | minor) of the file that it's bound to. */
	readonly vfs: { readonly ino: number; readonly dev: number } | undefined;
	/** Inode number of the peer socket. */
	readonly peer: number | undefined;
	/** Of a listening socket: inodes of those that wait to be accepted, in their order; 0 for one that is closed again. */
	readonly pending: readonly number[];
	/** Bytes to receive; of a listening socket the number of waiting connections. */
	readonly rqueue: number;
	/** Bytes sent and not received; of a listening socket its backlog. */
	readonly wqueue: number;
	/** SK_MEMINFO_*. */
	readonly memory: readonly number[] | undefined;
	/** Bits 1: no more receiving, 2: no more sending. */
	readonly shutdown: number;
	/** Since: Linux 5.3. */
	readonly uid: number | undefined;
}

/** Everything that there is to tell. */
export const UDIAG_SHOW_ALL =
	diag.UDIAG_SHOW_NAME |
	diag.UDIAG_SHOW_VFS |
	diag.UDIAG_SHOW_PEER |
	diag.UDIAG_SHOW_ICONS |
	diag.UDIAG_SHOW_RQLEN |
	diag.UDIAG_SHOW_MEMINFO |
	diag.UDIAG_SHOW_UID;

/** The same without what images don't hold: how much memory it takes, and whose it is. */
export const UDIAG_SHOW_KEPT = UDIAG_SHOW_ALL & ~(diag.UDIAG_SHOW_MEMINFO | diag.UDIAG_SHOW_UID);

const ALL_STATES = 0xffffffff;

/** Asks for all unix sockets, or for the one of an inode number. */
export function unixDiagRequest(ino = 0, show: number = UDIAG_SHOW_ALL): Uint8Array {
	const cookie = [diag.INET_DIAG_NOCOOKIE, diag.INET_DIAG_NOCOOKIE];
	return diag.UnixDiagReq.encode({
		sdiag_family: AF_UNIX,
		udiag_states: ALL_STATES,
		udiag_ino: ino,
		udiag_show: show,
		udiag_cookie: cookie,
	});
}

/** An answer to such a question. @throws CriuError NETLINK_PARSE */
export function parseUnixDiag(payload: Uint8Array): UnixDiag {
	const at = diag.UnixDiagMsg.offsets;
	const view = fixedPart(payload, diag.UnixDiagMsg.size);
	const attributes = new Attributes(payload, diag.UnixDiagMsg.size);
	const vfs = attributes.view(diag.UNIX_DIAG_VFS, 8);
	const queues = attributes.view(diag.UNIX_DIAG_RQLEN, 8);
	return {
		ino: view.getUint32(at.udiag_ino, true),
		cookie: view.getBigUint64(at.udiag_cookie, true),
		type: view.getUint8(at.udiag_type),
		state: view.getUint8(at.udiag_state),
		name: attributes.find(diag.UNIX_DIAG_NAME)?.slice(),
		vfs: vfs === undefined ? undefined : { ino: vfs.getUint32(0, true), dev: vfs.getUint32(4, true) },
		peer: attributes.u32(diag.UNIX_DIAG_PEER),
		pending: attributes.u32List(diag.UNIX_DIAG_ICONS) ?? [],
		rqueue: queues?.getUint32(0, true) ?? 0,
		wqueue: queues?.getUint32(4, true) ?? 0,
		memory: attributes.u32List(diag.UNIX_DIAG_MEMINFO),
		shutdown: attributes.u8(diag.UNIX_DIAG_SHUTDOWN) ?? 0,
		uid: attributes.u32(diag.UNIX_DIAG_UID),
	};
}
