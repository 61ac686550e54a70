// SPDX-License-Identifier: GPL-2.0-only
// All unix sockets of a dumped tree: those in tables of descriptors, and those that are on their way through others. What
// waits in them is looked at once, before anything is decided.

import { EPOLLERR, EPOLLPRI } from "../../kernel/abi/event-files.ts";
import { TCP_LISTEN } from "../../kernel/abi/inet.ts";
import { AF_UNIX, SOCK_STREAM } from "../../kernel/abi/socket.ts";
import { SYS_poll } from "../../kernel/abi/syscalls.x86_64.ts";
import type { UnixDiag } from "../../kernel/netlink/unix-diag.ts";
import { syscall } from "../../sys/host.ts";
import { collectFds, isInFlight } from "../file/open-files.ts";
import type { DumpContext, FdFacts } from "../kind.ts";
import { EMPTY_QUEUE, type QueueFacts, readQueue } from "./queue-facts.ts";
import { hasFamily } from "./socket-facts.ts";
import { findUnixSocket, unixSockets } from "./socket-tables.ts";
import { readSocketPath, type SocketPath } from "./unix-name.ts";

export const isUnix = hasFamily(AF_UNIX);

/** A unix socket of the tree. */
export interface UnixSocket {
	/** A descriptor of it: a task's or, when it's only on its way, ours. */
	readonly file: FdFacts;
	/** The socket in whose queue it was found, when no task has it. */
	readonly carrier: UnixSocket | undefined;
	readonly diag: UnixDiag;
	readonly path: SocketPath | undefined;
	readonly queue: QueueFacts;
	/** It holds a byte that was sent out of band. */
	readonly urgent: boolean;
	/** The next call will tell of an error: the peer was closed with unread data. */
	readonly failed: boolean;
}

/** The socket of a task in whose queue another one is, directly or not. */
function rootOf(socket: UnixSocket): UnixSocket {
	let at = socket;
	while (at.carrier !== undefined) at = at.carrier;
	return at;
}

/** poll(2) for conditions of which there's no other sign. */
function pollNow(fd: number, events: number): number {
	const poll = new Int32Array([fd, events]);
	return syscall(SYS_poll, poll, 1, 0) <= 0 ? 0 : (poll[1] ?? 0) >>> 16;
}

/** Inode number of a descriptor's socket. */
export function inodeOf(file: FdFacts): number {
	return Number(BigInt.asUintN(32, file.stat.ino));
}

/** What the kernel tells of the sockets of a tree. */
export class UnixTree {
	readonly sockets = new Map<number, UnixSocket>();
	/** Sockets of other network namespaces. */
	readonly unknown = new Map<number, FdFacts>();
	/** Sockets that no task has, by the one of a task in whose queue they are, directly or not. */
	readonly carried = new Map<UnixSocket, UnixSocket[]>();
	/** The listening socket in whose queue a connection waits, by the inode of who has called connect(2). */
	readonly listeners = new Map<number, UnixDiag>();

	private senders: Map<number, number> | undefined;

	constructor(private readonly context: DumpContext) {
		for (const task of context.tasks)
			for (const file of collectFds(task, context)) if (isUnix(file)) this.add(file, undefined);
		// Queues may bring further sockets, which have queues of their own; those come behind.
		for (const socket of this.sockets.values())
			for (const { files } of socket.queue.messages) for (const file of files) if (isUnix(file)) this.add(file, socket);
		for (const diag of unixSockets(context).values())
			for (const ino of diag.pending) if (ino !== 0) this.listeners.set(ino, diag);
	}

	private add(file: FdFacts, carrier: UnixSocket | undefined): void {
		const ino = inodeOf(file);
		if (this.sockets.has(ino) || this.unknown.has(ino)) return;
		const diag = findUnixSocket(ino, this.context);
		if (diag === undefined) {
			this.unknown.set(ino, file);
			return;
		}
		const { type, rqueue, shutdown, pending, peer } = diag;
		const isListening = pending.length > 0 || diag.state === TCP_LISTEN;
		const isStream = type === SOCK_STREAM;
		const urgent = isStream && rqueue > 0 && (pollNow(file.ownFd, EPOLLPRI) & EPOLLPRI) !== 0;
		const failed = peer === 0 && shutdown !== 0 && (pollNow(file.ownFd, 0) & EPOLLERR) !== 0;
		const queue =
			isListening || urgent ? EMPTY_QUEUE : readQueue({ fd: file.ownFd, type, bytes: rqueue, shutdown }, this.context);
		const path = readSocketPath(file, diag, this.context);
		const socket = { file, carrier, diag, path, queue, urgent, failed };
		this.sockets.set(ino, socket);
		if (carrier === undefined) return;
		const root = rootOf(carrier);
		const list = this.carried.get(root);
		if (list === undefined) this.carried.set(root, [socket]);
		else list.push(socket);
	}

	/** How many sockets of the tree send to one. */
	countSenders(ino: number): number {
		if (this.senders === undefined) {
			this.senders = new Map();
			for (const { diag } of this.sockets.values())
				if (diag.peer !== undefined) this.senders.set(diag.peer, (this.senders.get(diag.peer) ?? 0) + 1);
		}
		return this.senders.get(ino) ?? 0;
	}

	/** Files that are on their way and that no unix socket is. */
	*otherFiles(socket: UnixSocket): Generator<FdFacts> {
		for (const { files } of socket.queue.messages)
			for (const file of files) if (isInFlight(file) && !isUnix(file)) yield file;
	}
}

/** The unix sockets of a dump. @throws KernelError, CriuError */
export function unixTreeOf(context: DumpContext): UnixTree {
	return context.once("unix-tree", () => new UnixTree(context));
}
