// SPDX-License-Identifier: GPL-2.0-only
// -D -: all images as one stream, for `criu dump … -D - | criu restore … -D -`. All little endian:
//
//   stream = "CRIUPIPE" [u32 version] [u32 0] [16 bytes boot id] [u64 inode of the pid namespace] [u64 0] record…
//   record = [u32 type] [u32 number] [u64 length] length bytes
//
//   NAME   an image begins: its name; DATA: bytes of it, of several images in turns; WHOLE: it ends: [u64 its length]
//   PLAN   all images but the pages are there; for each of `number` pages files in their order: [u64 length] [u32 length of name] name
//   PAGES  the pages file of that number in the plan, as a whole
//   END    [u64 bytes of all images] [u64 how many]: without it the stream was cut

import { readFileSync, statSync } from "node:fs";
import { CriuError } from "../errors.ts";

export const MAGIC = "CRIUPIPE";
export const VERSION = 1;
export const HEAD_SIZE = 48;
export const RECORD_SIZE = 16;

export const RECORD = { name: 1, data: 2, whole: 3, plan: 4, pages: 5, end: 6 } as const;

/** Head of a record. */
export interface RecordHead {
	readonly type: number;
	readonly number: number;
	readonly length: number;
}

/** A pages file that will come. */
export interface PlannedPages {
	readonly name: string;
	/** In bytes. */
	readonly length: number;
}

/** Where pids mean what they mean to us: this start of this host, and our pid namespace. */
function readOrigin(): Uint8Array {
	const origin = new Uint8Array(24);
	origin.set(Buffer.from(readFileSync("/proc/sys/kernel/random/boot_id", "latin1").replace(/[^0-9a-f]/g, ""), "hex"));
	new DataView(origin.buffer).setBigUint64(16, statSync("/proc/self/ns/pid", { bigint: true }).ino, true);
	return origin;
}

export function encodeHead(): Uint8Array {
	const head = new Uint8Array(HEAD_SIZE);
	head.set(new TextEncoder().encode(MAGIC));
	new DataView(head.buffer).setUint32(8, VERSION, true);
	head.set(readOrigin(), 16);
	return head;
}

/** A record that holds these bytes, or the head alone of one whose bytes follow. */
export function encodeRecord(type: number, number: number, body: Uint8Array | number): Uint8Array {
	const bytes = typeof body === "number" ? undefined : body;
	const record = new Uint8Array(RECORD_SIZE + (bytes?.length ?? 0));
	const view = new DataView(record.buffer);
	view.setUint32(0, type, true);
	view.setUint32(4, number, true);
	view.setBigUint64(8, BigInt(bytes?.length ?? (body as number)), true);
	if (bytes !== undefined) record.set(bytes, RECORD_SIZE);
	return record;
}

export function encodePlan(pages: readonly PlannedPages[]): Uint8Array {
	const names = pages.map(({ name }) => new TextEncoder().encode(name));
	const body = new Uint8Array(names.reduce((sum, name) => sum + 12 + name.length, 0));
	const view = new DataView(body.buffer);
	let at = 0;
	for (const [index, name] of names.entries()) {
		view.setBigUint64(at, BigInt(pages[index]?.length ?? 0), true);
		view.setUint32(at + 8, name.length, true);
		body.set(name, at + 12);
		at += 12 + name.length;
	}
	return body;
}

/** The error for a stream that no dump can have written. */
export function corruptStream(problem: string): CriuError {
	return new CriuError("STREAM_CORRUPT", `the stream of images is damaged, or none: ${problem}`, {
		remedy: "give restore what `criu dump -D -` writes, unchanged; see whether something else prints into the pipe",
	});
}

/** The error for a stream that ends too early. */
export function cutStream(cause?: unknown): CriuError {
	return new CriuError("STREAM_CUT", "the stream of images ended before the dump was whole", {
		cause,
		remedy: "see what the dump at the other end says; the program runs on there unless that dump succeeded",
	});
}

function readLength(view: DataView, at: number, what: string): number {
	const length = view.getBigUint64(at, true);
	if (length > BigInt(Number.MAX_SAFE_INTEGER)) throw corruptStream(`${what} of ${length} bytes`);
	return Number(length);
}

/** Gives whether the stream comes from here, where its tasks have their pids still. @throws CriuError STREAM_CORRUPT */
export function decodeHead(head: Uint8Array): { isLocal: boolean } {
	const view = new DataView(head.buffer, head.byteOffset);
	if (new TextDecoder("latin1").decode(head.subarray(0, 8)) !== MAGIC) throw corruptStream("it doesn't begin as one");
	const [version, zero] = [view.getUint32(8, true), view.getUint32(12, true)];
	if (version === VERSION && zero === 0) return { isLocal: Buffer.compare(head.subarray(16, 40), readOrigin()) === 0 };
	throw new CriuError("STREAM_VERSION", `the stream of images has version ${version}.${zero}, which isn't known`, {
		remedy: "use the same version of criu at both ends",
	});
}

/** @throws CriuError STREAM_CORRUPT */
export function decodeRecord(head: Uint8Array): RecordHead {
	const view = new DataView(head.buffer, head.byteOffset);
	return { type: view.getUint32(0, true), number: view.getUint32(4, true), length: readLength(view, 8, "a record") };
}

/** @throws CriuError STREAM_CORRUPT */
export function decodePlan(body: Uint8Array, count: number): PlannedPages[] {
	const view = new DataView(body.buffer, body.byteOffset, body.length);
	const pages: PlannedPages[] = [];
	let at = 0;
	for (let index = 0; index < count; index++) {
		if (at + 12 > body.length) throw corruptStream("a plan of pages that is too short");
		const length = readLength(view, at, "pages");
		const end = at + 12 + view.getUint32(at + 8, true);
		if (end > body.length) throw corruptStream("a plan of pages that is too short");
		const name = readName(body.subarray(at + 12, end));
		if (!/^pages-\d+\.img$/.test(name) || pages.some((other) => other.name === name))
			throw corruptStream(`a pages file ${name}`);
		pages.push({ name, length });
		at = end;
	}
	if (at !== body.length) throw corruptStream("a plan of pages that is too long");
	return pages;
}

/** The name of an image. @throws CriuError STREAM_CORRUPT */
export function readName(bytes: Uint8Array): string {
	const name = new TextDecoder("latin1").decode(bytes);
	if (!/^[A-Za-z0-9][\w.-]{0,99}$/.test(name)) throw corruptStream(`a bad name, ${JSON.stringify(name.slice(0, 40))}`);
	return name;
}
