// SPDX-License-Identifier: GPL-2.0-only
// Unix sockets, dump half. A peer outside of the tree gets a placeholder, as CRIU's images have it.
// Images: files.img (unix_sk_entry). Source: sock_diag(7), unix(7).

import { BugError } from "../../errors.ts";
import { fd_types, type file_entry, file_entrySchema } from "../../images/gen/fdinfo_pb.ts";
import { file_perms_entrySchema, sk_opts_entrySchema, unix_sk_entrySchema } from "../../images/gen/socket_pb.ts";
import { create } from "../../images/index.ts";
import { TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN } from "../../kernel/abi/inet.ts";
import { SOCK_DGRAM } from "../../kernel/abi/socket.ts";
import { imageFlags } from "../file/anon-inode.ts";
import { emptyFown } from "../file/fown.ts";
import type { DumpContext, FdFacts } from "../kind.ts";
import { ownIds, readNamespaces } from "../ns/namespaces.ts";
import { UNIX_EXTRAS } from "./extra-options.ts";
import { dumpSkOpts } from "./sk-opts.ts";
import { dumpSocketQueue } from "./sk-queue.ts";
import { findUnixSocket } from "./socket-tables.ts";
import { inodeOf, type UnixSocket, type UnixTree, unixTreeOf } from "./unix-tree.ts";

/** Bits of uflags. */
export const USK_EXTERN = 1;
export const USK_SERVICE = 2;
export const USK_CALLBACK = 4;
export const USK_INHERIT = 8;

const NO_NAME = new Uint8Array();

/** The inode that images have as the peer: for a connection that nobody has accepted yet it's the listening socket. */
function imagePeer({ diag }: UnixSocket, tree: UnixTree): number {
	if (diag.peer !== undefined && diag.peer !== 0) return diag.peer;
	if (diag.type === SOCK_DGRAM || diag.state !== TCP_ESTABLISHED) return 0;
	return tree.listeners.get(diag.ino)?.ino ?? 0;
}

/** The other end, when each is the other's peer: what it sends comes under its own name. */
function pairOf({ diag }: UnixSocket, tree: UnixTree): UnixSocket | undefined {
	const other = tree.sockets.get(diag.peer ?? 0);
	return other?.diag.peer === diag.ino ? other : undefined;
}

/**
 * A socket that has a peer comes behind it, of a pair the one that's met first, as in CRIU's images: the original finds a peer that
 * isn't connected back only among the entries before, and makes a pair in the task that has the latter one of its entries, which it
 * can do only where that's the first task of both.
 */
export function arrangePeers(entries: readonly file_entry[]): file_entry[] {
	const unmet = new Set(entries.flatMap(({ usk }) => (usk === undefined ? [] : [usk.ino])));
	/** Those who wait for a socket, by its inode. */
	const waiting = new Map<number, file_entry[]>();
	const arranged: file_entry[] = [];
	const put = (entry: file_entry) => {
		// One may wait for another: no recursion, as such rows can be long.
		for (const next = [entry]; next.length > 0; ) {
			const placed = next.pop() as file_entry;
			arranged.push(placed);
			const { usk } = placed;
			const behind = (usk && waiting.get(usk.ino)) ?? [];
			if (usk !== undefined) waiting.delete(usk.ino);
			// The other one of a pair is the first: it's the one that sends again what waits.
			const isOther = (one: file_entry) => one.usk?.ino === usk?.peer;
			next.push(...behind.filter((one) => !isOther(one)).reverse(), ...behind.filter(isOther));
		}
	};
	for (const entry of entries) {
		const { usk } = entry;
		if (usk !== undefined) unmet.delete(usk.ino);
		if (usk === undefined || !unmet.has(usk.peer)) put(entry);
		else waiting.set(usk.peer, [...(waiting.get(usk.peer) ?? []), entry]);
	}
	return arranged;
}

/** The entry of a peer that isn't dumped, once for all that are connected to it. */
function addPlaceholder(ino: number, context: DumpContext): void {
	context.once(`extern-unix:${ino}`, () => {
		const id = context.files.newId();
		const none = {
			soSndbuf: 0,
			soRcvbuf: 0,
			soSndTmoSec: 0n,
			soSndTmoUsec: 0n,
			soRcvTmoSec: 0n,
			soRcvTmoUsec: 0n,
		};
		const usk = create(unix_sk_entrySchema, {
			id,
			ino,
			type: SOCK_DGRAM,
			state: TCP_LISTEN,
			flags: 0,
			uflags: USK_EXTERN,
			backlog: 0,
			peer: 0,
			fown: emptyFown(),
			opts: create(sk_opts_entrySchema, none),
			name: findUnixSocket(ino, context)?.name ?? NO_NAME,
		});
		context.files.add(create(file_entrySchema, { type: fd_types.UNIXSK, id, usk }));
		return id;
	});
}

function pathFields({ path }: UnixSocket) {
	if (path === undefined) return {};
	const { stat, deleted, dir, filePath } = path;
	return {
		filePerms: create(file_perms_entrySchema, { mode: stat.mode, uid: stat.uid, gid: stat.gid }),
		...(dir === undefined ? {} : { nameDir: dir }),
		...(deleted ? { deleted } : {}),
		...(filePath === undefined ? {} : { filePath }),
	};
}

/** Gives the entry of a socket; its queue goes into an image of its own. @throws KernelError, ImageError */
export function dumpUnix(file: FdFacts, id: number, context: DumpContext): file_entry {
	const tree = unixTreeOf(context);
	const ino = inodeOf(file);
	const socket = tree.sockets.get(ino);
	if (socket === undefined) throw new BugError(`socket:[${ino}] was not refused`);
	const { diag, failed } = socket;
	// Its other end is our own.
	const isService = diag.peer !== undefined && diag.peer !== 0 && diag.peer === context.options.clientSocket;
	const peer = isService ? 0 : imagePeer(socket, tree);
	if (peer !== 0 && !tree.sockets.has(peer)) addPlaceholder(peer, context);
	context.once("unix-order", () => {
		context.files.arrange(arrangePeers);
		return true;
	});
	const nsId = context.once("net-ns-id", () => ownIds(readNamespaces("self")).netNsId);
	const pending = diag.pending.filter((client) => tree.sockets.has(client));
	const usk = create(unix_sk_entrySchema, {
		id,
		ino,
		type: diag.type,
		state: isService ? TCP_CLOSE : diag.state,
		flags: imageFlags(file),
		uflags: isService ? USK_SERVICE : 0,
		backlog: diag.wqueue,
		peer,
		fown: file.fown,
		opts: dumpSkOpts(file, true, UNIX_EXTRAS),
		name: diag.name ?? NO_NAME,
		...(diag.shutdown === 0 ? {} : { shutdown: diag.shutdown }),
		...pathFields(socket),
		nsId,
		...(pending.length > 1 ? { pending } : {}),
		...(diag.type === SOCK_DGRAM && diag.peer === 0 ? { peerGone: true } : {}),
		...(failed ? { reset: true } : {}),
	});
	if (!isService) dumpSocketQueue(socket, id, (one) => pairOf(one, tree), context);
	return create(file_entrySchema, { type: fd_types.UNIXSK, id, usk });
}
