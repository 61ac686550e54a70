// SPDX-License-Identifier: GPL-2.0-only
// Netlink: families, message headers, attributes, socket options.
// Source: linux/netlink.h, netlink(7).

import { defineStruct, type StructValue } from "./struct.ts";

// Families
export const NETLINK_ROUTE = 0;
export const NETLINK_USERSOCK = 2;
export const NETLINK_FIREWALL = 3;
export const NETLINK_SOCK_DIAG = 4;
export const NETLINK_NFLOG = 5;
export const NETLINK_XFRM = 6;
export const NETLINK_SELINUX = 7;
export const NETLINK_ISCSI = 8;
export const NETLINK_AUDIT = 9;
export const NETLINK_FIB_LOOKUP = 10;
export const NETLINK_CONNECTOR = 11;
export const NETLINK_NETFILTER = 12;
export const NETLINK_DNRTMSG = 14;
export const NETLINK_KOBJECT_UEVENT = 15;
export const NETLINK_GENERIC = 16;
export const NETLINK_SCSITRANSPORT = 18;
export const NETLINK_ECRYPTFS = 19;
export const NETLINK_RDMA = 20;
export const NETLINK_CRYPTO = 21;
export const NETLINK_SMC = 22;
/** Families that there can be. */
export const MAX_LINKS = 32;

// Flags of messages
export const NLM_F_REQUEST = 0x01;
export const NLM_F_MULTI = 0x02;
export const NLM_F_ACK = 0x04;
export const NLM_F_ECHO = 0x08;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_ROOT = 0x100;
export const NLM_F_MATCH = 0x200;
export const NLM_F_DUMP = 0x300;

// Types of messages
export const NLMSG_NOOP = 0x1;
export const NLMSG_ERROR = 0x2;
export const NLMSG_DONE = 0x3;
export const NLMSG_OVERRUN = 0x4;
/** Types below belong to netlink itself. */
export const NLMSG_MIN_TYPE = 0x10;

// Attributes: two bits of the type aren't part of it
export const NLA_F_NESTED = 0x8000;
export const NLA_F_NET_BYTEORDER = 0x4000;

// Options of SOL_NETLINK
export const NETLINK_ADD_MEMBERSHIP = 1;
export const NETLINK_DROP_MEMBERSHIP = 2;
export const NETLINK_PKTINFO = 3;
export const NETLINK_BROADCAST_ERROR = 4;
export const NETLINK_NO_ENOBUFS = 5;
export const NETLINK_LISTEN_ALL_NSID = 8;
export const NETLINK_LIST_MEMBERSHIPS = 9;
export const NETLINK_CAP_ACK = 10;
export const NETLINK_EXT_ACK = 11;
export const NETLINK_GET_STRICT_CHK = 12;

/** Head of a message; its length counts itself. */
export const Nlmsghdr = defineStruct("nlmsghdr", 16, {
	nlmsg_len: ["u32", 0],
	nlmsg_type: ["u16", 4],
	nlmsg_flags: ["u16", 6],
	nlmsg_seq: ["u32", 8],
	nlmsg_pid: ["u32", 12],
});
export type Nlmsghdr = StructValue<typeof Nlmsghdr>;

/** Head of an attribute; its length counts itself, the next one begins at a multiple of four. */
export const Nlattr = defineStruct("nlattr", 4, {
	nla_len: ["u16", 0],
	nla_type: ["u16", 2],
});
export type Nlattr = StructValue<typeof Nlattr>;

/** Address of a netlink socket. */
export const SockaddrNl = defineStruct("sockaddr_nl", 12, {
	nl_family: ["u16", 0],
	nl_pid: ["u32", 4],
	nl_groups: ["u32", 8],
});
export type SockaddrNl = StructValue<typeof SockaddrNl>;
