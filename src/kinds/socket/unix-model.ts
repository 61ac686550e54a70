// SPDX-License-Identifier: GPL-2.0-only
// The unix sockets of a restore: their entries checked, and how they hang together. Images: files.img (unix_sk_entry),
// sk-queues.img.

import { UnsupportedError } from "../../errors.ts";
import type { file_entry } from "../../images/gen/fdinfo_pb.ts";
import type { sk_opts_entry, unix_sk_entry } from "../../images/gen/socket_pb.ts";
import { hasField } from "../../images/index.ts";
import { O_ACCMODE, O_RDWR } from "../../kernel/abi/fcntl.ts";
import { TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN } from "../../kernel/abi/inet.ts";
import { SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM } from "../../kernel/abi/socket.ts";
import { checkFlags } from "../file/anon-inode.ts";
import { checkInner, checkPath, corruptImage } from "../file/image-checks.ts";
import { keyOfSocket } from "../file/inherit-fd.ts";
import type { RestoreContext } from "../kind.ts";
import { checkSkOpts } from "./sk-opts.ts";
import { MAX_NAME, type QueueMessage, readSocketQueues } from "./sk-queue.ts";
import { USK_CALLBACK, USK_EXTERN, USK_INHERIT, USK_SERVICE } from "./unix-dump.ts";
import { pathOfName } from "./unix-name.ts";

const FILE = "files.img";
const MAX_SHUTDOWN = 3;
const MAX_BACKLOG = 0x7fffffff;
const NO_ID = 0xffffffff;
const SLASH = 0x2f;
const KNOWN_FLAGS = USK_EXTERN | USK_SERVICE | USK_CALLBACK | USK_INHERIT;

/**
 * How a socket comes into being:
 * - pair: with its peer, which has it as its peer too
 * - alone: by socket(2), whatever it's connected to
 * - orphan: as half of a pair whose other end is closed at once
 * - given: by the user, --inherit-fd
 * - service: as half of a pair whose other end leaves the answer to a request and is closed
 * - outside: not at all, it's the peer of another one
 */
export type Making = "pair" | "alone" | "orphan" | "given" | "service" | "outside";

/** A unix socket of the images. */
export interface UnixModel {
	readonly id: number;
	readonly entry: unix_sk_entry;
	readonly opts: sk_opts_entry;
	making: Making;
	/** Whom it's connected to; itself, perhaps. */
	peer: UnixModel | undefined;
	/** Of a datagram socket without a name: the one that sends to it all the same, as it was made with it. */
	sender: UnixModel | undefined;
	/** What waits to be received. */
	readonly queue: readonly QueueMessage[];
	/** Its path; undefined for abstract names and without a name. */
	readonly path: Uint8Array | undefined;
}

/** True when what waits in it has to be sent with files, credentials or names, or comes from itself. */
export function isIntricate({ queue }: UnixModel): boolean {
	return queue.some(({ rights, sender, name }) => rights.length > 0 || sender !== undefined || name !== undefined);
}

/** For messages. */
export function nameModel({ entry }: UnixModel): string {
	return `socket:[${entry.ino}]`;
}

function checkName(id: number, usk: unix_sk_entry): void {
	const { name, nameDir, filePerms, deleted, filePath } = usk;
	if (name.length > MAX_NAME) throw corruptImage(FILE, `socket ${id} has a name of ${name.length} bytes`);
	const path = pathOfName(name);
	if ((deleted || hasField(usk, "filePath")) && path === undefined)
		throw corruptImage(FILE, `socket ${id} has a file, but no path`);
	if (hasField(usk, "nameDir")) checkPath(FILE, `name_dir of socket ${id}`, withoutNul(nameDir));
	if (hasField(usk, "filePath")) checkPath(FILE, `file_path of socket ${id}`, filePath);
	if (filePerms !== undefined && (filePerms.uid === NO_ID || filePerms.gid === NO_ID))
		throw corruptImage(FILE, `the file of socket ${id} has an owner that is no id`);
}

function withoutNul(bytes: Uint8Array): Uint8Array {
	return bytes.at(-1) === 0 ? bytes.subarray(0, -1) : bytes;
}

