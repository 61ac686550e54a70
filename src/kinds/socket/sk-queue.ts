// SPDX-License-Identifier: GPL-2.0-only
// What waits in unix and UDP sockets, as images hold it: each message as an entry with its bytes, in the order of receiving.
// Images: sk-queues.img (sk_packet_entry). Source: cmsg(3), unix(7).

import { BugError } from "../../errors.ts";
import type { file_entry } from "../../images/gen/fdinfo_pb.ts";
import {
	scm_entrySchema,
	type sk_packet_entry,
	sk_packet_entrySchema,
	sk_ucred_entrySchema,
} from "../../images/gen/socket_pb.ts";
import { create, hasField, type ImageWriter, KINDS } from "../../images/index.ts";
import { IPPROTO_UDP, IPPROTO_UDPLITE } from "../../kernel/abi/inet.ts";
import { SCM_MAX_FD, SCM_RIGHTS, SOCK_DGRAM } from "../../kernel/abi/socket.ts";
import { corruptImage } from "../file/image-checks.ts";
import { sharedWriter } from "../file/shared-writer.ts";
import type { DumpContext, RestoreContext } from "../kind.ts";
import { LooksGuard } from "./looks-guard.ts";
import { PEEK_SIZE, peekBytes, type Sender } from "./peek.ts";
import type { QueuedMessage } from "./queue-facts.ts";
import type { UnixSocket } from "./unix-tree.ts";

export const QUEUES_FILE = "sk-queues.img";
/** Bytes of a sun_path, and of the NUL that the kernel puts behind one that fills it. */
export const MAX_NAME = 109;
const MAX_ID = 0xffffffff;

// ---- dump ----------------------------------------------------------------------------------------------------------

type QueueWriter = ImageWriter<sk_packet_entry>;

/** Queues that are still to be written: a file on its way may bring further ones. */
interface QueueWork {
	readonly pending: { readonly socket: UnixSocket; readonly id: number }[];
	busy: boolean;
}

/** Where the messages of all sockets go, one after another. */
export const queueWriter = (context: DumpContext): QueueWriter => sharedWriter(KINDS.SK_QUEUES, context);

function writeData(
	writer: QueueWriter,
	{ file, queue }: UnixSocket,
	message: QueuedMessage,
	context: DumpContext,
): void {
	if (message.data !== undefined) {
		writer.writePayload(message.data);
		return;
	}
	// Larger than one look: only a datagram, which can't be seen in pieces. Streams come in looks.
	const guard = LooksGuard.of(context);
	writer.writePayload(peekBytes(file.ownFd, message.offset, message.length, queue.peekOffset, guard));
}

