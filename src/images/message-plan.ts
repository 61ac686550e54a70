// SPDX-License-Identifier: GPL-2.0-only
// What decoder and encoder need to know of a message, in the shape that they use it in; made when a message is first met.

import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { create, ScalarType } from "@bufbuild/protobuf";
import { BugError } from "../errors.ts";

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

// LEGACY_REQUIRED of google.protobuf.FeatureSet.FieldPresence; its enum would load descriptor.proto.
const LEGACY_REQUIRED = 3;

const SCALAR_TYPES: Partial<Record<ScalarType, number>> = {
	[ScalarType.UINT32]: TYPE_UINT32,
	[ScalarType.INT32]: TYPE_INT32,
	[ScalarType.SINT32]: TYPE_SINT32,
	[ScalarType.UINT64]: TYPE_UINT64,
	[ScalarType.INT64]: TYPE_INT64,
	[ScalarType.SINT64]: TYPE_SINT64,
	[ScalarType.BOOL]: TYPE_BOOL,
	[ScalarType.FIXED32]: TYPE_FIXED32,
	[ScalarType.FIXED64]: TYPE_FIXED64,
	[ScalarType.BYTES]: TYPE_BYTES,
	[ScalarType.STRING]: TYPE_STRING,
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
	/** By field number. */
	readonly fields: readonly (FieldPlan | undefined)[];
	/** By rising number. */
	readonly ordered: readonly FieldPlan[];
	/** All bits of required fields. */
	readonly required: number;
}

const plans = new WeakMap<DescMessage, MessagePlan>();

function wireTypeOf(type: number): number {
	if (type >= TYPE_BYTES) return WIRE_BYTES;
	if (type === TYPE_FIXED64) return WIRE_FIXED64;
	return type === TYPE_FIXED32 ? WIRE_FIXED32 : WIRE_VARINT;
}

function typeOf(field: DescField): number {
	if (field.message !== undefined) return TYPE_MESSAGE;
	if (field.enum !== undefined) return TYPE_INT32;
	const type = SCALAR_TYPES[field.scalar ?? ScalarType.DOUBLE];
	if (type === undefined) throw new BugError(`no codec for the type of ${field}`);
	return type;
}

function planField(field: DescField, bit: number): FieldPlan {
	const type = typeOf(field);
	const wireType = wireTypeOf(type);
	return {
		name: `${field.parent.typeName}.${field.name}`,
		localName: field.localName,
		type,
		wireType,
		tag: field.number * 8 + wireType,
		repeated: field.fieldKind === "list",
		bit,
		message: field.message,
	};
}

/**
 * A constructor whose messages equal those of protobuf-es' `create`, the prototype with the defaults included; the
 * engine makes them several times faster than by Object.create.
 */
function planMake(desc: DescMessage, ordered: readonly FieldPlan[]): new () => OpenMessage {
	const lists = ordered.filter((field) => field.repeated).map((field) => field.localName);
	const typeName = desc.typeName;
	function make(this: OpenMessage): void {
		(this as { $typeName: string }).$typeName = typeName;
		for (let index = 0; index < lists.length; index++) (this as Record<string, unknown>)[lists[index] as string] = [];
	}
	make.prototype = Object.getPrototypeOf(create(desc));
	return make as unknown as new () => OpenMessage;
}

/** The plan of a message. */
export function planOf(desc: DescMessage): MessagePlan {
	const known = plans.get(desc);
	if (known !== undefined) return known;
	const fields: (FieldPlan | undefined)[] = [];
	let next = 1;
	for (const field of desc.fields) {
		const bit = field.presence === LEGACY_REQUIRED ? next : 0;
		if (bit !== 0) next *= 2;
		fields[field.number] = planField(field, bit);
	}
	if (next > 2 ** 31) throw new BugError(`too many required fields in ${desc.typeName}`);
	const ordered = fields.filter((field) => field !== undefined);
	const plan = { make: planMake(desc, ordered), fields, ordered, required: next - 1 };
	plans.set(desc, plan);
	return plan;
}