function checkEntry(id: number, usk: unix_sk_entry): void {
	const bad = (problem: string) => corruptImage(FILE, `socket ${id} ${problem}`);
	const { ino, type, state, flags, uflags, backlog, shutdown } = usk;
	if (ino === 0) throw bad("has inode 0");
	if ((uflags & ~KNOWN_FLAGS) !== 0) throw bad(`has uflags ${uflags}`);
	checkName(id, usk);
	if ((uflags & USK_EXTERN) !== 0) return;
	if (![SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET].includes(type)) throw bad(`is of type ${type}`);
	if (![TCP_ESTABLISHED, TCP_CLOSE, TCP_LISTEN].includes(state)) throw bad(`is in state ${state}`);
	if (shutdown > MAX_SHUTDOWN) throw bad(`has shutdown ${shutdown}`);
	if ((flags & O_ACCMODE) !== O_RDWR) throw bad(`has flags ${flags}`);
	checkFlags(id, flags);
	if (state === TCP_LISTEN && (type === SOCK_DGRAM || usk.name.length === 0 || backlog > MAX_BACKLOG))
		throw bad("can't be a listening one");
	if ((uflags & USK_SERVICE) !== 0 && (state !== TCP_CLOSE || usk.peer !== 0))
		throw bad("can't have asked for its dump");
	if ((uflags & USK_CALLBACK) !== 0)
		throw new UnsupportedError("UNIX_PLUGIN", `socket:[${ino}] was dumped by a plugin`, {
			remedy: "restore these images with the original criu and that plugin",
		});
}

const keyOfName = (name: Uint8Array) => Buffer.from(name.buffer, name.byteOffset, name.length).toString("latin1");

/** All unix sockets of a dump. */
export class UnixModels {
	readonly byId = new Map<number, UnixModel>();
	private readonly byIno = new Map<number, UnixModel>();
	/** Datagram sockets by their names, made at first use. */
	private named: Map<string, UnixModel> | undefined;

	constructor(private readonly context: RestoreContext) {
		const queues = readSocketQueues(context);
		for (const file of context.files.values()) if (file.usk !== undefined) this.add(file, queues.get(file.id) ?? []);
		for (const model of this.byId.values()) this.connect(model);
		for (const model of this.byId.values()) this.decide(model);
		for (const model of this.byId.values()) this.checkOneWay(model);
	}

	/** The socket of the tree with that name, for which others may send. */
	findByName(name: Uint8Array): UnixModel | undefined {
		if (this.named === undefined) {
			this.named = new Map();
			for (const model of this.byId.values()) {
				const key = keyOfName(model.entry.name);
				const isFirst = !this.named.has(key);
				if (isFirst && model.making !== "outside" && model.entry.type === SOCK_DGRAM) this.named.set(key, model);
			}
		}
		return this.named.get(keyOfName(name));
	}

	private add({ id, usk }: file_entry, queue: readonly QueueMessage[]): void {
		const entry = checkInner(id, "unix socket", usk);
		checkEntry(id, entry);
		const isOutside = (entry.uflags & USK_EXTERN) !== 0;
		const opts = isOutside && entry.opts !== undefined ? entry.opts : checkSkOpts(id, entry.opts);
		const given = this.context.options.inheritFds.some(({ key }) => key === keyOfSocket(entry.ino));
		const isService = (entry.uflags & USK_SERVICE) !== 0;
		const making = isOutside ? "outside" : given ? "given" : isService ? "service" : "alone";
		const model: UnixModel = {
			id,
			entry,
			opts,
			making,
			peer: undefined,
			sender: undefined,
			queue,
			path: pathOfName(entry.name),
		};
		if (this.byIno.has(entry.ino)) throw corruptImage(FILE, `two sockets with inode ${entry.ino}`);
		if (queue.length > 0 && (isOutside || isService || entry.state === TCP_LISTEN))
			throw corruptImage(FILE, `data waits in ${nameModel(model)}, which can't have any`);
		this.byIno.set(entry.ino, model);
		this.byId.set(id, model);
	}

