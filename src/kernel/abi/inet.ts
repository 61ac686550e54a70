// SPDX-License-Identifier: GPL-2.0-only
// Internet protocols: TCP, UDP, IP, IPv6 options and TCP states.
// Source: linux/in.h, linux/in6.h, linux/tcp.h, net/tcp_states.h.

import { defineStruct, type StructValue } from "./struct.ts";

// Protocols
export const IPPROTO_IP = 0;
export const IPPROTO_ICMP = 1;
export const IPPROTO_IGMP = 2;
export const IPPROTO_IPIP = 4;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_DCCP = 33;
export const IPPROTO_IPV6 = 41;
export const IPPROTO_GRE = 47;
export const IPPROTO_ESP = 50;
export const IPPROTO_AH = 51;
export const IPPROTO_ICMPV6 = 58;
export const IPPROTO_L2TP = 115;
export const IPPROTO_SCTP = 132;
export const IPPROTO_UDPLITE = 136;
export const IPPROTO_MPLS = 137;
export const IPPROTO_ETHERNET = 143;
export const IPPROTO_RAW = 255;
export const IPPROTO_SMC = 256;
export const IPPROTO_MPTCP = 262;

// States
export const TCP_ESTABLISHED = 1;
export const TCP_SYN_SENT = 2;
export const TCP_SYN_RECV = 3;
export const TCP_FIN_WAIT1 = 4;
export const TCP_FIN_WAIT2 = 5;
export const TCP_TIME_WAIT = 6;
export const TCP_CLOSE = 7;
export const TCP_CLOSE_WAIT = 8;
export const TCP_LAST_ACK = 9;
export const TCP_LISTEN = 10;
export const TCP_CLOSING = 11;
export const TCP_NEW_SYN_RECV = 12;

// Options of TCP
export const TCP_NODELAY = 1;
export const TCP_MAXSEG = 2;
export const TCP_CORK = 3;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;
export const TCP_SYNCNT = 7;
export const TCP_LINGER2 = 8;
export const TCP_DEFER_ACCEPT = 9;
export const TCP_WINDOW_CLAMP = 10;
export const TCP_INFO = 11;
export const TCP_QUICKACK = 12;
export const TCP_CONGESTION = 13;
export const TCP_MD5SIG = 14;
export const TCP_THIN_LINEAR_TIMEOUTS = 16;
export const TCP_THIN_DUPACK = 17;
export const TCP_USER_TIMEOUT = 18;
export const TCP_REPAIR = 19;
export const TCP_REPAIR_QUEUE = 20;
export const TCP_QUEUE_SEQ = 21;
export const TCP_FASTOPEN = 23;
export const TCP_TIMESTAMP = 24;
export const TCP_NOTSENT_LOWAT = 25;
export const TCP_CC_INFO = 26;
export const TCP_SAVE_SYN = 27;
export const TCP_SAVED_SYN = 28;
export const TCP_REPAIR_WINDOW = 29;
export const TCP_FASTOPEN_CONNECT = 30;
export const TCP_ULP = 31;
export const TCP_FASTOPEN_KEY = 33;
export const TCP_FASTOPEN_NO_COOKIE = 34;
export const TCP_ZEROCOPY_RECEIVE = 35;
export const TCP_CM_INQ = 36;
export const TCP_INQ = 36;
export const TCP_TX_DELAY = 37;
export const TCP_AO_INFO = 40;

// TCP_REPAIR values, queues, and tcpi_options bits
export const TCP_REPAIR_OFF_NO_WP = -1;
export const TCP_REPAIR_OFF = 0;
export const TCPI_OPT_TIMESTAMPS = 1;
export const TCP_REPAIR_ON = 1;
export const TCPI_OPT_SACK = 2;
export const TCPI_OPT_WSCALE = 4;
export const TCPI_OPT_ECN = 8;
export const TCPI_OPT_ECN_SEEN = 16;
export const TCP_REPAIR_OPTIONS = 22;
export const TCPI_OPT_SYN_DATA = 32;
export const TCP_NO_QUEUE = 0;
export const TCP_RECV_QUEUE = 1;
export const TCP_SEND_QUEUE = 2;

