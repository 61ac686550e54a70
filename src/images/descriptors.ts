// SPDX-License-Identifier: GPL-2.0-only
// Message descriptors for protobuf-es, built when a message is first used. Generated code normally embeds serialized
// descriptors and parses them at import, which took 10-19 ms of every start; scripts/gen-proto.ts replaces them by the
// tables that are read here, of the form `name:NUMBER LABEL TYPE =DEFAULT {show options}` without the spaces, for
// instance `mnt_id:7?sint32=-1` or `prot:5!uint32{flags:mmap.prot}`; labels: ! required, ? optional, * repeated.

import type { DescEnum, DescEnumValue, DescField, DescFile, DescMessage, Message } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import type { GenEnum, GenFile, GenMessage } from "@bufbuild/protobuf/codegenv2";
import { BugError } from "../errors.ts";

// Values of google.protobuf.Edition and FeatureSet.FieldPresence; importing the enums would load descriptor.proto.
const EDITION_PROTO2 = 998;
const EXPLICIT = 1;
const IMPLICIT = 2;
const LEGACY_REQUIRED = 3;

const SCALARS: Record<string, ScalarType> = {
	int64: ScalarType.INT64,
	uint64: ScalarType.UINT64,
	int32: ScalarType.INT32,
	fixed64: ScalarType.FIXED64,
	fixed32: ScalarType.FIXED32,
	bool: ScalarType.BOOL,
	string: ScalarType.STRING,
	bytes: ScalarType.BYTES,
	uint32: ScalarType.UINT32,
	sint32: ScalarType.SINT32,
	sint64: ScalarType.SINT64,
};

const FIELD_SPEC = /^(\w+):(\d+)([!?*])([\w.]+)(?:=([^{]+))?(?:\{(.*)\})?$/;

/** How crit shows a field: the options of criu_options.proto that are set on it. */
export interface ShowOptions {
	hex?: true;
	ipadd?: true;
	dev?: true;
	odev?: true;
	text?: true;
	flags?: string;
	dict?: string;
	conv?: string;
}

/** Name of a property for a proto name: protobuf-es' own rule. */
function camelCase(name: string): string {
	return name.replace(/_+(.)?/g, (_, next: string | undefined) => (next ?? "").toUpperCase());
}

function refuseProto(what: string): never {
	throw new BugError(`serialized descriptor of ${what} is not kept`);
}

class LazyEnum {
	readonly kind = "enum";
	readonly parent = undefined;
	/** Open, as in C: a number without a name stays what it is. */
	readonly open = true;
	readonly deprecated = false;
	readonly name: string;
	#table: string;
	#values: DescEnumValue[] | undefined;
	#value: Record<number, DescEnumValue> | undefined;

	constructor(
		readonly file: DescFile,
		readonly typeName: string,
		table: string,
	) {
		this.name = typeName.slice(typeName.lastIndexOf(".") + 1);
		this.#table = table;
	}

	get values(): DescEnumValue[] {
		this.#values ??= this.#table.split(" ").map((entry) => {
			const [name = "", number] = entry.split("=");
			return {
				kind: "enum_value",
				name,
				localName: name,
				jsonName: name,
				number: Number(number),
				deprecated: false,
				parent: this as DescEnum,
				get proto() {
					return refuseProto(name);
				},
			} satisfies DescEnumValue;
		});
		return this.#values;
	}

	get value(): Record<number, DescEnumValue> {
		this.#value ??= Object.fromEntries(this.values.map((value) => [value.number, value]));
		return this.#value;
	}

	get proto(): never {
		return refuseProto(this.typeName);
	}

	toString(): string {
		return `enum ${this.typeName}`;
	}
}

class LazyMessage {
	readonly kind = "message";
	readonly parent = undefined;
	readonly deprecated = false;
	readonly oneofs = [];
	readonly nestedMessages = [];
	readonly nestedExtensions = [];
	readonly shows = new Map<number, ShowOptions>();
	#table: string;
	#fields: DescField[] | undefined;
	#field: Record<string, DescField> | undefined;

	constructor(
		readonly file: LazyFile,
		readonly typeName: string,
		table: string,
	) {
		this.#table = table;
	}

	get name(): string {
		return this.typeName;
	}

	get fields(): DescField[] {
		this.#fields ??= this.#table === "" ? [] : this.#table.split(" ").map((spec) => buildField(this, spec));
		return this.#fields;
	}

	get members(): DescField[] {
		return this.fields;
	}

	get field(): Record<string, DescField> {
		this.#field ??= Object.fromEntries(this.fields.map((field) => [field.localName, field]));
		return this.#field;
	}

	get nestedEnums(): DescEnum[] {
		return this.file.enums.filter((desc) => desc.typeName === `${this.typeName}.${desc.name}`);
	}

