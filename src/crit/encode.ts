// SPDX-License-Identifier: GPL-2.0-only
// From JSON to image, the opposite of decode.ts. Entries are taken and written one by one; a large payload goes through a
// file without a name, since the length that the message tells is checked before anything of the entry is written.

import { CriuError } from "../errors.ts";
import { encodeMessage } from "../images/encode.ts";
import { headerOf, MAX_ENTRY_SIZE } from "../images/framing.ts";
import type { ImageKind } from "../images/kinds.ts";
import type { OpenMessage } from "../images/message-plan.ts";
import type { ByteSink } from "./byte-sink.ts";
import type { ByteSource } from "./byte-source.ts";
import { hasExtra, kindOfName, paddedLength, plainLength } from "./image-parts.ts";
import { JsonReader, type JsonValue } from "./json-reader.ts";
import { MessageBuilder } from "./json-to-message.ts";
import { Spool } from "./spool.ts";
import { readBase64 } from "./text-forms.ts";

/** Base64 text is decoded in pieces of this many characters, white space not counted. */
const PIECE = 64 * 1024;

type Schema = NonNullable<ImageKind["entry"]>;

class ImageEncoder {
	readonly #json: JsonReader;
	readonly messages: MessageBuilder = new MessageBuilder();

	constructor(
		private readonly source: ByteSource,
		private readonly sink: ByteSink,
		private readonly folder: string | undefined,
	) {
		this.#json = new JsonReader(source);
	}

	image(): void {
		let kind: ImageKind | undefined;
		let isWritten = false;
		for (const key of this.#json.keys()) {
			if (key === "magic") kind = this.#kind();
			else if (key === "entries") {
				kind ??= this.#findKindBehind();
				this.#header(kind);
				this.#entries(kind);
				isWritten = true;
			} else {
				this.messages.unknownKeys.add(key);
				this.#json.skipValue();
			}
		}
		if (this.#json.peek() >= 0) this.#json.fail("something follows the image");
		if (kind === undefined) this.#json.fail('no "magic"');
		if (!isWritten) this.#json.fail('no "entries"');
	}

	#kind(): ImageKind {
		const name = this.#json.value();
		const kind = typeof name === "string" ? kindOfName(name) : undefined;
		if (kind !== undefined) return kind;
		throw new CriuError("UNKNOWN_MAGIC", `unknown magic ${String(name).slice(0, 60)} in ${this.source.name}`, {
			remedy: "give the name that crit decode shows for such an image",
		});
	}

