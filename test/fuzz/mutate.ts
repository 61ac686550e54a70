// SPDX-License-Identifier: GPL-2.0-only
// Damages the images of a dump in ways that follow their structure: fields out of range, lists of other lengths, forged
// sizes, entries or files in the wrong place; and in ways that don't: flipped bits, cut files. Same seed, same damage.

import { readdirSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import type { Message } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { decodeMessage, encodeMessage, findKindOfFile, ImageDir } from "../../src/images/index.ts";
import { collectPool, mutateMessage, type Pool } from "./mutate-message.ts";

/** Gives integers in [0, below). */
export type Random = (below: number) => number;

interface Entry {
	schema: GenMessage<Message>;
	bytes: Uint8Array;
	payload: Uint8Array;
}

interface Image {
	header: Uint8Array;
	entries: Entry[];
}

/** Files with their new content, undefined for removed ones; and how it came about. */
export interface Damage {
	what: string;
	files: Map<string, Uint8Array | undefined>;
}

const SIZES = [0, 1, 4, 0x7f, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff, 64 * 1024 * 1024, 64 * 1024 * 1024 + 1];
const BYTES = [0, 1, 0x7f, 0x80, 0xff];

/** The generator that makeRandom of the image tests gives, for numbers below a bound. */
export function below(random: () => number): Random {
	return (limit) => random() % Math.max(1, limit);
}

function readImage(dir: ImageDir, name: string): Image | undefined {
	const found = findKindOfFile(name);
	if (found?.kind.entry === undefined) return undefined;
	using reader = dir.getReader(found.kind, found.id);
	const header = new Uint8Array(reader.offset);
	const entries: Entry[] = [];
	for (const { schema, message, payload } of reader.records()) {
		if (schema === undefined || message === undefined) continue;
		const raw = new Uint8Array(payload?.length ?? 0);
		if (payload !== undefined) readSync(payload.fd, raw, 0, raw.length, payload.offset);
		entries.push({ schema, bytes: encodeMessage(schema, message), payload: raw });
	}
	return { header, entries };
}

function frame({ header, entries }: Image): Uint8Array {
	const parts: Uint8Array[] = [header];
	for (const { bytes, payload } of entries) {
		const size = Buffer.alloc(4);
		size.writeUInt32LE(bytes.length);
		parts.push(size, bytes, payload);
	}
	return Buffer.concat(parts);
}

/** The images of one dump and all ways to damage them. */
export class Mutator {
	readonly originals = new Map<string, Buffer>();
	private readonly images = new Map<string, Image>();
	private readonly names: string[];
	private readonly pool: Pool = { numbers: [], bigints: [] };

	/** `paths`: names that damaged images shall hold instead of their own. */
	constructor(
		dir: string,
		private readonly paths: readonly string[] = [],
	) {
		for (const name of readdirSync(dir).sort()) this.originals.set(name, readFileSync(join(dir, name)));
		using opened = ImageDir.open(dir);
		for (const [name, bytes] of this.originals) {
			const image = readImage(opened, name);
			if (image === undefined || !name.endsWith(".img")) continue;
			image.header = bytes.subarray(0, image.header.length);
			this.images.set(name, image);
			for (const { schema, bytes } of image.entries)
				collectPool(schema, decodeMessage(schema, bytes, { file: name }), this.pool);
		}
		this.names = [...this.images.keys()];
	}

	/** One to three changes. */
	damage(random: Random): Damage {
		const files = new Map<string, Uint8Array | undefined>();
		const what: string[] = [];
		const count = [1, 1, 1, 2, 3][random(5)] ?? 1;
		for (let n = 0; n < count; n++) what.push(this.change(random, files));
		return { what: what.join("; "), files };
	}

	private pick(random: Random): string {
		return this.names[random(this.names.length)] ?? "";
	}

	private change(random: Random, files: Map<string, Uint8Array | undefined>): string {
		const name = this.pick(random);
		const bytes = Buffer.from(files.get(name) ?? this.originals.get(name) ?? []);
		const kind = random(16);
		if (kind < 9) return this.changeField(name, random, files);
		if (kind < 11) return this.changeEntries(name, random, files);
		if (kind === 11) {
			const other = this.pick(random);
			files.set(name, this.originals.get(other));
			return `${name} has the content of ${other}`;
		}
		if (kind === 12 && random(3) === 0) {
			files.set(name, undefined);
			return `${name} is removed`;
		}
		if (kind === 13) {
			const length = random(bytes.length);
			files.set(name, bytes.subarray(0, length));
			return `${name} is cut to ${length} bytes`;
		}
		if (kind === 14) {
			files.set(name, Buffer.concat([bytes, Buffer.from(Array.from({ length: 1 + random(40) }, () => random(256)))]));
			return `${name} has bytes behind its end`;
		}
		return this.changeBytes(name, bytes, random, files);
	}

	private changeBytes(name: string, bytes: Buffer, random: Random, files: Damage["files"]): string {
		const what: string[] = [];
		for (let n = 1 + random(3); n > 0; n--) {
			const at = random(bytes.length);
			const old = bytes[at] ?? 0;
			bytes[at] = random(2) === 0 ? old ^ (1 << random(8)) : (BYTES[random(BYTES.length)] ?? 0);
			what.push(`byte ${at}: ${old} to ${bytes[at]}`);
		}
		files.set(name, bytes);
		return `${name} ${what.join(", ")}`;
	}

	/** Decodes one entry, changes a field of it, and encodes it again. */
	private changeField(name: string, random: Random, files: Damage["files"]): string {
		const image = this.images.get(name);
		const entry = image?.entries[random(image.entries.length)];
		if (image === undefined || entry === undefined) return `${name} has no entries`;
		const message = decodeMessage(entry.schema, entry.bytes, { file: name });
		const what = mutateMessage(entry.schema, message, { random, pool: this.pool, paths: this.paths });
		const changed = { ...entry, bytes: encodeMessage(entry.schema, message) };
		files.set(name, frame({ header: image.header, entries: image.entries.map((e) => (e === entry ? changed : e)) }));
		return `${name} ${what}`;
	}

	/** Entries dropped, doubled, swapped or with a forged size. */
	private changeEntries(name: string, random: Random, files: Damage["files"]): string {
		const image = this.images.get(name);
		if (image === undefined || image.entries.length === 0) return `${name} has no entries`;
		const entries = [...image.entries];
		const at = random(entries.length);
		const other = random(entries.length);
		const [one, two] = [entries[at] as Entry, entries[other] as Entry];
		const kind = random(4);
		if (kind === 0) entries.splice(at, 1);
		else if (kind === 1) entries.splice(other, 0, one);
		else if (kind === 2) {
			entries[at] = two;
			entries[other] = one;
		}
		const bytes = Buffer.from(frame({ header: image.header, entries }));
		files.set(name, bytes);
		if (kind < 3) return `${name} entry ${at} is ${["dropped", `doubled at ${other}`, `swapped with ${other}`][kind]}`;
		const place = entries.slice(0, at).reduce((sum, e) => sum + 4 + e.bytes.length + e.payload.length, 0);
		const size = SIZES[random(SIZES.length)] ?? 0;
		bytes.writeUInt32LE(size, image.header.length + place);
		return `${name} entry ${at} says that it has ${size} bytes`;
	}
}
