// SPDX-License-Identifier: GPL-2.0-only
// Addresses of internet sockets: as the kernel takes and gives them (struct sockaddr_in, sockaddr_in6), as images hold them
// (words in memory order), and for messages. Source: ip(7), ipv6(7).

import { SockaddrIn, SockaddrIn6 } from "../../kernel/abi/inet.ts";
import { AF_INET, AF_INET6 } from "../../kernel/abi/socket.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { corruptImage } from "../file/image-checks.ts";

/** Where an internet socket is. */
export interface InetAddress {
	/** 4 or 16 bytes, in network byte order. */
	readonly host: Uint8Array;
	readonly port: number;
	/** Number of the device of a link-local IPv6 address. */
	readonly scope: number;
}

/** Bytes of an address of a family. */
export function hostLength(family: number): number {
	return family === AF_INET ? 4 : 16;
}

/** Reads a struct sockaddr of one of the two families; undefined for any other. */
export function parseSockaddr(bytes: Uint8Array): InetAddress | undefined {
	if (bytes.length < 2) return undefined;
	const view = viewOf(bytes);
	const family = view.getUint16(0, true);
	if (family === AF_INET && bytes.length >= SockaddrIn.size)
		return { host: bytes.slice(4, 8), port: view.getUint16(2), scope: 0 };
	if (family === AF_INET6 && bytes.length >= SockaddrIn6.size)
		return { host: bytes.slice(8, 24), port: view.getUint16(2), scope: view.getUint32(24, true) };
	return undefined;
}

/** A struct sockaddr of the family that the address's length tells. */
export function encodeSockaddr({ host, port, scope }: InetAddress): Uint8Array {
	const inPort = Uint8Array.of(port >> 8, port & 0xff);
	return host.length === 4
		? SockaddrIn.encode({ sin_family: AF_INET, sin_port: inPort, sin_addr: host })
		: SockaddrIn6.encode({ sin6_family: AF_INET6, sin6_port: inPort, sin6_addr: host, sin6_scope_id: scope });
}

/** An address as images hold it. */
export function toWords(host: Uint8Array): number[] {
	const view = viewOf(host);
	return Array.from({ length: host.length >> 2 }, (_, i) => view.getUint32(i * 4, true));
}

/** An address of an image. @throws ImageError when it isn't one of the family */
export function fromWords(id: number, field: string, words: readonly number[], family: number): Uint8Array {
	if (words.length * 4 !== hostLength(family))
		throw corruptImage("files.img", `${field} of socket ${id} has ${words.length} words`);
	return new Uint8Array(Uint32Array.from(words).buffer);
}

/** True for 0.0.0.0 and ::. */
export function isAny(host: Uint8Array): boolean {
	return host.every((byte) => byte === 0);
}

/** True for IPv6 addresses that mean something only together with a device: link-local ones, multicast ones too. */
export function needsScope(host: Uint8Array): boolean {
	if (host.length !== 16) return false;
	const [first = 0, second = 0] = host;
	if (first === 0xfe) return (second & 0xc0) === 0x80;
	return first === 0xff && ((second & 0x0f) === 1 || (second & 0x0f) === 2);
}

/** The words of an IPv6 address with the longest run of zeros left out. Source: RFC 5952. */
function showHost6(host: Uint8Array): string {
	const view = viewOf(host);
	const words = Array.from({ length: 8 }, (_, i) => view.getUint16(i * 2));
	if (words.slice(0, 5).every((word) => word === 0) && words[5] === 0xffff)
		return `::ffff:${host.subarray(12).join(".")}`;
	let [best, length] = [0, 1];
	for (let start = 0; start < words.length; start++) {
		let end = start;
		while (words[end] === 0) end++;
		if (end - start > length) [best, length] = [start, end - start];
	}
	const show = (list: readonly number[]) => list.map((word) => word.toString(16)).join(":");
	return length === 1 ? show(words) : `${show(words.slice(0, best))}::${show(words.slice(best + length))}`;
}

/** A host for messages. */
export function showHost(host: Uint8Array): string {
	return host.length === 4 ? host.join(".") : showHost6(host);
}

/** An address for messages: 127.0.0.1:80, [::1]:80. */
export function showAddress({ host, port }: Pick<InetAddress, "host" | "port">): string {
	return host.length === 4 ? `${showHost(host)}:${port}` : `[${showHost(host)}]:${port}`;
}
