// SPDX-License-Identifier: GPL-2.0-only

import { describe, expect, test } from "bun:test";
import type { inet_sk_entry } from "../../../src/images/gen/socket_pb.ts";
import { IPPROTO_UDP, IPPROTO_UDPLITE } from "../../../src/kernel/abi/inet.ts";
import { AF_INET, AF_INET6 } from "../../../src/kernel/abi/socket.ts";
import { encodeSockaddr } from "../../../src/kinds/socket/inet-address.ts";
import { encodeDatagram } from "../../../src/kinds/socket/udp-packet.ts";
import { readBeside } from "../../../src/kinds/socket/udp-queue.ts";
import { checkDatagrams } from "../../../src/kinds/socket/udp-refill.ts";
import { bytesOf } from "../file/fixtures.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const from4 = { host: Uint8Array.of(8, 8, 8, 8), port: 53 };
const to4 = { host: Uint8Array.of(127, 0, 0, 1), port: 4242 };
const from6 = { host: Uint8Array.from([0x20, 1, 0xd, 0xb8, ...new Uint8Array(11), 5]), port: 53 };
const to6 = { host: Uint8Array.from([...new Uint8Array(15), 1]), port: 4242 };

describe("encodeDatagram", () => {
	// The checksum was computed elsewhere; the kernel takes no packet with a wrong one.
	test("makes IPv4 headers", () => {
		expect(hex(encodeDatagram(IPPROTO_UDP, from4, to4, bytesOf("hello")))).toBe(
			"450000210000000040110000080808087f00000100351092000d1c2a68656c6c6f",
		);
	});

	test("makes IPv6 headers", () => {
		const packet = encodeDatagram(IPPROTO_UDP, from6, to6, bytesOf("hello!"));
		expect(hex(packet.subarray(0, 8))).toBe("60000000000e1140");
		expect(hex(packet.subarray(40, 46))).toBe("00351092000e");
		expect(packet.length).toBe(54);
	});

	test("lets the checksum of UDP-Lite cover all", () => {
		expect(hex(encodeDatagram(IPPROTO_UDPLITE, from4, to4, new Uint8Array()).subarray(24, 26))).toBe("0000");
	});
});

describe("control messages of a datagram", () => {
	const part = (level: number, type: number, data: number[]) => {
		const bytes = new Uint8Array((16 + data.length + 7) & ~7);
		new DataView(bytes.buffer).setBigUint64(0, BigInt(16 + data.length), true);
		new DataView(bytes.buffer).setInt32(8, level, true);
		new DataView(bytes.buffer).setInt32(12, type, true);
		bytes.set(data, 16);
		return bytes;
	};

	test("tell the target and the length of joined ones", () => {
		const info = part(0, 8, [1, 0, 0, 0, 9, 9, 9, 9, 10, 1, 2, 3]);
		const gro = part(17, 104, [0xd0, 7, 0, 0]);
		expect(readBeside(Buffer.concat([info, gro]))).toEqual({ target: Uint8Array.of(10, 1, 2, 3), segment: 2000 });
	});

	test("may be missing or too short", () => {
		expect(readBeside(new Uint8Array())).toEqual({ target: undefined, segment: 0 });
		expect(readBeside(part(0, 8, [1, 2]))).toEqual({ target: undefined, segment: 0 });
	});
});

describe("a UDP queue's image", () => {
	const entry = (family: number) => ({ id: 7, family }) as inet_sk_entry;
	const plain = { offset: 0, length: 5, rights: [], sender: undefined, target: undefined };
	const name = encodeSockaddr({ ...from4, scope: 0 });

	test("gives senders and targets", () => {
		const [one] = checkDatagrams(entry(AF_INET), [{ ...plain, name, target: to4.host }]);
		expect(one).toMatchObject({ from: from4, to: to4.host });
	});

	test.each([
		["a sender of another family", { ...plain, name }, AF_INET6],
		["no sender", { ...plain, name: undefined }, AF_INET],
		["a sender that is cut", { ...plain, name: name.subarray(0, 9) }, AF_INET],
		["a target of no family", { ...plain, name, target: Uint8Array.of(1) }, AF_INET],
		["a datagram that is too long", { ...plain, name, length: 65536 }, AF_INET],
		["files", { ...plain, name, rights: [3] }, AF_INET],
	] as const)("with %s is corrupt", (_what, message, family) => {
		expect(() => checkDatagrams(entry(family), [message])).toThrow(/sk-queues/);
	});
});
