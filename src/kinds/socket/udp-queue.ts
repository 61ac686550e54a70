// SPDX-License-Identifier: GPL-2.0-only
// Datagrams that wait in UDP sockets, with their senders, and the addresses that they were sent to where the program asks for
// them. Nothing is taken. What else comes beside them (TTL, time stamps) is of the restore afterwards; empty datagrams behind
// the first don't show. Images: sk-queues.img (sk_packet_entry). Source: udp(7), ip(7) IP_PKTINFO, net/ipv4/udp.c.

import { sk_packet_entrySchema } from "../../images/gen/socket_pb.ts";
import { create } from "../../images/index.ts";
import * as inet from "../../kernel/abi/inet.ts";
import * as so from "../../kernel/abi/socket.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { getIntOption } from "../../sys/socket.ts";
import type { DumpContext, FdFacts } from "../kind.ts";
import type { InetFacts } from "./inet-facts.ts";
import { LooksGuard } from "./looks-guard.ts";
import { controlMessages, keepingPeekOffset, type Peeked, peekOnce, setPeekOffset } from "./peek.ts";
import { queueWriter } from "./sk-queue.ts";

/** Where struct in_pktinfo has the address of the packet's header. */
const PKTINFO_ADDR = 8;

/** True for sockets whose queues can be seen. */
export function showsQueue({ type, protocol }: Pick<InetFacts, "type" | "protocol">): boolean {
	return type === so.SOCK_DGRAM && (protocol === inet.IPPROTO_UDP || protocol === inet.IPPROTO_UDPLITE);
}

/** What control messages tell of a datagram. */
export function readBeside(control: Uint8Array): { target: Uint8Array | undefined; segment: number } {
	let target: Uint8Array | undefined;
	let segment = 0;
	for (const { level, type, data } of controlMessages(control)) {
		if (level === so.SOL_IP && type === inet.IP_PKTINFO) target = data.slice(PKTINFO_ADDR, PKTINFO_ADDR + 4);
		else if (level === so.SOL_IPV6 && type === inet.IPV6_PKTINFO) target = data.slice(0, 16);
		else if (level === so.SOL_UDP && type === inet.UDP_GRO && data.length >= 4)
			segment = viewOf(data).getInt32(0, true);
	}
	return { target: target?.length === 4 || target?.length === 16 ? target : undefined, segment };
}

/** The datagrams of one look: the kernel hands over several of one sender as one to who allows that (UDP_GRO). */
function* splitSegments(data: Uint8Array, segment: number): Generator<Uint8Array> {
	if (segment <= 0 || data.length <= segment) yield data;
	else for (let at = 0; at < data.length; at += segment) yield data.subarray(at, at + segment);
}

/** Writes what waits in a UDP socket. @throws KernelError, ImageError */
export function dumpUdpQueue({ ownFd }: FdFacts, id: number, context: DumpContext): void {
	const before = getIntOption(ownFd, so.SOL_SOCKET, so.SO_PEEK_OFF);
	const write = ({ seen, address, control }: Peeked) => {
		const { target, segment } = readBeside(control);
		for (const data of splitSegments(seen, segment)) {
			const entry = create(sk_packet_entrySchema, { idFor: id, length: data.length, sender: address });
			if (target !== undefined) entry.target = target;
			const writer = queueWriter(context);
			writer.write(entry);
			writer.writePayload(data);
		}
	};
	keepingPeekOffset(ownFd, before, LooksGuard.of(context), () => {
		if (before !== -1) setPeekOffset(ownFd, -1);
		let at = 0;
		for (;;) {
			const peeked = peekOnce(ownFd, { whole: true, withFiles: true });
			if (peeked === undefined) return;
			write(peeked);
			at += peeked.length;
			setPeekOffset(ownFd, at);
		}
	});
}
