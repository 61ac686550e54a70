// SPDX-License-Identifier: GPL-2.0-only
// Random images of every kind that has messages, with payloads, such as the peer's crit can read.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DescMessage, Message } from "@bufbuild/protobuf";
import { fieldSpecsOf } from "../../src/images/descriptors.ts";
import { headerOf } from "../../src/images/framing.ts";
import { fd_types } from "../../src/images/gen/fdinfo_pb.ts";
import { encodeMessage, type ImageKind, KINDS } from "../../src/images/index.ts";
import { randomMessage } from "../images/random-message.ts";

/** Kinds that the peer's crit has no reader for. */
const UNKNOWN_TO_PEER = /^(?:SIGNAL|PSIGNAL|BINFMT_MISC|BINFMT_MISC_OLD|PIDFD|TMPFS_FILES?)$/;
/** Fields that CRIU 4.1 lacks, and those of other machines, which are bytes to us. */
const NEWER = /^(?:sk_packet_entry\.ucred|inventory_entry\.allow_uprobes|core_entry\.ti_(?!x86).*)$/;
/** Fields that tell how long a payload is. */
const LENGTHS =
	/^(?:pipe_data_entry\.bytes|sk_packet_entry\.length|tcp_stream_entry\.(?:inq|outq)_len|ipc_sem_entry\.nsems|ipc_msg_entry\.qnum|ipc_msg\.msize|ipc_shm_entry\.size|bpfmap_data_entry\.(?:keys|values)_bytes|ghost_chunk_entry\.len)$/;
const TEXTS = ["", "/bin/true", "ä\u{1f600}", 'tab\t"quote"\\', "\x7f\x1b[31m", "line\nend"];

type Open = Message & Record<string, unknown>;

/** Makes a random message one that the peer can show: addresses of the right length, text in UTF-8, short payloads. */
function tame(desc: DescMessage, message: Open, random: () => number): void {
	const pick = <T>(list: readonly T[]): T => list[random() % list.length] as T;
	for (const { name, localName, number, label, message: inner, show, type } of fieldSpecsOf(desc)) {
		const full = `${desc.typeName}.${name}`;
		if (number >= 4201 || NEWER.test(full)) {
			if (label === "*") message[localName] = [];
			else delete message[localName];
			continue;
		}
		const value = message[localName];
		if (inner !== undefined)
			for (const each of [value].flat()) if (each !== undefined) tame(inner, each as Open, random);
		if (show === "ipadd")
			message[localName] = pick([[], [random()], [random(), 0, 0, random()], [0, 0, 0, 0x01000000]]);
		const bytes = (): Uint8Array =>
			Buffer.from(show === "text" ? pick(TEXTS) : pick(["", "\0a=b", "/tmp/x"].concat(TEXTS)));
		if (type === "bytes" && show !== undefined && Object.hasOwn(message, localName) && label !== "*")
			message[localName] = bytes();
		if (type === "bytes" && show !== undefined && label === "*") message[localName] = [bytes()];
		if (LENGTHS.test(full))
			message[localName] = type === "uint64" ? BigInt(random() % 9) : random() % (name === "qnum" ? 3 : 200);
		if (name === "in_pagemaps") delete message[localName];
		// Types of file of ours.
		if (/^(?:file|fdinfo)_entry\.type$/.test(full) && value === fd_types.POSIX_MQ) message[localName] = fd_types.REG;
		// Names that CRIU 4.1 doesn't have: MAP_DROPPABLE, VMA_AREA_UPROBES.
		if (full === "vma_entry.flags") message[localName] = Number(value) & 0x7ffffff7;
		if (full === "vma_entry.status") message[localName] = Number(value) & 0x7ffdffff;
	}
}

function framed(desc: DescMessage, message: Open): Uint8Array {
	const bytes = encodeMessage(desc as never, message);
	const size = new Uint8Array(4);
	new DataView(size.buffer).setUint32(0, bytes.length, true);
	return Buffer.concat([size, bytes]);
}

function make(desc: DescMessage, random: () => number): Open {
	const message = randomMessage(desc, random) as Open;
	tame(desc, message, random);
	return message;
}

/** Random bytes; what pads them, as the file has it, is zero. */
function payload(length: number, padded: number, random: () => number): Uint8Array {
	return Buffer.concat([Uint8Array.from({ length }, () => random()), new Uint8Array(padded - length)]);
}

function plainLength(kind: ImageKind, entry: Open, padded: number): number {
	if (kind.name === "IPCNS_SEM") return Number(entry["nsems"]) * 2;
	return kind.name === "IPCNS_SHM" ? Number(entry["size"]) : padded;
}

function makeEntry(kind: ImageKind, random: () => number): Uint8Array[] {
	const desc = kind.entry as unknown as DescMessage;
	const entry = make(desc, random);
	const padded = kind.payloadOf?.(entry) ?? 0;
	const parts = [framed(desc, entry), payload(plainLength(kind, entry, padded), padded, random)];
	for (let left = kind.nested?.countOf(entry) ?? 0; left > 0; left--) {
		const inner = kind.nested?.schema as unknown as DescMessage;
		const message = make(inner, random);
		parts.push(framed(inner, message), payload(Number(message["msize"]), kind.nested?.payloadOf(message) ?? 0, random));
	}
	return parts;
}

/** The bytes of an image. */
export function makeImage(kind: ImageKind, random: () => number): Uint8Array {
	const header = new Uint32Array(headerOf(kind, 2));
	const parts: Uint8Array[] = [new Uint8Array(header.buffer)];
	if (kind.head !== undefined) {
		const head = make(kind.head as unknown as DescMessage, random);
		parts.push(framed(kind.head as unknown as DescMessage, head));
		if (kind.isRawAfterHead?.(head)) return Buffer.concat([...parts, payload(random() % 300, 300, random)]);
	}
	const count = kind.framing === "single" ? 1 : random() % 4;
	for (let left = count; left > 0; left--) parts.push(...makeEntry(kind, random));
	return Buffer.concat(parts);
}

/** Writes images of all kinds that the peer knows, `rounds` of each, into a new folder. */
export function writeImages(folder: string, random: () => number, rounds: number): void {
	mkdirSync(folder);
	for (const kind of Object.values<ImageKind>(KINDS)) {
		if (kind.framing === "raw" || UNKNOWN_TO_PEER.test(kind.name)) continue;
		for (let round = 0; round < rounds; round++)
			writeFileSync(join(folder, `${kind.name}-${round}.img`), makeImage(kind, random));
	}
}
