// SPDX-License-Identifier: GPL-2.0-only
// A message from its JSON, of the plain or the pretty form.

import type { DescMessage } from "@bufbuild/protobuf";
import { CriuError } from "../errors.ts";
import type { FieldSpec } from "../images/descriptors.ts";
import { type OpenMessage, planOf } from "../images/message-plan.ts";
import { toKernelDev, toUserDev } from "../kernel/abi/devices.ts";
import type { JsonValue } from "./json-reader.ts";
import { orderedFields } from "./message-to-json.ts";
import { decodeQuotedPrintable } from "./quoted-printable.ts";
import { bytesOfName, readBase64, wordsOfAddress } from "./text-forms.ts";
import { readFlags, readNumber, showOf, valueOfWord } from "./value-names.ts";

const RANGES: Readonly<Record<string, readonly [bigint, bigint]>> = {
	int32: [-(2n ** 31n), 2n ** 31n - 1n],
	sint32: [-(2n ** 31n), 2n ** 31n - 1n],
	uint32: [0n, 2n ** 32n - 1n],
	fixed32: [0n, 2n ** 32n - 1n],
	int64: [-(2n ** 63n), 2n ** 63n - 1n],
	sint64: [-(2n ** 63n), 2n ** 63n - 1n],
	uint64: [0n, 2n ** 64n - 1n],
	fixed64: [0n, 2n ** 64n - 1n],
};

/** What of a value is shown in an error. */
function show(value: JsonValue): string {
	if (value instanceof Map) return "an object";
	if (Array.isArray(value)) return "a list";
	return (typeof value === "string" ? JSON.stringify(value) : String(value)).slice(0, 60);
}

export class MessageBuilder {
	/** Keys that are no fields. */
	readonly unknownKeys = new Set<string>();
	/** Where we are, such as `entries[3]`. */
	place = "";

	/** @throws CriuError BAD_JSON, always */
	fail(what: string): never {
		throw new CriuError("BAD_JSON", `cannot encode ${this.place}: ${what}`, {
			remedy: "give the field a value of the form that crit decode shows",
		});
	}

	/** A message of that type. @throws CriuError BAD_JSON */
	message(desc: DescMessage, value: JsonValue, ignored: readonly string[] = []): OpenMessage {
		if (!(value instanceof Map)) this.fail(`${show(value)} is no object`);
		const { make } = planOf(desc);
		const message = new make();
		const rest = new Set(value.keys());
		for (const spec of orderedFields(desc)) {
			const given = value.get(spec.name);
			rest.delete(spec.name);
			if (given === undefined) {
				if (spec.label === "!") this.fail(`${desc.typeName}.${spec.name} is missing`);
				continue;
			}
			(message as Record<string, unknown>)[spec.localName] =
				spec.label === "*" ? this.#list(spec, given) : this.#value(spec, given);
		}
		for (const key of rest) if (!ignored.includes(key)) this.unknownKeys.add(`${desc.typeName}.${key}`);
		return message;
	}

	#list(spec: FieldSpec, value: JsonValue): unknown[] {
		if (!Array.isArray(value)) this.fail(`${spec.name} is no list`);
		const [first] = value;
		if (typeof first === "string" && showOf(spec).ipadd === true) {
			return wordsOfAddress(first) ?? this.fail(`${spec.name}: ${show(first)} is no address`);
		}
		return value.map((item) => this.#value(spec, item));
	}

	#value(spec: FieldSpec, value: JsonValue): unknown {
		if (spec.message !== undefined) {
			const outer = this.place;
			this.place += `.${spec.name}`;
			const message = this.message(spec.message, value);
			this.place = outer;
			return message;
		}
		if (spec.type === "bytes") return this.#bytes(spec, value);
		if (spec.type === "string") {
			if (typeof value === "string" && value.isWellFormed()) return value;
			return this.fail(`${spec.name}: ${show(value)} is no text`);
		}
		if (spec.type === "bool") {
			if (typeof value === "boolean") return value;
			return typeof value === "number"
				? value !== 0
				: this.fail(`${spec.name}: ${show(value)} is neither true nor false`);
		}
		return this.#number(spec, value);
	}

	#bytes(spec: FieldSpec, value: JsonValue): Uint8Array {
		if (typeof value !== "string") this.fail(`${spec.name}: ${show(value)} is no text`);
		const { text, conv } = showOf(spec);
		if (text === true) return bytesOfName(value) ?? this.fail(`${spec.name}: ${show(value)} has half a character`);
		if (conv === "unix_name") return decodeQuotedPrintable(value);
		return readBase64(value) ?? this.fail(`${spec.name}: ${show(value)} is no base64`);
	}

	#number(spec: FieldSpec, value: JsonValue): number | bigint {
		const number = this.#integer(spec, value);
		const [low, high] = RANGES[spec.enum === undefined ? spec.type : "int32"] ?? [0n, 0n];
		if (number < low || number > high) this.fail(`${spec.name}: ${show(value)} does not fit in ${spec.type}`);
		return spec.enum === undefined && spec.type.endsWith("64") ? BigInt(number) : Number(number);
	}

	#integer(spec: FieldSpec, value: JsonValue): number | bigint {
		if (typeof value === "bigint" || (typeof value === "number" && Number.isSafeInteger(value))) return value;
		if (typeof value !== "string") return this.fail(`${spec.name}: ${show(value)} is no whole number`);
		const number = this.#word(spec, value) ?? readNumber(value);
		return number ?? this.fail(`${spec.name}: ${show(value)} is unknown`);
	}

	#word(spec: FieldSpec, value: string): number | bigint | undefined {
		if (spec.enum !== undefined) return spec.enum.values.find(({ name }) => name === value)?.number;
		const { dev, odev, flags, dict } = showOf(spec);
		if (dev === true) {
			const match = /^([0-9]{1,15}):([0-9]{1,15})$/.exec(value);
			if (match === null) return undefined;
			if (odev === true) return toUserDev(Number(match[1]), Number(match[2]));
			const [major, minor] = [BigInt(match[1] as string), BigInt(match[2] as string)];
			return major < 4096n && minor < 1n << 20n ? toKernelDev(Number(major), Number(minor)) : (major << 20n) | minor;
		}
		if (flags !== undefined) {
			try {
				return readFlags(flags, value);
			} catch (why) {
				return this.fail(`${spec.name}: ${why}`);
			}
		}
		return dict === undefined ? undefined : valueOfWord(dict, spec.name, value);
	}
}