	/** The kind when it's told behind the entries, where tools that sort keys put it. */
	#findKindBehind(): ImageKind {
		const goBack = this.source.remember();
		this.#json.skipValue();
		while (this.#json.accept(",")) {
			const key = this.#json.string();
			this.#json.expect(":");
			if (key === "magic") {
				const kind = this.#kind();
				goBack();
				return kind;
			}
			this.#json.skipValue();
		}
		return this.#json.fail('no "magic"');
	}

	#header(kind: ImageKind): void {
		const words = headerOf(kind, 2);
		const bytes = new Uint8Array(words.length * 4);
		const view = new DataView(bytes.buffer);
		for (const [at, word] of words.entries()) view.setUint32(at * 4, word, true);
		this.sink.write(bytes);
	}

	#entries(kind: ImageKind): void {
		let at = 0;
		let isRaw = false;
		for (const _ of this.#json.items()) {
			this.#json.startEntry();
			this.messages.place = `entries[${at}]`;
			const isHead = at === 0 && kind.head !== undefined;
			if (isRaw) this.messages.fail("nothing can follow a file that isn't in chunks");
			const head = this.#entry(kind, isHead);
			isRaw = isHead && kind.isRawAfterHead?.(head) === true;
			at++;
		}
		if (at === 0 && kind.isRawAfterHead !== undefined) this.messages.fail("the first entry is missing");
	}

	#entry(kind: ImageKind, isHead: boolean): OpenMessage {
		const schema = (isHead ? kind.head : kind.entry) as Schema;
		const fields = new Map<string, JsonValue>();
		using spool = new Spool(this.folder);
		let extra: JsonValue | undefined;
		for (const key of this.#json.keys()) {
			if (key !== "extra" || this.#json.peek() !== 0x22) {
				const value = this.#json.value();
				if (key === "extra") extra = value;
				else fields.set(key, value);
			} else {
				this.#spoolBase64(spool);
				extra = "";
			}
		}
		const message = this.messages.message(schema, fields);
		this.#message(schema, message);
		const takesExtra = isHead ? kind.isRawAfterHead?.(message) === true : hasExtra(kind);
		if (!takesExtra) {
			if (extra !== undefined) this.messages.unknownKeys.add(`${schema.typeName}.extra`);
		} else if (isHead) spool.pour(this.sink);
		else this.#extra(kind, message, extra, spool);
		return message;
	}

	#message(schema: Schema, message: OpenMessage): void {
		const bytes = encodeMessage(schema, message);
		if (bytes.length > MAX_ENTRY_SIZE) this.messages.fail(`an entry of ${bytes.length} bytes; 64 MiB is the most`);
		const size = new Uint8Array(4);
		new DataView(size.buffer).setUint32(0, bytes.length, true);
		this.sink.write(size);
		this.sink.write(bytes);
	}

	#spoolBase64(spool: Spool): void {
		let text = "";
		let isOver = false;
		const decode = (length: number): void => {
			const bytes = isOver ? undefined : readBase64(text.slice(0, length));
			if (bytes === undefined) this.messages.fail("extra is no base64; payloads that --nopl left out can't be encoded");
			isOver = text.slice(0, length).endsWith("=");
			spool.write(bytes);
			text = text.slice(length);
		};
		for (const piece of this.#json.stringPieces()) {
			text += /\s/.test(piece) ? piece.replace(/\s+/g, "") : piece;
			if (text.length >= PIECE) decode(text.length - (text.length % 4));
		}
		if (text.length > 0) decode(text.length);
	}

	#checkLength(found: number, wanted: number): void {
		if (found !== wanted) this.messages.fail(`extra has ${found} bytes, but the entry tells of ${wanted}`);
	}

	#pad(length: number): void {
		if (length > 0) this.sink.write(new Uint8Array(length));
	}

	#extra(kind: ImageKind, message: OpenMessage, extra: JsonValue | undefined, spool: Spool): void {
		const length = plainLength(kind, message);
		if (kind.nested !== undefined) this.#nested(kind, message, extra);
		else if (kind.name === "IPCNS_SEM") this.#semaphores(length, extra);
		else if (kind.name === "TCP_STREAM") this.#queues(message, extra);
		else {
			if (extra !== undefined && typeof extra !== "string") this.messages.fail("extra is no text");
			this.#checkLength(spool.length, length);
			spool.pour(this.sink);
		}
		this.#pad(paddedLength(kind, message) - length);
	}

	#semaphores(length: number, extra: JsonValue | undefined): void {
		const values = extra ?? [];
		if (!Array.isArray(values)) this.messages.fail("extra is no list");
		this.#checkLength(values.length * 2, length);
		const bytes = new Uint8Array(length);
		for (const [at, value] of values.entries()) {
			if (typeof value !== "number" || !(value >= 0 && value <= 0xffff))
				this.messages.fail(`semaphore ${at} is no u16`);
			bytes[at * 2] = value & 255;
			bytes[at * 2 + 1] = value >> 8;
		}
		this.sink.write(bytes);
	}

	#base64(value: JsonValue | undefined, length: number): void {
		const bytes = typeof value === "string" ? readBase64(value) : value === undefined ? new Uint8Array() : undefined;
		if (bytes === undefined) this.messages.fail("extra is no base64");
		this.#checkLength(bytes.length, length);
		this.sink.write(bytes);
	}

	#queues(message: OpenMessage, extra: JsonValue | undefined): void {
		const queues = extra ?? new Map<string, JsonValue>();
		if (!(queues instanceof Map)) this.messages.fail("extra has no inq and outq");
		this.#base64(queues.get("inq"), Number(message["inqLen"]));
		this.#base64(queues.get("outq"), Number(message["outqLen"]));
	}

	#nested({ nested }: ImageKind, entry: OpenMessage, extra: JsonValue | undefined): void {
		const parts = extra ?? [];
		if (nested === undefined) return;
		if (!Array.isArray(parts)) this.messages.fail("extra is no list");
		if (parts.length !== nested.countOf(entry) * 2) {
			this.messages.fail(`extra has ${parts.length} items, but the entry tells of ${nested.countOf(entry)} messages`);
		}
		const { place } = this.messages;
		for (let at = 0; at < parts.length; at += 2) {
			this.messages.place = `${place}.extra[${at}]`;
			const message = this.messages.message(nested.schema, parts[at] as JsonValue);
			this.#message(nested.schema, message);
			const length = Number(message["msize"]);
			this.#base64(parts[at + 1], length);
			this.#pad(nested.payloadOf(message) - length);
		}
		this.messages.place = place;
	}
}

/**
 * Writes the image of a JSON text. `folder` is where to put large payloads aside. Gives the keys that are no fields and
 * were left out.
 * @throws CriuError NO_JSON, BAD_JSON, UNKNOWN_MAGIC
 */
export function encodeImage(source: ByteSource, sink: ByteSink, folder?: string): ReadonlySet<string> {
	const encoder = new ImageEncoder(source, sink, folder);
	encoder.image();
	return encoder.messages.unknownKeys;
}
