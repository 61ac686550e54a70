// SPDX-License-Identifier: GPL-2.0-only
// Netlink messages: what's sound is read, and whatever bytes come, the answer is a value or a CriuError NETLINK_PARSE.

import { describe, expect, test } from "bun:test";
import { CriuError } from "../../../src/errors.ts";
import { UnixDiagMsg } from "../../../src/kernel/abi/sock-diag.ts";
import { parseInetDiag } from "../../../src/kernel/netlink/inet-diag.ts";
import { Attributes, encodeMessage, parseMessages } from "../../../src/kernel/netlink/message.ts";
import { parseNetlinkDiag } from "../../../src/kernel/netlink/netlink-diag.ts";
import { parsePacketDiag } from "../../../src/kernel/netlink/packet-diag.ts";
import { parseUnixDiag } from "../../../src/kernel/netlink/unix-diag.ts";

/** An attribute, padded. */
function attribute(type: number, ...value: number[]): number[] {
	const length = 4 + value.length;
	return [length & 255, length >> 8, type & 255, type >> 8, ...value, ...new Array((4 - (length % 4)) % 4).fill(0)];
}

function codeOf(work: () => unknown): string {
	try {
		work();
		return "";
	} catch (error) {
		return error instanceof CriuError ? error.code : String(error);
	}
}

describe("parseMessages", () => {
	test("reads what encodeMessage wrote, several in one datagram", () => {
		const one = encodeMessage(20, 3, 7, Uint8Array.of(1, 2, 3));
		expect(one.length).toBe(20);
		const read = parseMessages(Uint8Array.of(...one, ...one));
		expect(read.length).toBe(2);
		expect(read[1]).toEqual({ type: 20, flags: 3, seq: 7, payload: Uint8Array.of(1, 2, 3) });
	});

	test.each([
		["a head cut short", 10, 0],
		["a length below the head's", 16, 15],
		["a length beyond the end", 16, 17],
		["a huge length", 16, 0xffffffff],
	])("refuses %s", (_, size, length) => {
		const bytes = new Uint8Array(size);
		new DataView(bytes.buffer).setUint32(0, length, true);
		expect(codeOf(() => parseMessages(bytes))).toBe("NETLINK_PARSE");
	});
});

describe("Attributes", () => {
	test("finds numbers, bytes and lists; flags of the type don't count", () => {
		const attributes = new Attributes(
			Uint8Array.of(...attribute(1, 5), ...attribute(0x8002, 1, 0, 0, 0, 2, 0, 0, 0, 9)),
		);
		expect(attributes.u8(1)).toBe(5);
		expect(attributes.u32List(2)).toEqual([1, 2]);
		expect(attributes.find(3)).toBeUndefined();
		expect(codeOf(() => attributes.u32(1))).toBe("NETLINK_PARSE");
	});

	test.each([[[3, 0, 0, 0]], [[0, 0, 0, 0]], [[5, 0, 0, 0]], [[4, 0, 0]]])("refuses the lengths of %p", (bytes) => {
		expect(codeOf(() => new Attributes(Uint8Array.from(bytes)))).toBe("NETLINK_PARSE");
	});
});

describe("answers of sock_diag", () => {
	test("a unix socket's name, peer and queues", () => {
		const head = UnixDiagMsg.encode({ udiag_family: 1, udiag_type: 2, udiag_state: 7, udiag_ino: 42 });
		const payload = Uint8Array.of(
			...head,
			...attribute(0, 0, 97, 98),
			...attribute(2, 43, 0, 0, 0),
			...attribute(4, 1, 0, 0, 0, 2, 0, 0, 0),
			...attribute(6, 3),
		);
		const { ino, name, peer, rqueue, wqueue, shutdown, vfs } = parseUnixDiag(payload);
		expect({ ino, peer, rqueue, wqueue, shutdown, vfs }).toEqual({
			ino: 42,
			peer: 43,
			rqueue: 1,
			wqueue: 2,
			shutdown: 3,
			vfs: undefined,
		});
		expect(name).toEqual(Uint8Array.of(0, 97, 98));
	});

	test.each([parseUnixDiag, parseInetDiag, parseNetlinkDiag, parsePacketDiag])("survive any bytes: %p", (parse) => {
		let state = 12345;
		const next = () => {
			state = (Math.imul(state, 1103515245) + 12345) >>> 0;
			return state >>> 16;
		};
		for (let i = 0; i < 2000; i++) {
			const bytes = Uint8Array.from({ length: next() % 200 }, () => (next() % 3 === 0 ? next() : next() % 9));
			expect(["", "NETLINK_PARSE"]).toContain(codeOf(() => parse(bytes)));
		}
	});
});
