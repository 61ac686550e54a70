// SPDX-License-Identifier: GPL-2.0-only
// From image to JSON: {"magic": NAME, "entries": [...]}; payloads stand in their entry as `extra`. Nothing large is held:
// entries go out one by one, payloads in pieces.

import type { Message } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import type { ImageKind } from "../images/kinds.ts";
import type { OpenMessage } from "../images/message-plan.ts";
import type { ByteSink } from "./byte-sink.ts";
import type { ByteSource } from "./byte-source.ts";
import { getMessage, hasExtra, nextMessage, paddedLength, plainLength, readKind } from "./image-parts.ts";
import { JsonWriter } from "./json-writer.ts";
import { MessageWriter } from "./message-to-json.ts";
import { BASE64_LINE, base64Lines, sizeText } from "./text-forms.ts";

export interface DecodeForm {
	/** Indented, with names, addresses and hexadecimal numbers. */
	pretty: boolean;
	/** Tells the size of payloads instead of showing them. */
	noPayload: boolean;
	/** With the fields that only this criu has. */
	extensions: boolean;
}

const PAYLOAD = "a payload";

class ImageDecoder {
	readonly json: JsonWriter;
	readonly messages: MessageWriter;

	constructor(
		private readonly source: ByteSource,
		sink: ByteSink,
		private readonly form: DecodeForm,
	) {
		this.json = new JsonWriter(sink, form.pretty);
		this.messages = new MessageWriter(this.json, form);
	}

	image(): void {
		const kind = readKind(this.source);
		this.json.open("{");
		this.json.key("magic");
		this.json.string(kind.name);
		this.json.key("entries");
		this.json.open("[");
		if (kind.head !== undefined) this.#headed(kind);
		else this.#entries(kind, kind.entry);
		this.json.close("]");
		this.json.close("}");
	}

	#headed(kind: ImageKind): void {
		const head = kind.isRawAfterHead === undefined ? nextMessage(this.source, kind.head as never) : undefined;
		if (kind.isRawAfterHead !== undefined) {
			const ghost = getMessage(this.source, kind.head as never);
			const isRaw = kind.isRawAfterHead(ghost);
			this.#entry(kind.head, ghost, () => {
				if (isRaw && !this.form.noPayload) this.#base64("extra", this.source.rest(BASE64_LINE));
				else if (isRaw) for (const _ of this.source.rest(1));
			});
			if (isRaw) return;
		} else if (head !== undefined) this.#entry(kind.head, head, () => {});
		this.#entries(kind, kind.entry);
	}

	#entries(kind: ImageKind, schema: GenMessage<Message> | undefined): void {
		if (schema === undefined) return;
		for (;;) {
			const message = nextMessage(this.source, schema);
			if (message === undefined) return;
			this.#entry(schema, message, () => {
				if (hasExtra(kind)) this.#extra(kind, message);
			});
		}
	}

	#entry(schema: GenMessage<Message> | undefined, message: OpenMessage, extra: () => void): void {
		this.json.open("{");
		if (schema !== undefined) this.messages.fields(schema, message);
		extra();
		this.json.close("}");
	}

	#base64(key: string, pieces: Iterable<Uint8Array>): void {
		this.json.key(key);
		this.json.stringOf(linesOf(pieces));
	}

	#extra(kind: ImageKind, message: OpenMessage): void {
		const { source, json } = this;
		const length = plainLength(kind, message);
		const padding = paddedLength(kind, message) - length;
		if (this.form.noPayload) {
			source.skip(length + padding, PAYLOAD);
			const size =
				kind.nested === undefined ? this.#nominalLength(kind, message, length) : this.#skipNested(kind, message);
			// Chunks of a ghost file have nothing in the place of their payload.
			if (kind.framing === "headed") return;
			json.key("extra");
			json.string(`... <${sizeText(size)}>`);
			return;
		}
		if (kind.nested !== undefined) this.#nested(kind, message);
		else if (kind.name === "IPCNS_SEM") this.#semaphores(length);
		else if (kind.name === "TCP_STREAM") {
			json.key("extra");
			json.open("{");
			this.#base64("inq", source.pieces(Number(message["inqLen"]), BASE64_LINE, PAYLOAD));
			this.#base64("outq", source.pieces(Number(message["outqLen"]), BASE64_LINE, PAYLOAD));
			json.close("}");
		} else this.#base64("extra", source.pieces(length, BASE64_LINE, PAYLOAD));
		source.skip(padding, PAYLOAD);
	}

	/** A segment whose memory is in a pagemap is told with its size. */
	#nominalLength(kind: ImageKind, message: OpenMessage, length: number): number {
		return kind.name === "IPCNS_SHM" ? Number(message["size"]) : length;
	}

	#semaphores(length: number): void {
		this.json.key("extra");
		this.json.open("[");
		for (const piece of this.source.pieces(length, 2, PAYLOAD)) {
			for (let at = 0; at < piece.length; at += 2) {
				this.json.raw(String((piece[at] as number) + (piece[at + 1] as number) * 256));
			}
		}
		this.json.close("]");
	}

	#nested({ nested }: ImageKind, entry: OpenMessage): void {
		if (nested === undefined) return;
		this.json.key("extra");
		this.json.open("[");
		for (let left = nested.countOf(entry); left > 0; left--) {
			const message = getMessage(this.source, nested.schema);
			const length = Number(message["msize"]);
			this.#entry(nested.schema, message, () => {});
			this.json.stringOf(linesOf(this.source.pieces(length, BASE64_LINE, PAYLOAD)));
			this.source.skip(nested.payloadOf(message) - length, PAYLOAD);
		}
		this.json.close("]");
	}

	#skipNested({ nested }: ImageKind, entry: OpenMessage): number {
		if (nested === undefined) return 0;
		let size = 0;
		for (let left = nested.countOf(entry); left > 0; left--) {
			const before = this.source.offset + 4;
			const message = getMessage(this.source, nested.schema);
			size += this.source.offset - before + Number(message["msize"]);
			this.source.skip(nested.payloadOf(message), PAYLOAD);
		}
		return size;
	}
}

function* linesOf(pieces: Iterable<Uint8Array>): Generator<string, void, undefined> {
	for (const piece of pieces) yield base64Lines(piece, "\\n");
}

/**
 * Writes the image as JSON, without a newline at the end. Gives the names of fields that are in the image and not in the
 * JSON.
 * @throws ImageError when the image is damaged, CriuError UNKNOWN_MAGIC when it's none
 */
export function decodeImage(source: ByteSource, sink: ByteSink, form: DecodeForm): ReadonlySet<string> {
	const decoder = new ImageDecoder(source, sink, form);
	decoder.image();
	return decoder.messages.leftOut;
}