// Options of IP and UDP
export const IP_TOS = 1;
export const IP_TTL = 2;
export const IP_HDRINCL = 3;
export const IP_OPTIONS = 4;
export const IP_ROUTER_ALERT = 5;
export const IP_RECVOPTS = 6;
export const IP_RECVRETOPTS = 7;
export const IP_RETOPTS = 7;
export const IP_PKTINFO = 8;
export const IP_PKTOPTIONS = 9;
export const IP_MTU_DISCOVER = 10;
export const IP_RECVERR = 11;
export const IP_RECVTTL = 12;
export const IP_RECVTOS = 13;
export const IP_MTU = 14;
export const IP_FREEBIND = 15;
export const IP_IPSEC_POLICY = 16;
export const IP_XFRM_POLICY = 17;
export const IP_PASSSEC = 18;
export const IP_TRANSPARENT = 19;
export const IP_ORIGDSTADDR = 20;
export const IP_RECVORIGDSTADDR = 20;
export const IP_MINTTL = 21;
export const IP_NODEFRAG = 22;
export const IP_CHECKSUM = 23;
export const IP_BIND_ADDRESS_NO_PORT = 24;
export const IP_RECVFRAGSIZE = 25;
export const IP_RECVERR_RFC4884 = 26;
export const IP_MULTICAST_IF = 32;
export const IP_MULTICAST_TTL = 33;
export const IP_MULTICAST_LOOP = 34;
export const IP_ADD_MEMBERSHIP = 35;
export const IP_DROP_MEMBERSHIP = 36;
export const IP_UNBLOCK_SOURCE = 37;
export const IP_BLOCK_SOURCE = 38;
export const IP_ADD_SOURCE_MEMBERSHIP = 39;
export const IP_DROP_SOURCE_MEMBERSHIP = 40;
export const IP_MSFILTER = 41;
export const IP_MULTICAST_ALL = 49;
export const IP_UNICAST_IF = 50;
export const IP_LOCAL_PORT_RANGE = 51;
export const IP_PROTOCOL = 52;
export const MCAST_JOIN_GROUP = 42;
export const MCAST_LEAVE_GROUP = 45;
export const MCAST_MSFILTER = 48;
export const MCAST_EXCLUDE = 0;
export const MCAST_INCLUDE = 1;
export const UDP_CORK = 1;
export const UDPLITE_SEND_CSCOV = 10;
export const UDPLITE_RECV_CSCOV = 11;
export const UDP_ENCAP = 100;
export const UDP_NO_CHECK6_TX = 101;
export const UDP_NO_CHECK6_RX = 102;
export const UDP_SEGMENT = 103;
export const UDP_GRO = 104;
export const UDP_ENCAP_ESPINUDP = 2;
export const ICMP_FILTER = 1;
export const ICMPV6_FILTER = 1;

// Options of IPv6
export const IPV6_ADDRFORM = 1;
export const IPV6_2292PKTINFO = 2;
export const IPV6_2292HOPOPTS = 3;
export const IPV6_2292DSTOPTS = 4;
export const IPV6_2292RTHDR = 5;
export const IPV6_2292HOPLIMIT = 8;
export const IPV6_CHECKSUM = 7;
export const IPV6_NEXTHOP = 9;
export const IPV6_AUTHHDR = 10;
export const IPV6_FLOWINFO = 11;
export const IPV6_UNICAST_HOPS = 16;
export const IPV6_MULTICAST_IF = 17;
export const IPV6_MULTICAST_HOPS = 18;
export const IPV6_MULTICAST_LOOP = 19;
export const IPV6_ADD_MEMBERSHIP = 20;
export const IPV6_DROP_MEMBERSHIP = 21;
export const IPV6_ROUTER_ALERT = 22;
export const IPV6_MTU_DISCOVER = 23;
export const IPV6_MTU = 24;
export const IPV6_RECVERR = 25;
export const IPV6_V6ONLY = 26;
export const IPV6_JOIN_ANYCAST = 27;
export const IPV6_LEAVE_ANYCAST = 28;
export const IPV6_MULTICAST_ALL = 29;
export const IPV6_ROUTER_ALERT_ISOLATE = 30;
export const IPV6_RECVERR_RFC4884 = 31;
export const IPV6_FLOWLABEL_MGR = 32;
export const IPV6_FLOWINFO_SEND = 33;
export const IPV6_IPSEC_POLICY = 34;
export const IPV6_XFRM_POLICY = 35;
export const IPV6_HDRINCL = 36;
export const IPV6_RECVPKTINFO = 49;
export const IPV6_PKTINFO = 50;
export const IPV6_RECVHOPLIMIT = 51;
export const IPV6_HOPLIMIT = 52;
export const IPV6_RECVHOPOPTS = 53;
export const IPV6_HOPOPTS = 54;
export const IPV6_RTHDRDSTOPTS = 55;
export const IPV6_RECVRTHDR = 56;
export const IPV6_RTHDR = 57;
export const IPV6_RECVDSTOPTS = 58;
export const IPV6_DSTOPTS = 59;
export const IPV6_RECVPATHMTU = 60;
export const IPV6_PATHMTU = 61;
export const IPV6_DONTFRAG = 62;
export const IPV6_RECVTCLASS = 66;
export const IPV6_TCLASS = 67;
export const IPV6_AUTOFLOWLABEL = 70;
export const IPV6_ADDR_PREFERENCES = 72;
export const IPV6_MINHOPCOUNT = 73;
export const IPV6_ORIGDSTADDR = 74;
export const IPV6_RECVORIGDSTADDR = 74;
export const IPV6_TRANSPARENT = 75;
export const IPV6_UNICAST_IF = 76;
export const IPV6_RECVFRAGSIZE = 77;
export const IPV6_FREEBIND = 78;
export const IPV6_FLOWINFO_FLOWLABEL = 1048575;
export const IPV6_FLOWINFO_PRIORITY = 267386880;

