// SPDX-License-Identifier: GPL-2.0-only
// A message as JSON, field by field in the order of their numbers, as far as they are set.

import type { DescMessage } from "@bufbuild/protobuf";
import { type FieldSpec, fieldSpecsOf } from "../images/descriptors.ts";
import type { OpenMessage } from "../images/message-plan.ts";
import { fromKernelDev, fromUserDev } from "../kernel/abi/devices.ts";
import type { JsonWriter } from "./json-writer.ts";
import { encodeQuotedPrintable } from "./quoted-printable.ts";
import { addressText, base64Lines, textOfName } from "./text-forms.ts";
import { nameFlags, showOf, wordFor } from "./value-names.ts";

/** Numbers of our own fields in CRIU's messages begin here. */
const FIRST_OWN_FIELD = 4201;

export interface MessageForm {
	/** Numbers as names, addresses and the like. */
	pretty: boolean;
	/** With fields that the original doesn't have. */
	extensions: boolean;
}

const ordered = new WeakMap<DescMessage, readonly FieldSpec[]>();

/** The fields of a message by their numbers. */
export function orderedFields(desc: DescMessage): readonly FieldSpec[] {
	const known = ordered.get(desc);
	if (known !== undefined) return known;
	const fields = [...fieldSpecsOf(desc)].sort((a, b) => a.number - b.number);
	ordered.set(desc, fields);
	return fields;
}

export class MessageWriter {
	/** Names of fields that were set and left out. */
	readonly leftOut = new Set<string>();

	constructor(
		private readonly json: JsonWriter,
		private readonly form: MessageForm,
	) {}

	/** Writes the fields of a message into the object that is open. */
	fields(desc: DescMessage, message: OpenMessage, inHex = false): void {
		for (const spec of orderedFields(desc)) {
			const value = message[spec.localName];
			const isSet = spec.label === "*" ? (value as unknown[]).length > 0 : Object.hasOwn(message, spec.localName);
			if (!isSet || value === undefined) continue;
			if (spec.number >= FIRST_OWN_FIELD && !this.form.extensions) {
				this.leftOut.add(`${desc.typeName}.${spec.name}`);
				continue;
			}
			this.json.key(spec.name);
			if (spec.label === "*") this.#list(spec, value as unknown[], inHex);
			else this.#value(spec, value, inHex);
		}
		for (const { no } of message.$unknown ?? []) this.leftOut.add(`${desc.typeName}'s field ${no}`);
	}

	#list(spec: FieldSpec, values: readonly unknown[], inHex: boolean): void {
		this.json.open("[");
		const address =
			this.form.pretty && showOf(spec).ipadd === true ? addressText(values as readonly number[]) : undefined;
		if (address !== undefined) this.json.string(address);
		else for (const value of values) this.#value(spec, value, inHex);
		this.json.close("]");
	}

	#value(spec: FieldSpec, value: unknown, inHex: boolean): void {
		if (spec.message !== undefined) {
			this.json.open("{");
			this.fields(spec.message, value as OpenMessage, inHex || showOf(spec).hex === true);
			this.json.close("}");
		} else if (typeof value === "number" || typeof value === "bigint") this.#number(spec, value, inHex);
		else if (typeof value === "boolean") this.json.raw(String(value));
		else if (typeof value === "string") this.json.string(value);
		else this.#bytes(spec, value as Uint8Array);
	}

	#bytes(spec: FieldSpec, value: Uint8Array): void {
		const show = showOf(spec);
		if (show.text === true) this.json.string(textOfName(value));
		else if (show.conv === "unix_name") this.json.string(encodeQuotedPrintable(value));
		else this.json.string(base64Lines(value, "\n"));
	}

	#number(spec: FieldSpec, value: number | bigint, inHex: boolean): void {
		if (spec.enum !== undefined) {
			const name = spec.enum.value[Number(value)]?.name;
			if (name === undefined) this.json.raw(String(value));
			else this.json.string(name);
			return;
		}
		const text = this.form.pretty ? prettyNumber(spec, value, inHex) : undefined;
		if (text === undefined) this.json.raw(String(value));
		else this.json.string(text);
	}
}

function hexText(value: number | bigint): string {
	return value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}

/** The pretty form of a number; undefined where it's the number itself. */
function prettyNumber(spec: FieldSpec, value: number | bigint, inHex: boolean): string | undefined {
	const show = showOf(spec);
	if (inHex || show.hex === true) return hexText(value);
	if (show.dev === true) {
		// Wider numbers than the kernel's make no sense, but nothing may be hidden of them.
		const { major, minor } =
			show.odev === true
				? fromUserDev(BigInt(value))
				: value >= 0 && value <= 0xffffffff
					? fromKernelDev(Number(value))
					: { major: BigInt(value) >> 20n, minor: BigInt(value) & 0xfffffn };
		return `${major}:${minor}`;
	}
	if (show.flags !== undefined) return nameFlags(show.flags, BigInt(value)) ?? hexText(value);
	return show.dict === undefined ? undefined : wordFor(show.dict, spec.name, Number(value));
}
