// SPDX-License-Identifier: GPL-2.0-only
// Questions about sockets and the kernel's answers (NETLINK_SOCK_DIAG).
// Source: sock_diag(7), linux/sock_diag.h, linux/unix_diag.h, linux/inet_diag.h, linux/netlink_diag.h, linux/packet_diag.h.

import { defineStruct, type StructValue } from "./struct.ts";

export const SOCK_DIAG_BY_FAMILY = 20;

// What SO_MEMINFO and the MEMINFO attributes count, in this order
export const SK_MEMINFO_RMEM_ALLOC = 0;
export const SK_MEMINFO_RCVBUF = 1;
export const SK_MEMINFO_WMEM_ALLOC = 2;
export const SK_MEMINFO_SNDBUF = 3;
export const SK_MEMINFO_FWD_ALLOC = 4;
export const SK_MEMINFO_WMEM_QUEUED = 5;
export const SK_MEMINFO_OPTMEM = 6;
export const SK_MEMINFO_BACKLOG = 7;
export const SK_MEMINFO_DROPS = 8;

// Unix sockets: what to show, and the attributes that show it
export const UDIAG_SHOW_NAME = 0x01;
export const UDIAG_SHOW_VFS = 0x02;
export const UDIAG_SHOW_PEER = 0x04;
export const UDIAG_SHOW_ICONS = 0x08;
export const UDIAG_SHOW_RQLEN = 0x10;
export const UDIAG_SHOW_MEMINFO = 0x20;
export const UDIAG_SHOW_UID = 0x40;
export const UNIX_DIAG_NAME = 0;
export const UNIX_DIAG_VFS = 1;
export const UNIX_DIAG_PEER = 2;
export const UNIX_DIAG_ICONS = 3;
export const UNIX_DIAG_RQLEN = 4;
export const UNIX_DIAG_MEMINFO = 5;
export const UNIX_DIAG_SHUTDOWN = 6;
export const UNIX_DIAG_UID = 7;

// Internet sockets: extensions are asked for by bit (number - 1), SHUTDOWN comes unasked
export const INET_DIAG_MEMINFO = 1;
export const INET_DIAG_INFO = 2;
export const INET_DIAG_VEGASINFO = 3;
export const INET_DIAG_CONG = 4;
export const INET_DIAG_TOS = 5;
export const INET_DIAG_TCLASS = 6;
export const INET_DIAG_SKMEMINFO = 7;
export const INET_DIAG_SHUTDOWN = 8;
export const INET_DIAG_PROTOCOL = 10;
export const INET_DIAG_SKV6ONLY = 11;
export const INET_DIAG_MARK = 15;
export const INET_DIAG_ULP_INFO = 19;
export const INET_DIAG_SOCKOPT = 22;
export const INET_DIAG_NOCOOKIE = 0xffffffff;

// Netlink sockets
export const NDIAG_PROTO_ALL = 0xff;
export const NDIAG_SHOW_MEMINFO = 0x01;
export const NDIAG_SHOW_GROUPS = 0x02;
export const NDIAG_SHOW_FLAGS = 0x08;
export const NETLINK_DIAG_MEMINFO = 0;
export const NETLINK_DIAG_GROUPS = 1;
export const NETLINK_DIAG_RX_RING = 2;
export const NETLINK_DIAG_TX_RING = 3;
export const NETLINK_DIAG_FLAGS = 4;
export const NDIAG_FLAG_CB_RUNNING = 0x01;
export const NDIAG_FLAG_PKTINFO = 0x02;
export const NDIAG_FLAG_BROADCAST_ERROR = 0x04;
export const NDIAG_FLAG_NO_ENOBUFS = 0x08;
export const NDIAG_FLAG_LISTEN_ALL_NSID = 0x10;
export const NDIAG_FLAG_CAP_ACK = 0x20;

// Packet sockets
export const PACKET_SHOW_INFO = 0x01;
export const PACKET_SHOW_MCLIST = 0x02;
export const PACKET_SHOW_RING_CFG = 0x04;
export const PACKET_SHOW_FANOUT = 0x08;
export const PACKET_SHOW_MEMINFO = 0x10;
export const PACKET_SHOW_FILTER = 0x20;
export const PACKET_DIAG_INFO = 0;
export const PACKET_DIAG_MCLIST = 1;
export const PACKET_DIAG_RX_RING = 2;
export const PACKET_DIAG_TX_RING = 3;
export const PACKET_DIAG_FANOUT = 4;
export const PACKET_DIAG_UID = 5;
export const PACKET_DIAG_MEMINFO = 6;
export const PACKET_DIAG_FILTER = 7;
export const PDI_RUNNING = 0x01;
export const PDI_AUXDATA = 0x02;
export const PDI_ORIGDEV = 0x04;
export const PDI_VNETHDR = 0x08;
export const PDI_LOSS = 0x10;

export const UnixDiagReq = defineStruct("unix_diag_req", 24, {
	sdiag_family: ["u8", 0],
	sdiag_protocol: ["u8", 1],
	udiag_states: ["u32", 4],
	udiag_ino: ["u32", 8],
	udiag_show: ["u32", 12],
	udiag_cookie: ["u32", 16, 2],
});
export type UnixDiagReq = StructValue<typeof UnixDiagReq>;

