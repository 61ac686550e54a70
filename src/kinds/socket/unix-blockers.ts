// SPDX-License-Identifier: GPL-2.0-only
// What stands against the dump of a unix socket: peers outside of the tree, what can't be seen in queues, names.

import { type CriuError, KernelError, PassingError, UnsupportedError } from "../../errors.ts";
import { TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN } from "../../kernel/abi/inet.ts";
import { SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM } from "../../kernel/abi/socket.ts";
import type { UnixDiag } from "../../kernel/netlink/unix-diag.ts";
import { readFdLink } from "../../kernel/procfs/links.ts";
import { readComm } from "../../kernel/procfs/task-files.ts";
import { listFds, listProcesses } from "../../kernel/procfs/tasks.ts";
import { showPath } from "../../sys/file.ts";
import { nameFd } from "../file/anon-inode.ts";
import type { DumpContext, FdFacts } from "../kind.ts";
import { findUnixSocket, tellsOfUnixSockets } from "./socket-tables.ts";
import { inodeOf, type UnixSocket, type UnixTree, unixTreeOf } from "./unix-tree.ts";

const BOTH = 3;
const decoder = new TextDecoder();
const SHOWN_LENGTH = 80;

/** The name of a socket for messages: abstract ones with @ for NUL. */
export function showName(name: Uint8Array): string {
	const bytes = name[0] === 0 ? name.map((byte) => (byte === 0 ? 0x40 : byte)) : name;
	const end = bytes.indexOf(0);
	return showPath(end < 0 ? bytes : bytes.subarray(0, end));
}

function nameSocket(socket: UnixSocket): string {
	const { file, carrier } = socket;
	if (carrier === undefined) return nameFd(file);
	return `${nameSocket(carrier)} has a unix socket on its way (socket:[${inodeOf(file)}]), which`;
}

/** Who has a socket open; a process that ends meanwhile has nothing. */
function findOwner(ino: number): string {
	const wanted = `socket:[${ino}]`;
	for (const pid of listProcesses()) {
		try {
			for (const fd of listFds(pid))
				if (decoder.decode(readFdLink(pid, fd)) === wanted) return `pid ${pid} (${showPath(readComm(pid)).trim()})`;
		} catch (error) {
			if (!(error instanceof KernelError)) throw error;
		}
	}
	return "no process that could be found";
}

/** Whether the user has said with `--external unix[INO]` that this socket's peer is outside. */
export function isExternal(ino: number, { options }: DumpContext): boolean {
	const key = `unix[${ino}]`;
	return options.external.some((text) => text === key || text.startsWith(`${key}:`));
}

/** Whether a socket can be connected to its outside peer again, by name. */
function canReconnect(peer: UnixDiag | undefined): boolean {
	return peer?.type === SOCK_DGRAM && peer.name !== undefined && (peer.name[0] === 0 || peer.name[0] === 0x2f);
}

class Finder {
	readonly found: CriuError[] = [];

	constructor(
		private readonly socket: UnixSocket,
		private readonly tree: UnixTree,
		private readonly context: DumpContext,
	) {}

	private refuse(code: string, problem: string, remedy: string, Refusal = UnsupportedError): void {
		this.found.push(new Refusal(code, `${nameSocket(this.socket)} ${problem}`, { remedy }));
	}

	/** Refuses what is over once the program does its next step: it accepts, or receives. */
	private refuseNow(code: string, problem: string, remedy: string): void {
		this.refuse(code, problem, remedy, PassingError);
	}

	run(): CriuError[] {
		const { type, state } = this.socket.diag;
		const isMessage = type === SOCK_DGRAM;
		if (!isMessage && type !== SOCK_STREAM && type !== SOCK_SEQPACKET)
			this.refuse("UNIX_SOCKET", `is of type ${type}, of which nothing is known`, "close it in the program first");
		else if (![TCP_ESTABLISHED, TCP_CLOSE, TCP_LISTEN].includes(state))
			this.refuse("UNIX_SOCKET", `is in state ${state}, of which nothing is known`, "close it in the program first");
		else if (state === TCP_LISTEN) this.checkPending();
		else this.checkPeer();
		this.checkName();
		this.checkQueue();
		return this.found;
	}

	private outside(peer: number, what: string): void {
		const { diag } = this.socket;
		const known = findUnixSocket(peer, this.context);
		if (isExternal(diag.ino, this.context)) return;
		if (canReconnect(known)) {
			if (this.context.options.extUnixSk) return;
			const remedy = `use --ext-unix-sk: the restore connects it again to ${showName(known?.name ?? new Uint8Array())}`;
			this.refuse(
				"EXTERNAL_UNIX_SOCKET",
				`${what} socket:[${peer}] of ${findOwner(peer)}, outside of the tree`,
				remedy,
			);
			return;
		}
		this.refuse(
			"EXTERNAL_UNIX_SOCKET",
			`${what} socket:[${peer}] of ${findOwner(peer)}, outside of the tree`,
			`dump that process too, or use --external unix[${diag.ino}] and at the restore --inherit-fd fd[N]:socket:[${diag.ino}]`,
		);
	}

