// SPDX-License-Identifier: GPL-2.0-only
// Sockets: families, types, levels, options, message flags, and the structs of sendmsg(2).
// Source: sys/socket.h, asm-generic/socket.h, linux/sockios.h, linux/un.h.

import { defineStruct, type StructValue } from "./struct.ts";

// Families
export const AF_UNSPEC = 0;
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_BRIDGE = 7;
export const AF_INET6 = 10;
export const AF_KEY = 15;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const AF_RDS = 21;
export const AF_CAN = 29;
export const AF_TIPC = 30;
export const AF_BLUETOOTH = 31;
export const AF_ALG = 38;
export const AF_VSOCK = 40;
export const AF_KCM = 41;
export const AF_QIPCRTR = 42;
export const AF_SMC = 43;
export const AF_XDP = 44;
export const AF_MCTP = 45;

// Types and their flags
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_RDM = 4;
export const SOCK_SEQPACKET = 5;
export const SOCK_DCCP = 6;
export const SOCK_PACKET = 10;
export const SOCK_NONBLOCK = 0x800;
export const SOCK_CLOEXEC = 0x80000;
export const SOCK_TYPE_MASK = 15;

// Levels
export const SOL_IP = 0;
export const SOL_SOCKET = 1;
export const SOL_TCP = 6;
export const SOL_UDP = 17;
export const SOL_IPV6 = 41;
export const SOL_ICMPV6 = 58;
export const SOL_RAW = 255;
export const SOL_PACKET = 263;
export const SOL_NETLINK = 270;
export const SOL_ALG = 279;
export const SOL_TLS = 282;
export const SOL_XDP = 283;
export const SOL_MPTCP = 284;

// Options of SOL_SOCKET
export const SO_DEBUG = 1;
export const SO_REUSEADDR = 2;
export const SO_TYPE = 3;
export const SO_ERROR = 4;
export const SO_DONTROUTE = 5;
export const SO_BROADCAST = 6;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_KEEPALIVE = 9;
export const SO_OOBINLINE = 10;
export const SO_NO_CHECK = 11;
export const SO_PRIORITY = 12;
export const SO_LINGER = 13;
export const SO_BSDCOMPAT = 14;
export const SO_REUSEPORT = 15;
export const SO_PASSCRED = 16;
export const SO_PEERCRED = 17;
export const SO_RCVLOWAT = 18;
export const SO_SNDLOWAT = 19;
export const SO_RCVTIMEO_OLD = 20;
export const SO_SNDTIMEO_OLD = 21;
export const SO_SECURITY_AUTHENTICATION = 22;
export const SO_SECURITY_ENCRYPTION_TRANSPORT = 23;
export const SO_SECURITY_ENCRYPTION_NETWORK = 24;
export const SO_BINDTODEVICE = 25;
export const SO_ATTACH_FILTER = 26;
export const SO_GET_FILTER = 26;
export const SO_DETACH_BPF = 27;
export const SO_DETACH_FILTER = 27;
export const SO_PEERNAME = 28;
export const SO_TIMESTAMP_OLD = 29;
export const SO_ACCEPTCONN = 30;
export const SO_PEERSEC = 31;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const SO_PASSSEC = 34;
export const SO_TIMESTAMPNS_OLD = 35;
export const SO_MARK = 36;
export const SO_TIMESTAMPING_OLD = 37;
export const SO_PROTOCOL = 38;
export const SO_DOMAIN = 39;
export const SO_RXQ_OVFL = 40;
export const SO_WIFI_STATUS = 41;
export const SO_PEEK_OFF = 42;
export const SO_NOFCS = 43;
export const SO_LOCK_FILTER = 44;
export const SO_SELECT_ERR_QUEUE = 45;
export const SO_BUSY_POLL = 46;
export const SO_MAX_PACING_RATE = 47;
export const SO_BPF_EXTENSIONS = 48;
export const SO_INCOMING_CPU = 49;
export const SO_ATTACH_BPF = 50;
export const SO_ATTACH_REUSEPORT_CBPF = 51;
export const SO_ATTACH_REUSEPORT_EBPF = 52;
export const SO_CNX_ADVICE = 53;
export const SO_MEMINFO = 55;
export const SO_INCOMING_NAPI_ID = 56;
export const SO_COOKIE = 57;
export const SO_PEERGROUPS = 59;
export const SO_ZEROCOPY = 60;
export const SO_TXTIME = 61;
export const SO_BINDTOIFINDEX = 62;
export const SO_TIMESTAMP_NEW = 63;
export const SO_TIMESTAMPNS_NEW = 64;
export const SO_TIMESTAMPING_NEW = 65;
export const SO_RCVTIMEO_NEW = 66;
export const SO_SNDTIMEO_NEW = 67;
export const SO_DETACH_REUSEPORT_BPF = 68;
export const SO_PREFER_BUSY_POLL = 69;
export const SO_BUSY_POLL_BUDGET = 70;
export const SO_NETNS_COOKIE = 71;
export const SO_BUF_LOCK = 72;
export const SO_RESERVE_MEM = 73;
export const SO_TXREHASH = 74;
export const SO_RCVMARK = 75;
export const SO_PASSPIDFD = 76;
export const SO_PEERPIDFD = 77;
export const SO_RCVPRIORITY = 82;
export const SO_PASSRIGHTS = 83;
export const SO_INQ = 84;

