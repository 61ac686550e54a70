// SPDX-License-Identifier: GPL-2.0-only
// What decoder and encoder need to know of a message, in the shape that they use it in; made when a message is first met.

import type { DescMessage, Message, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { BugError } from "../errors.ts";
import { type FieldSpec, fieldSpecsOf } from "./descriptors.ts";

/** Deepest nesting of messages; CRIU's own stay below 10 but for group trees and AppArmor namespaces. */
export const MAX_DEPTH = 100;

export const WIRE_VARINT = 0;
export const WIRE_FIXED64 = 1;
export const WIRE_BYTES = 2;
export const WIRE_FIXED32 = 5;

/** How the value of a field is written; from TYPE_BYTES on with a length before it. */
export const TYPE_UINT32 = 0;
export const TYPE_INT32 = 1;
export const TYPE_SINT32 = 2;
export const TYPE_UINT64 = 3;
export const TYPE_INT64 = 4;
export const TYPE_SINT64 = 5;
export const TYPE_BOOL = 6;
export const TYPE_FIXED32 = 7;
export const TYPE_FIXED64 = 8;
export const TYPE_BYTES = 9;
export const TYPE_STRING = 10;
export const TYPE_MESSAGE = 11;

const SCALAR_TYPES: Record<string, number> = {
	uint32: TYPE_UINT32,
	int32: TYPE_INT32,
	sint32: TYPE_SINT32,
	uint64: TYPE_UINT64,
	int64: TYPE_INT64,
	sint64: TYPE_SINT64,
	bool: TYPE_BOOL,
	fixed32: TYPE_FIXED32,
	fixed64: TYPE_FIXED64,
	bytes: TYPE_BYTES,
	string: TYPE_STRING,
};

export interface FieldPlan {
	/** `message.field`, for errors. */
	readonly name: string;
	readonly localName: string;
	readonly type: number;
	readonly wireType: number;
	/** Field number and wire type as they stand before a value. */
	readonly tag: number;
	readonly repeated: boolean;
	/** Bit of a required field in the set of those seen; 0 for others. */
	readonly bit: number;
	readonly message: DescMessage | undefined;
}

/** A message whose fields are reached by name. */
export type OpenMessage = Message & Record<string, unknown>;

export interface MessagePlan {
	/** Empty message: lists are empty, all else is absent. */
	readonly make: new () => OpenMessage;
	/** By field number: those of ours are beyond 4,000. */
	readonly fields: ReadonlyMap<number, FieldPlan>;
	/** By rising number. */
	readonly ordered: readonly FieldPlan[];
	/** Those that hold messages, or undefined when there are none. */
	readonly nested: readonly FieldPlan[] | undefined;
	/** All bits of required fields. */
	readonly required: number;
}

const plans = new WeakMap<DescMessage, MessagePlan>();

function wireTypeOf(type: number): number {
	if (type >= TYPE_BYTES) return WIRE_BYTES;
	if (type === TYPE_FIXED64) return WIRE_FIXED64;
	return type === TYPE_FIXED32 ? WIRE_FIXED32 : WIRE_VARINT;
}

function typeOf(spec: FieldSpec): number {
	if (spec.message !== undefined) return TYPE_MESSAGE;
	if (spec.enum !== undefined) return TYPE_INT32;
	const type = SCALAR_TYPES[spec.type];
	if (type === undefined) throw new BugError(`no codec for the type ${spec.type}`);
	return type;
}

function planField(desc: DescMessage, spec: FieldSpec, bit: number): FieldPlan {
	const type = typeOf(spec);
	const wireType = wireTypeOf(type);
	return {
		name: `${desc.typeName}.${spec.name}`,
		localName: spec.localName,
		type,
		wireType,
		tag: spec.number * 8 + wireType,
		repeated: spec.label === "*",
		bit,
		message: spec.message,
	};
}

/** What reading an absent field gives, when the table names no default. */
function zeroOf(type: number): unknown {
	if (type === TYPE_STRING) return "";
	if (type === TYPE_BYTES) return new Uint8Array(0);
	if (type === TYPE_BOOL) return false;
	return type === TYPE_UINT64 || type === TYPE_INT64 || type === TYPE_SINT64 || type === TYPE_FIXED64 ? 0n : 0;
}

/**
 * A constructor whose messages equal those of protobuf-es' `create`, the prototype with the defaults included; the
 * engine makes them several times faster than by Object.create.
 */
function planMake(
	typeName: string,
	ordered: readonly FieldPlan[],
	defaults: readonly (string | number | bigint | boolean | undefined)[],
): new () => OpenMessage {
	const lists: string[] = [];
	const prototype: Record<string, unknown> = {};
	for (let index = 0; index < ordered.length; index++) {
		const field = ordered[index] as FieldPlan;
		if (field.repeated) lists.push(field.localName);
		else if (field.type !== TYPE_MESSAGE) prototype[field.localName] = defaults[index] ?? zeroOf(field.type);
	}
	function make(this: OpenMessage): void {
		(this as { $typeName: string }).$typeName = typeName;
		for (let index = 0; index < lists.length; index++) (this as Record<string, unknown>)[lists[index] as string] = [];
	}
	make.prototype = prototype;
	return make as unknown as new () => OpenMessage;
}

/** The plan of a message. */
export function planOf(desc: DescMessage): MessagePlan {
	const known = plans.get(desc);
	if (known !== undefined) return known;
	const specs = [...fieldSpecsOf(desc)].sort((a, b) => a.number - b.number);
	const fields = new Map<number, FieldPlan>();
	const ordered: FieldPlan[] = [];
	let next = 1;
	for (const spec of specs) {
		// CRIU's decoder lets a required field be absent that has a default: of requests, images_dir_fd.
		const plan = planField(desc, spec, spec.label === "!" && spec.default === undefined ? next : 0);
		if (plan.bit !== 0) next *= 2;
		ordered.push(plan);
		fields.set(spec.number, plan);
	}
	if (next > 2 ** 31) throw new BugError(`too many required fields in ${desc.typeName}`);
	const nested = ordered.filter((field) => field.message !== undefined);
	const plan = {
		make: planMake(
			desc.typeName,
			ordered,
			specs.map((spec) => spec.default),
		),
		fields,
		ordered,
		nested: nested.length === 0 ? undefined : nested,
		required: next - 1,
	};
	plans.set(desc, plan);
	return plan;
}

function toMessage(desc: DescMessage, init: Record<string, unknown>): OpenMessage {
	if (init["$typeName"] !== undefined) return init as OpenMessage;
	const { make, nested } = planOf(desc);
	const message: Record<string, unknown> = new make();
	for (const name in init) {
		const value = init[name];
		if (value !== undefined) message[name] = value;
	}
	if (nested === undefined) return message as OpenMessage;
	for (const { localName, repeated, message: type } of nested) {
		const value = message[localName];
		if (value === undefined || type === undefined) continue;
		message[localName] = repeated
			? (value as Record<string, unknown>[]).map((item) => toMessage(type, item))
			: toMessage(type, value as Record<string, unknown>);
	}
	return message as OpenMessage;
}

/**
 * A new message with the given fields; undefined ones stay absent, messages inside may be given by their fields too. The
 * same as protobuf-es' `create`, which spends milliseconds on compiling itself for the first message of each type.
 */
export function create<Desc extends DescMessage>(schema: Desc, init?: MessageInitShape<Desc>): MessageShape<Desc> {
	return toMessage(schema, (init ?? {}) as Record<string, unknown>) as unknown as MessageShape<Desc>;
}