	private checkPeer(): void {
		const { ino, type, state, peer, shutdown } = this.socket.diag;
		if (peer !== undefined && peer !== 0) {
			const other = this.tree.sockets.get(peer);
			if (peer === this.context.options.clientSocket) return;
			if (other === undefined) this.outside(peer, "is connected to");
			else if (other.diag.peer !== ino) this.checkOneWay(other);
			return;
		}
		if (type === SOCK_DGRAM || state !== TCP_ESTABLISHED) return;
		const listener = this.tree.listeners.get(ino);
		if (listener !== undefined) this.checkWaiting(listener);
		else if (shutdown !== BOTH)
			this.refuseNow("UNIX_SOCKET", "is connected to nobody that the kernel tells of", "try again");
	}

	/** A datagram socket that another one sends to: it can be reached by its name, or by one socket as half of a pair. */
	private checkOneWay(other: UnixSocket): void {
		if (other.diag.name !== undefined) return;
		const { ino } = other.diag;
		if (this.tree.countSenders(ino) > 1)
			this.refuse(
				"UNIX_SOCKET",
				`is connected to socket:[${ino}] of pid ${other.file.task.pid}, which has no name and other senders besides`,
				"let the program close one of them",
			);
	}

	/** This socket has called connect(2), and nobody has accepted it yet. */
	private checkWaiting(listener: UnixDiag): void {
		if (!this.tree.sockets.has(listener.ino)) this.outside(listener.ino, "waits to be accepted by");
		else if (this.socket.diag.wqueue !== 0)
			this.refuseNow(
				"UNIX_PENDING",
				`has sent data that nobody can look at before socket:[${listener.ino}] accepts the connection`,
				"let the program accept it first",
			);
	}

	private checkPending(): void {
		const { pending } = this.socket.diag;
		if (this.context.options.tcpSkipInFlight) return;
		for (const ino of pending) {
			if (this.tree.sockets.has(ino)) continue;
			const who = ino === 0 ? "" : ` by ${findOwner(ino)}, outside of the tree`;
			this.refuseNow(
				"UNIX_PENDING",
				ino === 0
					? "has a connection to accept that the other side has closed again; what it sent can't be looked at"
					: `has a connection to accept, made${who}`,
				"let the program accept it first, or use --skip-in-flight, which drops it",
			);
		}
	}

	private checkName(): void {
		const { path, diag } = this.socket;
		if (path?.unreachable === true)
			this.refuse(
				"UNIX_NAME",
				`is bound to ${showName(diag.name ?? new Uint8Array())}, which can't be reached in this mount namespace`,
				"run criu in the mount namespace of the program",
			);
	}

	private checkQueue(): void {
		const { queue, urgent } = this.socket;
		if (urgent)
			this.refuseNow(
				"UNIX_QUEUE",
				"holds a byte that was sent out of band (MSG_OOB), whose place the kernel doesn't tell",
				"let the program receive it first",
			);
		if (queue.unknown !== undefined)
			this.refuseNow(
				"UNIX_QUEUE",
				`holds a control message of which nothing is known (${queue.unknown})`,
				"let the program receive it first",
			);
		const pids = new Set<number>();
		for (const { sender } of queue.messages) if (sender !== undefined) pids.add(sender.pid);
		for (const pid of pids)
			if (!this.context.tasks.some((task) => task.pid === pid))
				this.refuseNow(
					"UNIX_QUEUE",
					`holds a message of pid ${pid}, which isn't in the tree: its receiver asks for credentials (SO_PASSCRED)`,
					"let the program receive it first",
				);
		for (const file of this.tree.otherFiles(this.socket)) this.checkFile(file);
	}

	private checkFile(file: FdFacts): void {
		for (const error of this.context.files.findBlockers(file))
			this.refuse(
				error.code,
				`has a file on its way that can't be dumped: ${showPath(file.link).slice(0, SHOWN_LENGTH)}: ${error.message}`,
				"let the program receive it first",
			);
	}
}

/** Everything that stands against the dump of one socket. */
export function findUnixBlockers(file: FdFacts, context: DumpContext): CriuError[] {
	const tree = unixTreeOf(context);
	const ino = inodeOf(file);
	if (tree.unknown.get(ino) === file) {
		const isElsewhere = tellsOfUnixSockets(context);
		const what = isElsewhere
			? "a unix socket of another network namespace"
			: "a unix socket of which this kernel doesn't tell";
		const remedy = isElsewhere
			? "close it in the program first"
			: "load the module unix_diag, or use a kernel with CONFIG_UNIX_DIAG";
		return [new UnsupportedError("UNIX_SOCKET", `${nameFd(file)} is ${what}`, { remedy })];
	}
	const socket = tree.sockets.get(ino);
	// Told once, whoever else has it.
	if (socket === undefined || socket.file !== file) return [];
	const all = [socket, ...(tree.carried.get(socket) ?? [])];
	return all.flatMap((one) => new Finder(one, tree, context).run());
}