function sameBytes(a: Uint8Array, b: Uint8Array | undefined): boolean {
	return b !== undefined && a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function writeMessage(
	socket: UnixSocket,
	id: number,
	message: QueuedMessage,
	peer: UnixSocket | undefined,
	context: DumpContext,
) {
	const { length, files, sender, name } = message;
	// First of all: a file may be a socket that has a queue itself.
	const rights = files.map((file) => {
		const added = context.files.addOpen(file);
		if (added === undefined) throw new BugError("a file on its way was not refused");
		return added.id;
	});
	const entry = create(sk_packet_entrySchema, { idFor: id, length });
	if (rights.length > 0) entry.scm = [create(scm_entrySchema, { type: SCM_RIGHTS, rights })];
	if (sender !== undefined) {
		const vpid = context.tasks.find(({ pid }) => pid === sender.pid)?.vpid ?? 0;
		entry.ucred = create(sk_ucred_entrySchema, { uid: sender.uid, gid: sender.gid, pid: vpid });
	}
	if (name.length > 0 && !sameBytes(name, peer?.diag.name)) entry.sender = name;
	const writer = queueWriter(context);
	writer.write(entry);
	writeData(writer, socket, message, context);
}

/** Writes the queue of a socket, and those of sockets that are met in it. @throws KernelError, ImageError */
export function dumpSocketQueue(
	socket: UnixSocket,
	id: number,
	peerOf: (socket: UnixSocket) => UnixSocket | undefined,
	context: DumpContext,
): void {
	if (socket.queue.messages.length === 0) return;
	const work = context.once<QueueWork>("sk-queue-work", () => ({ pending: [], busy: false }));
	work.pending.push({ socket, id });
	if (work.busy) return;
	work.busy = true;
	for (let next = work.pending.shift(); next !== undefined; next = work.pending.shift())
		for (const message of next.socket.queue.messages)
			writeMessage(next.socket, next.id, message, peerOf(next.socket), context);
	work.busy = false;
}

// ---- restore -------------------------------------------------------------------------------------------------------

/** A message as its image tells. */
export interface QueueMessage {
	/** Where its bytes lie in the image. */
	readonly offset: number;
	readonly length: number;
	/** Files that come with it, by id. */
	readonly rights: readonly number[];
	readonly sender: Sender | undefined;
	/** Who has sent it, when that isn't the peer: sun_path; of a UDP socket struct sockaddr. */
	readonly name: Uint8Array | undefined;
	/** The address that a datagram was sent to, of a UDP socket. */
	readonly target: Uint8Array | undefined;
}

/** True for sockets that may have a queue. */
function hasQueue(entry: file_entry | undefined): boolean {
	if (entry?.usk !== undefined) return true;
	const { isk } = entry ?? {};
	return isk?.type === SOCK_DGRAM && (isk.proto === IPPROTO_UDP || isk.proto === IPPROTO_UDPLITE);
}

function readRights(entry: sk_packet_entry, context: RestoreContext): readonly number[] {
	const [scm, ...more] = entry.scm;
	const bad = (problem: string) => corruptImage(QUEUES_FILE, `a message for file ${entry.idFor} ${problem}`);
	if (scm === undefined) return [];
	if (more.length > 0 || scm.type !== SCM_RIGHTS) throw bad(`has control messages of type ${scm.type} and more`);
	if (scm.rights.length === 0 || scm.rights.length > SCM_MAX_FD) throw bad(`brings ${scm.rights.length} files`);
	for (const id of scm.rights) if (!context.files.has(id)) throw bad(`brings file ${id}, which files.img doesn't have`);
	return scm.rights;
}

function readSender({ ucred, idFor }: sk_packet_entry): Sender | undefined {
	if (ucred === undefined) return undefined;
	const { pid, uid, gid } = ucred;
	if (uid === MAX_ID || gid === MAX_ID || pid > 4194304)
		throw corruptImage(QUEUES_FILE, `a message for file ${idFor} is of pid ${pid}, user ${uid}, group ${gid}`);
	return { pid, uid, gid };
}

/** Messages by the id of the receiving socket, in the order of receiving. @throws ImageError */
export function readSocketQueues(context: RestoreContext): ReadonlyMap<number, readonly QueueMessage[]> {
	return context.once("socket-queues", () => {
		const queues = new Map<number, QueueMessage[]>();
		using reader = context.dir.findReader(KINDS.SK_QUEUES);
		for (let entry = reader?.next(); reader !== undefined && entry !== undefined; entry = reader.next()) {
			const { idFor, length, sender, target } = entry;
			if (!hasQueue(context.files.get(idFor)))
				throw corruptImage(QUEUES_FILE, `a message for file ${idFor}, which is no socket with a queue`);
			if (sender.length > MAX_NAME) throw corruptImage(QUEUES_FILE, `a sender's name of ${sender.length} bytes`);
			const message = {
				offset: reader.takePayload(length).offset,
				length,
				rights: readRights(entry, context),
				sender: readSender(entry),
				name: hasField(entry, "sender") ? sender : undefined,
				target: hasField(entry, "target") ? target : undefined,
			};
			const queue = queues.get(idFor);
			if (queue === undefined) queues.set(idFor, [message]);
			else queue.push(message);
		}
		return queues;
	});
}

/** What a look shows at most; a stream's entries are no longer. */
export const STREAM_PIECE = PEEK_SIZE;
