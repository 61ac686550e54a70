// SPDX-License-Identifier: GPL-2.0-only
// Sockets in words: family, type, state, both ends.

import type { file_entry } from "../images/gen/fdinfo_pb.ts";
import type { inet_sk_entry, unix_sk_entry } from "../images/gen/socket_pb.ts";
import { AF_INET6 } from "../kernel/abi/socket.ts";
import { addressText, textOfName } from "./text-forms.ts";
import { wordFor } from "./value-names.ts";

export interface SocketText {
	/** `unix`, `tcp`, `udp6`, `netlink`, … */
	family: string;
	type: string;
	state: string;
	/** Name or address with port; empty for none. */
	local: string;
	remote: string;
}

const TCP_LISTEN = 10;
const PROTOCOLS: Readonly<Record<number, string>> = {
	1: "icmp",
	6: "tcp",
	17: "udp",
	58: "icmp6",
	136: "udplite",
	255: "raw",
};

function word(field: string, value: number): string {
	return wordFor("sk", field, value) ?? String(value);
}

function endpoint(family: number, words: readonly number[], port: number): string {
	const address = addressText(words);
	if (address === undefined) return "";
	return family === AF_INET6 ? `[${address}]:${port}` : `${address}:${port}`;
}

/** A unix name: abstract ones begin with `@`, the NUL that ends a path is left out. */
export function unixName(name: Uint8Array): string {
	if (name.length === 0) return "";
	if (name[0] === 0) return `@${textOfName(name.subarray(1)).replaceAll("\0", "@")}`;
	const end = name.indexOf(0);
	return textOfName(end < 0 ? name : name.subarray(0, end));
}

function inet(socket: inet_sk_entry): SocketText {
	const { family, proto, type, state } = socket;
	const hasPeer = state !== TCP_LISTEN && (socket.dstPort !== 0 || socket.dstAddr.some((word) => word !== 0));
	const protocol = PROTOCOLS[proto] ?? `protocol ${proto}`;
	return {
		family: family === AF_INET6 && !protocol.endsWith("6") ? `${protocol}6` : protocol,
		type: word("type", type),
		state: word("state", state),
		local: endpoint(family, socket.srcAddr, socket.srcPort),
		remote: hasPeer ? endpoint(family, socket.dstAddr, socket.dstPort) : "",
	};
}

function unix(socket: unix_sk_entry): SocketText {
	return {
		family: "unix",
		type: word("type", socket.type),
		state: word("state", socket.state),
		local: unixName(socket.name),
		remote: socket.peer === 0 ? "" : `socket ${socket.peer}`,
	};
}

/** The socket in words; undefined for another kind of file. */
export function describeSocket(file: file_entry): SocketText | undefined {
	if (file.isk !== undefined) return inet(file.isk);
	if (file.usk !== undefined) return unix(file.usk);
	if (file.nlsk !== undefined) {
		const { protocol, portid, state } = file.nlsk;
		return {
			family: "netlink",
			type: `protocol ${protocol}`,
			state: word("state", state),
			local: `port ${portid}`,
			remote: "",
		};
	}
	if (file.psk === undefined) return undefined;
	const { type, protocol, ifindex } = file.psk;
	const where = ifindex === 0 ? "all interfaces" : `interface ${ifindex}`;
	return {
		family: "packet",
		type: word("type", type),
		state: `protocol 0x${protocol.toString(16)}`,
		local: where,
		remote: "",
	};
}
