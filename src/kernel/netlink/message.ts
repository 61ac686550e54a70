// SPDX-License-Identifier: GPL-2.0-only
// Netlink messages and their attributes, from bytes. Lengths and counts are checked: whatever comes, the answer is a value or
// a CriuError of code NETLINK_PARSE. Source: netlink(7), linux/netlink.h.

import { CriuError } from "../../errors.ts";
import { NLA_F_NESTED, NLA_F_NET_BYTEORDER, Nlattr, Nlmsghdr } from "../abi/netlink.ts";
import { viewOf } from "../abi/struct.ts";

const ALIGN = 4;

function align(length: number): number {
	return (length + ALIGN - 1) & ~(ALIGN - 1);
}

/** The error for an answer that isn't what the kernel is known to send. */
export function netlinkParseError(detail: string): CriuError {
	return new CriuError("NETLINK_PARSE", `cannot read the kernel's answer about sockets: ${detail}`, {
		remedy: "this kernel answers differently than expected: please report it with the kernel version",
	});
}

/** One message; the payload is a part of the bytes it was read from. */
export interface NetlinkMessage {
	readonly type: number;
	readonly flags: number;
	readonly seq: number;
	readonly payload: Uint8Array;
}

/** All messages of a datagram. @throws CriuError NETLINK_PARSE */
export function parseMessages(bytes: Uint8Array): NetlinkMessage[] {
	const view = viewOf(bytes);
	const messages: NetlinkMessage[] = [];
	for (let at = 0; at < bytes.length; ) {
		const left = bytes.length - at;
		const length = left < Nlmsghdr.size ? 0 : view.getUint32(at, true);
		if (length < Nlmsghdr.size || length > left)
			throw netlinkParseError(`a message of ${length} bytes where ${left} are left`);
		messages.push({
			type: view.getUint16(at + Nlmsghdr.offsets.nlmsg_type, true),
			flags: view.getUint16(at + Nlmsghdr.offsets.nlmsg_flags, true),
			seq: view.getUint32(at + Nlmsghdr.offsets.nlmsg_seq, true),
			payload: bytes.subarray(at + Nlmsghdr.size, at + length),
		});
		at += align(length);
	}
	return messages;
}

/** A message as bytes, padded; its sender is filled in by the kernel. */
export function encodeMessage(type: number, flags: number, seq: number, payload: Uint8Array): Uint8Array {
	const bytes = new Uint8Array(align(Nlmsghdr.size + payload.length));
	Nlmsghdr.write(viewOf(bytes), 0, {
		nlmsg_len: Nlmsghdr.size + payload.length,
		nlmsg_type: type,
		nlmsg_flags: flags,
		nlmsg_seq: seq,
	});
	bytes.set(payload, Nlmsghdr.size);
	return bytes;
}

/** Attributes of a message, by type. */
export class Attributes {
	private readonly values = new Map<number, Uint8Array>();

	/** Reads all attributes from `at` on; of several of one type the last counts. @throws CriuError NETLINK_PARSE */
	constructor(bytes: Uint8Array, at = 0) {
		const view = viewOf(bytes);
		while (at < bytes.length) {
			const left = bytes.length - at;
			const length = left < Nlattr.size ? 0 : view.getUint16(at, true);
			if (length < Nlattr.size || length > left)
				throw netlinkParseError(`an attribute of ${length} bytes where ${left} are left`);
			const type = view.getUint16(at + Nlattr.offsets.nla_type, true) & ~(NLA_F_NESTED | NLA_F_NET_BYTEORDER);
			this.values.set(type, bytes.subarray(at + Nlattr.size, at + length));
			at += align(length);
		}
	}

	/** The bytes of an attribute, a part of the message. */
	find(type: number): Uint8Array | undefined {
		return this.values.get(type);
	}

	/** An attribute that is at least `size` bytes long. @throws CriuError NETLINK_PARSE */
	view(type: number, size: number): DataView | undefined {
		const value = this.values.get(type);
		if (value === undefined) return undefined;
		if (value.length < size)
			throw netlinkParseError(`attribute ${type} has ${value.length} bytes, not the ${size} expected`);
		return viewOf(value);
	}

	/** @throws CriuError NETLINK_PARSE */
	u8(type: number): number | undefined {
		return this.view(type, 1)?.getUint8(0);
	}

	/** @throws CriuError NETLINK_PARSE */
	u32(type: number): number | undefined {
		return this.view(type, 4)?.getUint32(0, true);
	}

	/** An array of 32-bit numbers; bytes beyond the last whole one don't count. */
	u32List(type: number): number[] | undefined {
		const value = this.values.get(type);
		if (value === undefined) return undefined;
		const view = viewOf(value);
		const list: number[] = [];
		for (let at = 0; at + 4 <= value.length; at += 4) list.push(view.getUint32(at, true));
		return list;
	}
}

/** A view of a message's fixed part. @throws CriuError NETLINK_PARSE when it's shorter than that */
export function fixedPart(payload: Uint8Array, size: number): DataView {
	if (payload.length < size) throw netlinkParseError(`a message of ${payload.length} bytes, not the ${size} expected`);
	return viewOf(payload);
}