/** Option of TCP_REPAIR_OPTIONS. */
export const TcpRepairOpt = defineStruct("tcp_repair_opt", 8, {
	opt_code: ["u32", 0],
	opt_val: ["u32", 4],
});
export type TcpRepairOpt = StructValue<typeof TcpRepairOpt>;

/** Value of TCP_REPAIR_WINDOW. */
export const TcpRepairWindow = defineStruct("tcp_repair_window", 20, {
	snd_wl1: ["u32", 0],
	snd_wnd: ["u32", 4],
	max_window: ["u32", 8],
	rcv_wnd: ["u32", 12],
	rcv_wup: ["u32", 16],
});
export type TcpRepairWindow = StructValue<typeof TcpRepairWindow>;

/** IPv4 address; port and address in network byte order. */
export const SockaddrIn = defineStruct("sockaddr_in", 16, {
	sin_family: ["u16", 0],
	sin_port: ["bytes", 2, 2],
	sin_addr: ["bytes", 4, 4],
});
export type SockaddrIn = StructValue<typeof SockaddrIn>;

/** IPv6 address; port, flow and address in network byte order. */
export const SockaddrIn6 = defineStruct("sockaddr_in6", 28, {
	sin6_family: ["u16", 0],
	sin6_port: ["bytes", 2, 2],
	sin6_flowinfo: ["bytes", 4, 4],
	sin6_addr: ["bytes", 8, 16],
	sin6_scope_id: ["u32", 24],
});
export type SockaddrIn6 = StructValue<typeof SockaddrIn6>;

/** Begin of the value of TCP_INFO; newer kernels tell more. Of listening sockets `unacked` are waiting, `sacked` may wait. */
export const TcpInfo = defineStruct("tcp_info", 32, {
	tcpi_state: ["u8", 0],
	tcpi_backoff: ["u8", 4],
	tcpi_unacked: ["u32", 24],
	tcpi_sacked: ["u32", 28],
});
export type TcpInfo = StructValue<typeof TcpInfo>;

/** Value of MCAST_JOIN_GROUP: a device and an address of any family. */
export const GroupReq = defineStruct("group_req", 136, {
	gr_interface: ["u32", 0],
	gr_group: ["bytes", 8, 128],
});
export type GroupReq = StructValue<typeof GroupReq>;

/** Value of MCAST_MSFILTER with one source; any number of sources may follow. */
export const GroupFilter = defineStruct("group_filter", 272, {
	gf_interface: ["u32", 0],
	gf_group: ["bytes", 8, 128],
	gf_fmode: ["u32", 136],
	gf_numsrc: ["u32", 140],
	gf_slist: ["bytes", 144, 128],
});
export type GroupFilter = StructValue<typeof GroupFilter>;

/** Request about a network device by its name. */
export const Ifreq = defineStruct("ifreq", 40, {
	ifr_name: ["bytes", 0, 16],
	ifr_ifindex: ["i32", 16],
});
export type Ifreq = StructValue<typeof Ifreq>;
