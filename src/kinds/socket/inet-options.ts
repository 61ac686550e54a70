// SPDX-License-Identifier: GPL-2.0-only
// Options of internet sockets that CRIU doesn't keep, by protocol. Those whose state the kernel doesn't tell can't be here.
// Source: ip(7), ipv6(7), udp(7), tcp(7), raw(7); net/ipv4/ip_sockglue.c, net/ipv6/ipv6_sockglue.c, net/ipv4/tcp.c.

import * as inet from "../../kernel/abi/inet.ts";
import * as so from "../../kernel/abi/socket.ts";
import { COMMON_EXTRAS, type ExtraOption } from "./extra-options.ts";
import type { SocketFacts } from "./socket-facts.ts";

type Row = readonly [label: string, name: number, initial?: number];

function table(level: number, rows: readonly Row[]): ExtraOption[] {
	return rows.map(([label, name, initial = 0]) => ({ level, name, label, initial }));
}

/** An option whose length varies; nothing at first. */
function varying(level: number, label: string, name: number, most: number): ExtraOption {
	return { level, name, label, initial: new Uint8Array(0), most };
}

const MAX_IP_OPTIONS = 40;
const MAX_HEADER = 2048;

const COMMON: readonly ExtraOption[] = [
	...COMMON_EXTRAS,
	...table(so.SOL_SOCKET, [["SO_TXREHASH", so.SO_TXREHASH, 1]]),
];

const IP: readonly ExtraOption[] = [
	...table(inet.IPPROTO_IP, [
		["IP_MTU_DISCOVER", inet.IP_MTU_DISCOVER, 1],
		["IP_RECVERR", inet.IP_RECVERR],
		["IP_RECVTTL", inet.IP_RECVTTL],
		["IP_RECVTOS", inet.IP_RECVTOS],
		["IP_TRANSPARENT", inet.IP_TRANSPARENT],
		["IP_MINTTL", inet.IP_MINTTL],
		["IP_BIND_ADDRESS_NO_PORT", inet.IP_BIND_ADDRESS_NO_PORT],
		["IP_RECVERR_RFC4884", inet.IP_RECVERR_RFC4884],
		["IP_UNICAST_IF", inet.IP_UNICAST_IF],
		["IP_LOCAL_PORT_RANGE", inet.IP_LOCAL_PORT_RANGE],
	]),
	varying(inet.IPPROTO_IP, "IP_OPTIONS", inet.IP_OPTIONS, MAX_IP_OPTIONS),
];

/** Only of sockets with packets of their own; streams may not set them. */
const ipPackets = (multicastAll: number): readonly ExtraOption[] => [
	...table(inet.IPPROTO_IP, [
		["IP_RECVOPTS", inet.IP_RECVOPTS],
		["IP_RETOPTS", inet.IP_RETOPTS],
		["IP_PASSSEC", inet.IP_PASSSEC],
		["IP_RECVORIGDSTADDR", inet.IP_RECVORIGDSTADDR],
		["IP_RECVFRAGSIZE", inet.IP_RECVFRAGSIZE],
		["IP_MULTICAST_TTL", inet.IP_MULTICAST_TTL, 1],
		["IP_MULTICAST_LOOP", inet.IP_MULTICAST_LOOP, 1],
		["IP_MULTICAST_ALL", inet.IP_MULTICAST_ALL, multicastAll],
	]),
	{ level: inet.IPPROTO_IP, name: inet.IP_MULTICAST_IF, label: "IP_MULTICAST_IF", initial: new Uint8Array(4) },
];

const IPV6_PACKETS: readonly ExtraOption[] = table(inet.IPPROTO_IPV6, [
	["IPV6_2292PKTINFO", inet.IPV6_2292PKTINFO],
	["IPV6_2292HOPOPTS", inet.IPV6_2292HOPOPTS],
	["IPV6_2292DSTOPTS", inet.IPV6_2292DSTOPTS],
	["IPV6_2292RTHDR", inet.IPV6_2292RTHDR],
	["IPV6_2292HOPLIMIT", inet.IPV6_2292HOPLIMIT],
	["IPV6_MULTICAST_IF", inet.IPV6_MULTICAST_IF],
	["IPV6_MULTICAST_HOPS", inet.IPV6_MULTICAST_HOPS, 1],
	["IPV6_MULTICAST_LOOP", inet.IPV6_MULTICAST_LOOP, 1],
	["IPV6_MULTICAST_ALL", inet.IPV6_MULTICAST_ALL, 1],
	["IPV6_RECVHOPOPTS", inet.IPV6_RECVHOPOPTS],
	["IPV6_RECVRTHDR", inet.IPV6_RECVRTHDR],
	["IPV6_RECVDSTOPTS", inet.IPV6_RECVDSTOPTS],
	["IPV6_RECVPATHMTU", inet.IPV6_RECVPATHMTU],
	["IPV6_RECVORIGDSTADDR", inet.IPV6_RECVORIGDSTADDR],
	["IPV6_RECVFRAGSIZE", inet.IPV6_RECVFRAGSIZE],
]);