export const UnixDiagMsg = defineStruct("unix_diag_msg", 16, {
	udiag_family: ["u8", 0],
	udiag_type: ["u8", 1],
	udiag_state: ["u8", 2],
	udiag_ino: ["u32", 4],
	udiag_cookie: ["u32", 8, 2],
});
export type UnixDiagMsg = StructValue<typeof UnixDiagMsg>;

/** Ports and addresses in network byte order; an IPv4 address is the first four bytes. */
export const InetDiagSockid = defineStruct("inet_diag_sockid", 48, {
	idiag_sport: ["bytes", 0, 2],
	idiag_dport: ["bytes", 2, 2],
	idiag_src: ["bytes", 4, 16],
	idiag_dst: ["bytes", 20, 16],
	idiag_if: ["u32", 36],
	idiag_cookie: ["u32", 40, 2],
});
export type InetDiagSockid = StructValue<typeof InetDiagSockid>;

/** The byte called `pad` is the protocol of raw sockets. */
export const InetDiagReqV2 = defineStruct("inet_diag_req_v2", 56, {
	sdiag_family: ["u8", 0],
	sdiag_protocol: ["u8", 1],
	idiag_ext: ["u8", 2],
	pad: ["u8", 3],
	idiag_states: ["u32", 4],
	id: [InetDiagSockid, 8],
});
export type InetDiagReqV2 = StructValue<typeof InetDiagReqV2>;

export const InetDiagMsg = defineStruct("inet_diag_msg", 72, {
	idiag_family: ["u8", 0],
	idiag_state: ["u8", 1],
	idiag_timer: ["u8", 2],
	idiag_retrans: ["u8", 3],
	id: [InetDiagSockid, 4],
	idiag_expires: ["u32", 52],
	idiag_rqueue: ["u32", 56],
	idiag_wqueue: ["u32", 60],
	idiag_uid: ["u32", 64],
	idiag_inode: ["u32", 68],
});
export type InetDiagMsg = StructValue<typeof InetDiagMsg>;

export const NetlinkDiagReq = defineStruct("netlink_diag_req", 20, {
	sdiag_family: ["u8", 0],
	sdiag_protocol: ["u8", 1],
	ndiag_ino: ["u32", 4],
	ndiag_show: ["u32", 8],
	ndiag_cookie: ["u32", 12, 2],
});
export type NetlinkDiagReq = StructValue<typeof NetlinkDiagReq>;

export const NetlinkDiagMsg = defineStruct("netlink_diag_msg", 28, {
	ndiag_family: ["u8", 0],
	ndiag_type: ["u8", 1],
	ndiag_protocol: ["u8", 2],
	ndiag_state: ["u8", 3],
	ndiag_portid: ["u32", 4],
	ndiag_dst_portid: ["u32", 8],
	ndiag_dst_group: ["u32", 12],
	ndiag_ino: ["u32", 16],
	ndiag_cookie: ["u32", 20, 2],
});
export type NetlinkDiagMsg = StructValue<typeof NetlinkDiagMsg>;

export const PacketDiagReq = defineStruct("packet_diag_req", 20, {
	sdiag_family: ["u8", 0],
	sdiag_protocol: ["u8", 1],
	pdiag_ino: ["u32", 4],
	pdiag_show: ["u32", 8],
	pdiag_cookie: ["u32", 12, 2],
});
export type PacketDiagReq = StructValue<typeof PacketDiagReq>;

/** `pdiag_num` is the protocol in host byte order. */
export const PacketDiagMsg = defineStruct("packet_diag_msg", 16, {
	pdiag_family: ["u8", 0],
	pdiag_type: ["u8", 1],
	pdiag_num: ["u16", 2],
	pdiag_ino: ["u32", 4],
	pdiag_cookie: ["u32", 8, 2],
});
export type PacketDiagMsg = StructValue<typeof PacketDiagMsg>;

export const PacketDiagInfo = defineStruct("packet_diag_info", 24, {
	pdi_index: ["u32", 0],
	pdi_version: ["u32", 4],
	pdi_reserve: ["u32", 8],
	pdi_copy_thresh: ["u32", 12],
	pdi_tstamp: ["u32", 16],
	pdi_flags: ["u32", 20],
});
export type PacketDiagInfo = StructValue<typeof PacketDiagInfo>;

export const PacketDiagMclist = defineStruct("packet_diag_mclist", 44, {
	pdmc_index: ["u32", 0],
	pdmc_count: ["u32", 4],
	pdmc_type: ["u16", 8],
	pdmc_alen: ["u16", 10],
	pdmc_addr: ["bytes", 12, 32],
});
export type PacketDiagMclist = StructValue<typeof PacketDiagMclist>;

export const PacketDiagRing = defineStruct("packet_diag_ring", 28, {
	pdr_block_size: ["u32", 0],
	pdr_block_nr: ["u32", 4],
	pdr_frame_size: ["u32", 8],
	pdr_frame_nr: ["u32", 12],
	pdr_retire_tmo: ["u32", 16],
	pdr_sizeof_priv: ["u32", 20],
	pdr_features: ["u32", 24],
});
export type PacketDiagRing = StructValue<typeof PacketDiagRing>;
