// SPDX-License-Identifier: GPL-2.0-only
// Tables of sockets for which there may be no sock_diag: /proc/net/raw, raw6, icmp, icmp6. And the groups that devices are
// members of: /proc/net/igmp, igmp6. Source: proc_net(5), net/ipv4/raw.c, net/ipv4/igmp.c, net/ipv6/mcast.c.

import { asciiText, forEachLine, type ProcCursor } from "./parse.ts";
import { findProcFile, PROC_ROOT } from "./reader.ts";

/** A socket in such a table; addresses in network byte order. */
export interface NetSocket {
	readonly ino: bigint;
	/** TCP_*. */
	readonly state: number;
	readonly local: Uint8Array;
	readonly localPort: number;
	readonly remote: Uint8Array;
	readonly remotePort: number;
}

/** An address is printed as words of the machine, each eight digits. */
function address(line: ProcCursor): Uint8Array {
	const words: number[] = [];
	while (line.peek() !== 0x3a) {
		if (words.length === 4) line.fail("an address is too long");
		const digits = asciiText(line.bytes.subarray(line.pos, Math.min(line.pos + 8, line.end)));
		if (!/^[0-9A-F]{8}$/.test(digits)) line.fail("an address is broken");
		words.push(Number.parseInt(digits, 16));
		line.pos += 8;
	}
	if (words.length !== 1 && words.length !== 4) line.fail("an address is of no family");
	return new Uint8Array(Uint32Array.from(words).buffer);
}

function upperHex(line: ProcCursor): number {
	const text = asciiText(line.word());
	if (!/^[0-9A-Fa-f]{1,8}$/.test(text)) line.fail("a hexadecimal number is missing");
	return Number.parseInt(text, 16);
}

/** Parses one of the tables of sockets. @throws CriuError PROC_PARSE */
export function parseNetSockets(bytes: Uint8Array, file = "net/raw"): NetSocket[] {
	const sockets: NetSocket[] = [];
	let isHead = true;
	forEachLine(bytes, file, (line) => {
		if (isHead || line.atEnd()) {
			isHead = false;
			return;
		}
		line.skipBlanks();
		line.word();
		line.skipBlanks();
		const local = address(line);
		line.expect(":");
		const localPort = upperHex(line);
		line.skipBlanks();
		const remote = address(line);
		line.expect(":");
		const remotePort = upperHex(line);
		line.skipBlanks();
		const state = upperHex(line);
		// Queues, timer, retransmits.
		for (let i = 0; i < 3; i++) {
			line.skipBlanks();
			line.word();
		}
		line.skipBlanks();
		line.decimal();
		line.skipBlanks();
		line.decimal();
		line.skipBlanks();
		sockets.push({ ino: line.decimalBig(), state, local, localPort, remote, remotePort });
	});
	return sockets;
}

/** A multicast group of a device. */
export interface DeviceGroup {
	/** Number of the device. */
	readonly device: number;
	/** 4 or 16 bytes. */
	readonly group: Uint8Array;
}

/** Parses /proc/net/igmp. @throws CriuError PROC_PARSE */
export function parseIgmp(bytes: Uint8Array, file = "net/igmp"): DeviceGroup[] {
	const groups: DeviceGroup[] = [];
	let device: number | undefined;
	let isHead = true;
	forEachLine(bytes, file, (line) => {
		if (isHead || line.atEnd()) {
			isHead = false;
			return;
		}
		if (line.peek() !== 0x09) {
			device = line.decimal();
			return;
		}
		line.skipBlanks();
		if (device === undefined) return line.fail("a group without a device");
		groups.push({ device, group: new Uint8Array(Uint32Array.of(upperHex(line)).buffer) });
	});
	return groups;
}

/** Parses /proc/net/igmp6. @throws CriuError PROC_PARSE */
export function parseIgmp6(bytes: Uint8Array, file = "net/igmp6"): DeviceGroup[] {
	const groups: DeviceGroup[] = [];
	forEachLine(bytes, file, (line) => {
		if (line.atEnd()) return;
		const device = line.decimal();
		line.skipBlanks();
		line.word();
		line.skipBlanks();
		const digits = asciiText(line.word());
		if (!/^[0-9a-f]{32}$/.test(digits)) line.fail("a group is broken");
		groups.push({
			device,
			group: Uint8Array.from({ length: 16 }, (_, i) => Number.parseInt(digits.substr(i * 2, 2), 16)),
		});
	});
	return groups;
}

function readTable<T>(name: string, parse: (bytes: Uint8Array, file: string) => T[]): T[] {
	const path = `${PROC_ROOT}/net/${name}`;
	const bytes = findProcFile(path);
	return bytes === undefined ? [] : parse(bytes, path);
}

/** A table of sockets of this network namespace; empty where the kernel has none. @throws KernelError, CriuError PROC_PARSE */
export function readNetSockets(name: "raw" | "raw6" | "icmp" | "icmp6"): NetSocket[] {
	return readTable(name, parseNetSockets);
}

/** All multicast groups of the devices of this network namespace. @throws KernelError, CriuError PROC_PARSE */
export function readDeviceGroups(version: 4 | 6): DeviceGroup[] {
	return version === 4 ? readTable("igmp", parseIgmp) : readTable("igmp6", parseIgmp6);
}
