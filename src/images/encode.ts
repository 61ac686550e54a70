// SPDX-License-Identifier: GPL-2.0-only
// Encoder of proto2 messages, and the question whether an optional field is there. Fields go out in the order of their
// numbers and repeated ones unpacked, as protobuf-c writes them, so that images are equal to CRIU's byte for byte.

import type { DescMessage, Message } from "@bufbuild/protobuf";
import { toBinary } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { BugError } from "../errors.ts";

/**
 * Bytes of one message.
 * @throws BugError when a required field is not set or a number is out of the range of its type.
 */
export function encodeMessage<T extends Message>(schema: GenMessage<T>, message: T): Uint8Array {
	try {
		return toBinary(schema as unknown as DescMessage, message);
	} catch (error) {
		throw new BugError(`cannot encode ${schema.typeName}`, { cause: error });
	}
}

/** Whether a field is set: reading one that is absent gives its default, so values alone do not tell. */
export function hasField<T extends Message>(message: T, field: Exclude<keyof T, "$typeName" | "$unknown">): boolean {
	return Object.hasOwn(message, field) && message[field] !== undefined;
}
