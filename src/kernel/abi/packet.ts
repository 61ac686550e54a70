// SPDX-License-Identifier: GPL-2.0-only
// Packet sockets: options of SOL_PACKET and addresses. Source: linux/if_packet.h, packet(7).

import { defineStruct, type StructValue } from "./struct.ts";

export const PACKET_ADD_MEMBERSHIP = 1;
export const PACKET_DROP_MEMBERSHIP = 2;
export const PACKET_RX_RING = 5;
export const PACKET_COPY_THRESH = 7;
export const PACKET_AUXDATA = 8;
export const PACKET_ORIGDEV = 9;
export const PACKET_VERSION = 10;
export const PACKET_RESERVE = 12;
export const PACKET_TX_RING = 13;
export const PACKET_LOSS = 14;
export const PACKET_VNET_HDR = 15;
export const PACKET_TIMESTAMP = 17;
export const PACKET_FANOUT = 18;
export const PACKET_TX_HAS_OFF = 19;
export const PACKET_QDISC_BYPASS = 20;
export const PACKET_IGNORE_OUTGOING = 23;
export const PACKET_VNET_HDR_SZ = 24;

/** Address of a packet socket; the protocol in network byte order. */
export const SockaddrLl = defineStruct("sockaddr_ll", 20, {
	sll_family: ["u16", 0],
	sll_protocol: ["bytes", 2, 2],
	sll_ifindex: ["i32", 4],
	sll_hatype: ["u16", 8],
	sll_pkttype: ["u8", 10],
	sll_halen: ["u8", 11],
	sll_addr: ["bytes", 12, 8],
});
export type SockaddrLl = StructValue<typeof SockaddrLl>;

/** A membership of a device; addresses may be longer than the struct. */
export const PacketMreq = defineStruct("packet_mreq", 16, {
	mr_ifindex: ["i32", 0],
	mr_type: ["u16", 4],
	mr_alen: ["u16", 6],
	mr_address: ["bytes", 8, 8],
});
export type PacketMreq = StructValue<typeof PacketMreq>;

export const TPACKET_V3 = 2;

/** What's at the beginning of a block of a ring of version 3: struct tpacket_block_desc with its first, and only, header. */
export const TpacketBlock = defineStruct("tpacket_block_desc", 48, {
	block_status: ["u32", 8],
	num_pkts: ["u32", 12],
});
export type TpacketBlock = StructValue<typeof TpacketBlock>;

/** A ring of frames, version 3. */
export const TpacketReq3 = defineStruct("tpacket_req3", 28, {
	tp_block_size: ["u32", 0],
	tp_block_nr: ["u32", 4],
	tp_frame_size: ["u32", 8],
	tp_frame_nr: ["u32", 12],
	tp_retire_blk_tov: ["u32", 16],
	tp_sizeof_priv: ["u32", 20],
	tp_feature_req_word: ["u32", 24],
});
export type TpacketReq3 = StructValue<typeof TpacketReq3>;
