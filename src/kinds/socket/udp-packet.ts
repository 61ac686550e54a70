// SPDX-License-Identifier: GPL-2.0-only
// Datagrams as they go over the wire: header of IP, header of UDP or UDP-Lite, data. Source: RFC 791, 8200, 768, 3828, 1071.

import { IPPROTO_UDPLITE } from "../../kernel/abi/inet.ts";
import { viewOf } from "../../kernel/abi/struct.ts";

const IP4_HEADER = 20;
const IP6_HEADER = 40;
const UDP_HEADER = 8;
const TTL = 64;

/** One end of a datagram; both of one family. */
export interface End {
	/** 4 or 16 bytes, in network byte order. */
	readonly host: Uint8Array;
	readonly port: number;
}

/** The sum of 16-bit words in network byte order, ones' complement. */
function sumWords(bytes: Uint8Array, start: number): number {
	let sum = start;
	for (let i = 0; i + 1 < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
	if ((bytes.length & 1) !== 0) sum += (bytes[bytes.length - 1] ?? 0) << 8;
	while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
	return sum;
}

/** A packet that brings `data` from one end to the other. The kernel fills in the checksum of an IPv4 header. */
export function encodeDatagram(protocol: number, from: End, to: End, data: Uint8Array): Uint8Array {
	const is4 = from.host.length === 4;
	const header = is4 ? IP4_HEADER : IP6_HEADER;
	const length = UDP_HEADER + data.length;
	const packet = new Uint8Array(header + length);
	const view = viewOf(packet);
	if (is4) {
		view.setUint8(0, 0x45);
		view.setUint16(2, packet.length);
		view.setUint8(8, TTL);
		view.setUint8(9, protocol);
		packet.set(from.host, 12);
		packet.set(to.host, 16);
	} else {
		view.setUint32(0, 0x60000000);
		view.setUint16(4, length);
		view.setUint8(6, protocol);
		view.setUint8(7, TTL);
		packet.set(from.host, 8);
		packet.set(to.host, 24);
	}
	view.setUint16(header, from.port);
	view.setUint16(header + 2, to.port);
	// UDP-Lite has here how much the checksum covers: 0 is all.
	view.setUint16(header + 4, protocol === IPPROTO_UDPLITE ? 0 : length);
	packet.set(data, header + UDP_HEADER);
	const hosts = sumWords(to.host, sumWords(from.host, protocol + length));
	const checksum = ~sumWords(packet.subarray(header), hosts) & 0xffff;
	view.setUint16(header + 6, checksum === 0 ? 0xffff : checksum);
	return packet;
}
