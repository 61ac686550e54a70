// SPDX-License-Identifier: GPL-2.0-only
// Message descriptors for protobuf-es, built when a message is first used. Generated code normally embeds serialized
// descriptors and parses them at import, which took 10-19 ms of every start; scripts/gen-proto.ts replaces them by the
// tables that are read here, of the form `name:number:label:type:default:show options` with empty ends left out, for
// instance `mnt_id:7:?:sint32:-1` or `prot:5:!:uint32::flags=mmap.prot`; labels: ! required, ? optional, * repeated.

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

/** One entry of a message's table. */
export interface FieldSpec {
	readonly name: string;
	readonly localName: string;
	readonly number: number;
	/** `!` required, `?` optional, `*` repeated. */
	readonly label: string;
	/** As the table has it: a scalar type, or the name of a message or enum. */
	readonly type: string;
	readonly message: DescMessage | undefined;
	readonly enum: DescEnum | undefined;
	readonly default: string | number | bigint | boolean | undefined;
	readonly show: string | undefined;
}

/** Name of a property for a proto name: protobuf-es' own rule. */
function camelCase(name: string): string {
	return name.indexOf("_") < 0
		? name
		: name.replace(/_+(.)?/g, (_, next: string | undefined) => (next ?? "").toUpperCase());
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
	#table: string;
	#specs: readonly FieldSpec[] | undefined;
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

	get specs(): readonly FieldSpec[] {
		this.#specs ??= this.#table === "" ? [] : this.#table.split(" ").map((entry) => parseSpec(this, entry));
		return this.#specs;
	}

	get fields(): DescField[] {
		this.#fields ??= this.specs.map((spec) => buildField(this, spec));
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
			const [key = "", value] = part.split("=");
			return [key, value ?? true];
		}),
	) as ShowOptions;
}

function parseDefault(type: string, text: string, values: DescEnumValue[] | undefined) {
	if (values !== undefined) return values.find((value) => value.name === text)?.number;
	if (type === "bool") return text === "true";
	if (type === "string") return text;
	return type.endsWith("64") ? BigInt(text) : Number(text);
}

function parseSpec(parent: LazyMessage, entry: string): FieldSpec {
	const [name = "", number, label, type, value = "", show] = entry.split(":");
	if (label === undefined || type === undefined) throw new BugError(`bad field table of ${parent.typeName}: ${entry}`);
	const desc = SCALARS[type] === undefined ? parent.file.findType(type) : undefined;
	if (SCALARS[type] === undefined && desc === undefined) {
		throw new BugError(`unknown type in ${parent.typeName}: ${entry}`);
	}
	const enumeration = desc?.kind === "enum" ? desc : undefined;
	return {
		name,
		localName: camelCase(name),
		number: Number(number),
		label,
		type,
		message: desc?.kind === "message" ? desc : undefined,
		enum: enumeration,
		default: value === "" ? undefined : parseDefault(type, value, enumeration?.values),
		show,
	};
}

function buildField(parent: LazyMessage, spec: FieldSpec): DescField {
	const { name, number, label } = spec;
	const kind = (spec.message ?? spec.enum)?.kind ?? "scalar";
	const repeated = label === "*";
	const field = {
		kind: "field",
		name,
		localName: spec.localName,
		jsonName: spec.localName,
		number,
		parent,
		deprecated: false,
		presence: repeated ? IMPLICIT : label === "!" ? LEGACY_REQUIRED : EXPLICIT,
		// A name that is no UTF-8 is refused rather than changed silently; where any bytes are legal the type is bytes.
		utf8Validation: true,
		fieldKind: repeated ? "list" : kind,
		listKind: repeated ? kind : undefined,
		scalar: SCALARS[spec.type],
		message: spec.message,
		enum: spec.enum,
		longAsString: false,
		delimitedEncoding: false,
		packed: false,
		oneof: undefined,
		getDefaultValue: () => spec.default,
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

/** The fields of a message as its table lists them. */
export function fieldSpecsOf(desc: DescMessage): readonly FieldSpec[] {
	return (desc as unknown as LazyMessage).specs;
}

/** How crit shows that field; empty when nothing is said. */
export function showOptionsOf(field: DescField): ShowOptions {
	const spec = fieldSpecsOf(field.parent).find((each) => each.number === field.number);
	return spec?.show === undefined ? {} : parseShow(spec.show);
}