	private connect(model: UnixModel): void {
		const { peer } = model.entry;
		if (peer === 0 || model.making === "outside") return;
		const other = this.byIno.get(peer);
		if (other === undefined)
			throw corruptImage(FILE, `${nameModel(model)} is connected to inode ${peer}, which isn't there`);
		model.peer = other;
	}

	private decide(model: UnixModel): void {
		const { entry, peer, queue, making } = model;
		if (making !== "alone") return;
		const bad = (problem: string) => corruptImage(FILE, `${nameModel(model)} ${problem}`);
		const isStream = entry.type !== SOCK_DGRAM;
		if (peer === undefined) {
			const ended = isStream && entry.state === TCP_ESTABLISHED;
			if (ended && entry.shutdown !== MAX_SHUTDOWN) throw bad("is connected to nobody");
			if (isStream && !ended && queue.length > 0) throw bad("isn't connected, but data waits in it");
			if (ended || entry.peerGone || (queue.length > 0 && entry.name.length === 0)) model.making = "orphan";
			return;
		}
		if (entry.state === TCP_LISTEN) throw bad("listens and is connected");
		if (peer.making === "outside") {
			if (isStream) throw needsInherit(model);
			if (peer.entry.name.length === 0) throw needsInherit(model);
			if (!this.context.options.extUnixSk) throw needsOption(model, peer);
			return;
		}
		if (peer.entry.type !== entry.type) throw bad("is connected to one of another type");
		if (peer.peer === model && peer !== model) {
			if (peer.making === "given") throw needsInherit(model);
			if (!canBeApart(model, peer)) model.making = "pair";
			return;
		}
		if (!isStream) return;
		if (peer.entry.state !== TCP_LISTEN) throw bad("is connected to one that isn't connected to it");
		if (queue.length > 0) throw bad("waits to be accepted, but data waits in it");
	}

	/** A socket without a name can only be reached by the one that it's made with. */
	private checkOneWay(model: UnixModel): void {
		const { making, peer, entry } = model;
		if (making !== "alone" || peer === undefined || peer.making === "outside" || peer.entry.name.length > 0) return;
		const bad = (problem: string) => corruptImage(FILE, `${nameModel(model)} ${problem}`);
		if (peer === model || peer.making !== "alone") throw bad("is connected to one that can't be reached");
		const senders = [...this.byId.values()].filter((other) => other.entry.peer === peer.entry.ino);
		if (senders.length > 1 || peer.queue.length > 0 || entry.type !== SOCK_DGRAM)
			throw bad("is connected to one that can't be reached");
		peer.sender = model;
	}
}

/** What comes under other names than the peer's was sent before the two were connected. */
function canBeApart(model: UnixModel, peer: UnixModel): boolean {
	const both = [model, peer];
	return (
		both.every(({ entry, making }) => entry.type === SOCK_DGRAM && entry.name.length > 0 && making === "alone") &&
		both.some(({ queue }) => queue.some(({ name }) => name !== undefined))
	);
}

function needsInherit(model: UnixModel): UnsupportedError {
	return new UnsupportedError("NEEDS_INHERIT_FD", `${nameModel(model)} was connected to a socket outside of the dump`, {
		remedy: `give a descriptor for it: --inherit-fd fd[N]:${keyOfSocket(model.entry.ino)}`,
	});
}

function needsOption(model: UnixModel, peer: UnixModel): UnsupportedError {
	const name = new TextDecoder().decode(peer.entry.name).replaceAll("\0", "@");
	return new UnsupportedError(
		"EXTERNAL_UNIX_SOCKET",
		`${nameModel(model)} was connected to ${name}, outside of the dump`,
		{
			remedy: "use --ext-unix-sk: it's connected again by that name",
		},
	);
}

/** The first byte of an absolute path. */
export function isAbsolute(path: Uint8Array): boolean {
	return path[0] === SLASH;
}

/** The unix sockets of a restore. @throws ImageError, UnsupportedError */
export function unixModelsOf(context: RestoreContext): UnixModels {
	return context.once("unix-models", () => new UnixModels(context));
}