const IPV6: readonly ExtraOption[] = [
	...table(inet.IPPROTO_IPV6, [
		["IPV6_UNICAST_HOPS", inet.IPV6_UNICAST_HOPS, 64],
		["IPV6_MTU_DISCOVER", inet.IPV6_MTU_DISCOVER, 1],
		["IPV6_RECVERR", inet.IPV6_RECVERR],
		["IPV6_RECVERR_RFC4884", inet.IPV6_RECVERR_RFC4884],
		["IPV6_FLOWINFO_SEND", inet.IPV6_FLOWINFO_SEND],
		["IPV6_RECVHOPLIMIT", inet.IPV6_RECVHOPLIMIT],
		["IPV6_DONTFRAG", inet.IPV6_DONTFRAG],
		["IPV6_RECVTCLASS", inet.IPV6_RECVTCLASS],
		["IPV6_TCLASS", inet.IPV6_TCLASS],
		["IPV6_AUTOFLOWLABEL", inet.IPV6_AUTOFLOWLABEL, 1],
		["IPV6_ADDR_PREFERENCES", inet.IPV6_ADDR_PREFERENCES, 0x500],
		["IPV6_MINHOPCOUNT", inet.IPV6_MINHOPCOUNT],
		["IPV6_TRANSPARENT", inet.IPV6_TRANSPARENT],
		["IPV6_UNICAST_IF", inet.IPV6_UNICAST_IF],
	]),
	varying(inet.IPPROTO_IPV6, "IPV6_HOPOPTS", inet.IPV6_HOPOPTS, MAX_HEADER),
	varying(inet.IPPROTO_IPV6, "IPV6_RTHDRDSTOPTS", inet.IPV6_RTHDRDSTOPTS, MAX_HEADER),
	varying(inet.IPPROTO_IPV6, "IPV6_RTHDR", inet.IPV6_RTHDR, MAX_HEADER),
	varying(inet.IPPROTO_IPV6, "IPV6_DSTOPTS", inet.IPV6_DSTOPTS, MAX_HEADER),
];

/** Streams have no packets of their own whose fate they could tell. */
const TCP: readonly ExtraOption[] = [
	...table(so.SOL_SOCKET, [["SO_INCOMING_CPU", so.SO_INCOMING_CPU, -1]]),
	...table(so.SOL_TCP, [
		["TCP_MAXSEG", inet.TCP_MAXSEG, 536],
		["TCP_SYNCNT", inet.TCP_SYNCNT, 6],
		["TCP_LINGER2", inet.TCP_LINGER2, 60],
		["TCP_DEFER_ACCEPT", inet.TCP_DEFER_ACCEPT],
		["TCP_WINDOW_CLAMP", inet.TCP_WINDOW_CLAMP],
		["TCP_THIN_LINEAR_TIMEOUTS", inet.TCP_THIN_LINEAR_TIMEOUTS],
		["TCP_USER_TIMEOUT", inet.TCP_USER_TIMEOUT],
		["TCP_FASTOPEN", inet.TCP_FASTOPEN],
		["TCP_NOTSENT_LOWAT", inet.TCP_NOTSENT_LOWAT],
		["TCP_SAVE_SYN", inet.TCP_SAVE_SYN],
		["TCP_FASTOPEN_CONNECT", inet.TCP_FASTOPEN_CONNECT],
		["TCP_FASTOPEN_NO_COOKIE", inet.TCP_FASTOPEN_NO_COOKIE],
		["TCP_INQ", inet.TCP_INQ],
		["TCP_TX_DELAY", inet.TCP_TX_DELAY],
	]),
];

const UDP: readonly ExtraOption[] = table(so.SOL_UDP, [
	["UDP_CORK", inet.UDP_CORK],
	["UDP_ENCAP", inet.UDP_ENCAP],
	["UDP_NO_CHECK6_TX", inet.UDP_NO_CHECK6_TX],
	["UDP_NO_CHECK6_RX", inet.UDP_NO_CHECK6_RX],
	["UDP_SEGMENT", inet.UDP_SEGMENT],
	["UDP_GRO", inet.UDP_GRO],
]);

const UDPLITE: readonly ExtraOption[] = table(inet.IPPROTO_UDPLITE, [
	["UDPLITE_SEND_CSCOV", inet.UDPLITE_SEND_CSCOV],
	["UDPLITE_RECV_CSCOV", inet.UDPLITE_RECV_CSCOV],
]);

/** Packets of IPPROTO_RAW have their own heads; ICMPv6 has its checksum where it has it. */
function raw6(protocol: number): readonly ExtraOption[] {
	return table(inet.IPPROTO_IPV6, [
		["IPV6_HDRINCL", inet.IPV6_HDRINCL, protocol === inet.IPPROTO_RAW ? 1 : 0],
		...(protocol === inet.IPPROTO_ICMPV6 ? [] : ([["IPV6_CHECKSUM", inet.IPV6_CHECKSUM, -1]] as const)),
	]);
}

function optionsOf({ family, type, protocol }: SocketFacts): ExtraOption[] {
	const isIp6 = family === so.AF_INET6;
	const isRaw = type === so.SOCK_RAW;
	const isTcp = type === so.SOCK_STREAM;
	const options = [...COMMON];
	// IPv6 sockets talk to IPv4 hosts too, but for raw ones.
	if (!isIp6 || !isRaw) options.push(...IP, ...(isTcp ? [] : ipPackets(isIp6 ? 0 : 1)));
	if (isIp6) options.push(...IPV6, ...(isTcp ? [] : IPV6_PACKETS));
	if (isRaw) return isIp6 ? [...options, ...raw6(protocol)] : options;
	if (protocol === inet.IPPROTO_TCP) return [...options, ...TCP];
	if (protocol === inet.IPPROTO_UDP) return [...options, ...UDP];
	if (protocol === inet.IPPROTO_UDPLITE) return [...options, ...UDPLITE];
	return options;
}

const made = new Map<string, readonly ExtraOption[]>();

/** The options that a sort of internet socket may have besides those that CRIU keeps. */
export function inetExtras(facts: SocketFacts): readonly ExtraOption[] {
	const key = `${facts.family}:${facts.type}:${facts.protocol}`;
	const known = made.get(key) ?? optionsOf(facts);
	made.set(key, known);
	return known;
}