	get proto(): never {
		return refuseProto(this.typeName);
	}

	toString(): string {
		return `message ${this.typeName}`;
	}
}

class LazyFile {
	readonly kind = "file";
	readonly edition = EDITION_PROTO2;
	readonly extensions = [];
	readonly services = [];
	readonly deprecated = false;
	readonly messages: DescMessage[];
	readonly enums: DescEnum[];

	constructor(
		readonly name: string,
		readonly dependencies: DescFile[],
		messages: Record<string, string>,
		enums: Record<string, string>,
	) {
		this.messages = Object.entries(messages).map(([type, table]) => new LazyMessage(this, type, table) as DescMessage);
		this.enums = Object.entries(enums).map(([type, table]) => new LazyEnum(this as DescFile, type, table) as DescEnum);
	}

	get proto(): never {
		return refuseProto(this.name);
	}

	toString(): string {
		return `file ${this.name}`;
	}

	/** The message or enum with that name here or in a file that this one imports. */
	findType(typeName: string): DescMessage | DescEnum | undefined {
		const same = (desc: DescMessage | DescEnum): boolean => desc.typeName === typeName;
		for (const file of [this as DescFile, ...this.dependencies]) {
			const found = file.messages.find(same) ?? file.enums.find(same);
			if (found !== undefined) return found;
		}
		return undefined;
	}
}

function parseShow(text: string): ShowOptions {
	return Object.fromEntries(
		text.split(",").map((part) => {
			const [key = "", value] = part.split(":");
			return [key, value ?? true];
		}),
	) as ShowOptions;
}

function parseDefault(type: string, text: string | undefined, values: DescEnumValue[] | undefined) {
	if (text === undefined) return undefined;
	if (values !== undefined) return values.find((value) => value.name === text)?.number;
	if (type === "bool") return text === "true";
	if (type === "string") return text;
	return type.endsWith("64") ? BigInt(text) : Number(text);
}

function buildField(parent: LazyMessage, spec: string): DescField {
	const match = FIELD_SPEC.exec(spec);
	if (match === null) throw new BugError(`bad field table of ${parent.typeName}: ${spec}`);
	const [, name = "", number, label, type = "", defaultText, show] = match;
	if (show !== undefined) parent.shows.set(Number(number), parseShow(show));
	const scalar = SCALARS[type];
	const desc = scalar === undefined ? parent.file.findType(type) : undefined;
	if (scalar === undefined && desc === undefined) throw new BugError(`unknown type in ${parent.typeName}: ${spec}`);
	const kind = desc?.kind ?? "scalar";
	const enumDescriptor = desc?.kind === "enum" ? desc : undefined;
	const repeated = label === "*";
	const defaultValue = parseDefault(type, defaultText, enumDescriptor?.values);
	const field = {
		kind: "field",
		name,
		localName: camelCase(name),
		jsonName: camelCase(name),
		number: Number(number),
		parent,
		deprecated: false,
		presence: repeated ? IMPLICIT : label === "!" ? LEGACY_REQUIRED : EXPLICIT,
		// A name that is no UTF-8 is refused rather than changed silently; where any bytes are legal the type is bytes.
		utf8Validation: true,
		fieldKind: repeated ? "list" : kind,
		listKind: repeated ? kind : undefined,
		scalar,
		message: desc?.kind === "message" ? desc : undefined,
		enum: enumDescriptor,
		longAsString: false,
		delimitedEncoding: false,
		packed: false,
		oneof: undefined,
		getDefaultValue: () => defaultValue,
		get proto() {
			return refuseProto(`${parent.typeName}.${name}`);
		},
		toString: () => `field ${parent.typeName}.${name}`,
	};
	return field as unknown as DescField;
}

/** A file of descriptors from its tables; `messages` and `enums` are keyed by type name, in the order of the .proto. */
export function fileDesc(
	name: string,
	dependencies: DescFile[],
	messages: Record<string, string>,
	enums: Record<string, string>,
): GenFile {
	return new LazyFile(name, dependencies, messages, enums) as GenFile;
}

/** The message number `index` of a file. */
export function messageDesc<T extends Message>(file: GenFile, index: number): GenMessage<T> {
	return file.messages[index] as unknown as GenMessage<T>;
}

/** The enum number `index` of a file; enums inside of messages follow those outside. */
export function enumDesc<T extends number>(file: GenFile, index: number): GenEnum<T> {
	return file.enums[index] as unknown as GenEnum<T>;
}

/** How crit shows that field; empty when nothing is said. */
export function showOptionsOf(field: DescField): ShowOptions {
	const parent: unknown = field.parent;
	return (parent instanceof LazyMessage ? parent.shows.get(field.number) : undefined) ?? {};
}