// Messages
export const SHUT_RD = 0x0;
export const MSG_OOB = 0x1;
export const SHUT_WR = 0x1;
export const MSG_PEEK = 0x2;
export const SHUT_RDWR = 0x2;
export const MSG_DONTROUTE = 0x4;
export const MSG_CTRUNC = 0x8;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_EOR = 0x80;
export const MSG_WAITALL = 0x100;
export const MSG_CONFIRM = 0x800;
export const MSG_ERRQUEUE = 0x2000;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_MORE = 0x8000;
export const MSG_WAITFORONE = 0x10000;
export const MSG_BATCH = 0x40000;
export const MSG_ZEROCOPY = 0x4000000;
export const MSG_FASTOPEN = 0x20000000;
export const MSG_CMSG_CLOEXEC = 0x40000000;

// Control messages
export const SCM_RIGHTS = 1;
export const SCM_CREDENTIALS = 2;
export const SCM_SECURITY = 3;
export const SCM_PIDFD = 4;
/** Most descriptors in one SCM_RIGHTS message (include/net/scm.h). */
export const SCM_MAX_FD = 253;

// SO_BUF_LOCK bits
export const SOCK_SNDBUF_LOCK = 1;
export const SOCK_RCVBUF_LOCK = 2;

// ioctls; SIOCINQ and SIOCOUTQ are the terminals' FIONREAD and TIOCOUTQ
export const SIOCOUTQ = 0x5411;
export const SIOCINQ = 0x541b;
export const SIOCATMARK = 0x8905;
export const SIOCGSTAMP_OLD = 0x8906;
export const SIOCGIFNAME = 0x8910;
export const SIOCGIFFLAGS = 0x8913;
export const SIOCSIFFLAGS = 0x8914;
export const SIOCGIFINDEX = 0x8933;
export const SIOCOUTQNSD = 0x894b;
export const SIOCGSKNS = 0x894c;
/** _IO(SIOCPROTOPRIVATE): an O_PATH descriptor of the file a unix socket is bound to. */
export const SIOCUNIXFILE = 0x89e0;

/** A piece of memory for readv(2) and relatives. */
export const Iovec = defineStruct("iovec", 16, {
	iov_base: ["u64", 0],
	iov_len: ["u64", 8],
});
export type Iovec = StructValue<typeof Iovec>;

/** Header of sendmsg(2) and recvmsg(2), as the kernel lays it out on 64-bit machines. */
export const Msghdr = defineStruct("msghdr", 56, {
	msg_name: ["u64", 0],
	msg_namelen: ["u32", 8],
	msg_iov: ["u64", 16],
	msg_iovlen: ["u64", 24],
	msg_control: ["u64", 32],
	msg_controllen: ["u64", 40],
	msg_flags: ["u32", 48],
});
export type Msghdr = StructValue<typeof Msghdr>;

/** Head of a control message; data follows, padded to 8 bytes. */
export const Cmsghdr = defineStruct("cmsghdr", 16, {
	cmsg_len: ["u64", 0],
	cmsg_level: ["i32", 8],
	cmsg_type: ["i32", 12],
});
export type Cmsghdr = StructValue<typeof Cmsghdr>;

/** Credentials of SO_PEERCRED and SCM_CREDENTIALS. */
export const Ucred = defineStruct("ucred", 12, {
	pid: ["i32", 0],
	uid: ["u32", 4],
	gid: ["u32", 8],
});
export type Ucred = StructValue<typeof Ucred>;

/** Address of a unix socket; abstract ones begin with a zero byte. */
export const SockaddrUn = defineStruct("sockaddr_un", 110, {
	sun_family: ["u16", 0],
	sun_path: ["bytes", 2, 108],
});
export type SockaddrUn = StructValue<typeof SockaddrUn>;

/** Value of SO_LINGER. */
export const Linger = defineStruct("linger", 8, {
	l_onoff: ["i32", 0],
	l_linger: ["i32", 4],
});
export type Linger = StructValue<typeof Linger>;
