// SPDX-License-Identifier: GPL-2.0-only
// Options of IP and TCP that CRIU keeps. Images: ip_opts_entry, tcp_opts_entry in inet_sk_entry.
// Source: ip(7), ipv6(7), raw(7), tcp(7).

import type { Arg, Program } from "../../agent/program.ts";
import {
	type inet_sk_entry,
	type ip_opts_entry,
	ip_opts_entrySchema,
	ip_opts_raw_entrySchema,
	type tcp_opts_entry,
	tcp_opts_entrySchema,
} from "../../images/gen/socket_pb.ts";
import { create, hasField } from "../../images/index.ts";
import * as inet from "../../kernel/abi/inet.ts";
import * as so from "../../kernel/abi/socket.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { SYS_setsockopt } from "../../kernel/abi/syscalls.x86_64.ts";
import { findIntOption, findOption } from "../../sys/socket.ts";
import { corruptImage } from "../file/image-checks.ts";
import { planIntOption } from "./sk-opts.ts";
import type { SocketFacts } from "./socket-facts.ts";

const ICMP_FILTER_SIZE = 4;
const ICMPV6_FILTER_SIZE = 32;

/** Where an ICMP socket's filter is; undefined for other protocols. */
function icmpFilterOf({ family, protocol }: SocketFacts): { level: number; name: number; size: number } | undefined {
	if (family === so.AF_INET && protocol === inet.IPPROTO_ICMP)
		return { level: so.SOL_RAW, name: inet.ICMP_FILTER, size: ICMP_FILTER_SIZE };
	if (family === so.AF_INET6 && protocol === inet.IPPROTO_ICMPV6)
		return { level: so.SOL_ICMPV6, name: inet.ICMPV6_FILTER, size: ICMPV6_FILTER_SIZE };
	return undefined;
}

function dumpRaw(fd: number, facts: SocketFacts): ip_opts_entry["raw"] {
	const raw = create(ip_opts_raw_entrySchema);
	if (facts.family === so.AF_INET) {
		raw.hdrincl = findIntOption(fd, inet.IPPROTO_IP, inet.IP_HDRINCL) === 1;
		raw.nodefrag = findIntOption(fd, inet.IPPROTO_IP, inet.IP_NODEFRAG) === 1;
		raw.checksum = findIntOption(fd, inet.IPPROTO_IP, inet.IP_CHECKSUM) === 1;
	}
	const filter = icmpFilterOf(facts);
	if (filter !== undefined) {
		const value = viewOf(findOption(fd, filter.level, filter.name, filter.size) ?? new Uint8Array(0));
		raw.icmpvFilter = Array.from({ length: value.byteLength >> 2 }, (_, i) => value.getUint32(i * 4, true));
	}
	return raw;
}

/** The options of IP as images hold them: what's zero isn't there. @throws KernelError */
export function dumpIpOpts(fd: number, facts: SocketFacts): ip_opts_entry {
	const opts = create(ip_opts_entrySchema);
	if (facts.family === so.AF_INET6) {
		if (findIntOption(fd, inet.IPPROTO_IPV6, inet.IPV6_FREEBIND) === 1) opts.freebind = true;
		if (findIntOption(fd, inet.IPPROTO_IPV6, inet.IPV6_RECVPKTINFO) === 1) opts.pktinfo = true;
	} else {
		if (findIntOption(fd, inet.IPPROTO_IP, inet.IP_FREEBIND) === 1) opts.freebind = true;
		if (findIntOption(fd, inet.IPPROTO_IP, inet.IP_PKTINFO) === 1) opts.pktinfo = true;
		const tos = findIntOption(fd, inet.IPPROTO_IP, inet.IP_TOS) ?? 0;
		if (tos !== 0) opts.tos = tos;
		const ttl = findIntOption(fd, inet.IPPROTO_IP, inet.IP_TTL) ?? 0;
		if (ttl !== 0) opts.ttl = ttl;
	}
	if (facts.type === so.SOCK_RAW) opts.raw = dumpRaw(fd, facts);
	return opts;
}

/** The options of TCP as images hold them: what's zero isn't there. @throws KernelError */
export function dumpTcpOpts(fd: number, { protocol }: SocketFacts): tcp_opts_entry {
	const opts = create(tcp_opts_entrySchema);
	if (protocol !== inet.IPPROTO_TCP) return opts;
	const int = (name: number) => findIntOption(fd, so.SOL_TCP, name) ?? 0;
	if (int(inet.TCP_NODELAY) !== 0) opts.nodelay = true;
	if (int(inet.TCP_CORK) !== 0) opts.cork = true;
	for (const [field, name] of KEEPALIVE) {
		const value = int(name);
		if (value !== 0) opts[field] = value;
	}
	return opts;
}

const KEEPALIVE = [
	["keepcnt", inet.TCP_KEEPCNT, "TCP_KEEPCNT"],
	["keepidle", inet.TCP_KEEPIDLE, "TCP_KEEPIDLE"],
	["keepintvl", inet.TCP_KEEPINTVL, "TCP_KEEPINTVL"],
] as const;

/** What new sockets of this host have: options that say the same needn't be set. */
export interface IpDefaults {
	readonly ttl: number;
	readonly keepcnt: number;
	readonly keepidle: number;
	readonly keepintvl: number;
}

function checkByte(id: number, field: string, value: number): number {
	if (value > 255) throw corruptImage("files.img", `${field} of socket ${id} is ${value}`);
	return value;
}

/** Adds what sets IP_FREEBIND or its sister. */
export function planFreebind(program: Program, fd: Arg, family: number, on: boolean): void {
	const [level, name] =
		family === so.AF_INET6 ? [inet.IPPROTO_IPV6, inet.IPV6_FREEBIND] : [inet.IPPROTO_IP, inet.IP_FREEBIND];
	planIntOption(program, fd, level, name, on ? 1 : 0, "IP_FREEBIND");
}

/** Adds what sets the options of IP on a new socket, but for IP_FREEBIND. @throws ImageError */
export function planIpOpts(program: Program, fd: Arg, entry: inet_sk_entry, defaults: IpDefaults): void {
	const { id, family, ipOpts } = entry;
	if (ipOpts === undefined) return;
	const isIp6 = family === so.AF_INET6;
	const int = (level: number, name: number, value: number, label: string) =>
		planIntOption(program, fd, level, name, value, label);
	if (ipOpts.pktinfo) {
		if (isIp6) int(inet.IPPROTO_IPV6, inet.IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO");
		else int(inet.IPPROTO_IP, inet.IP_PKTINFO, 1, "IP_PKTINFO");
	}
	if (ipOpts.tos !== 0) int(inet.IPPROTO_IP, inet.IP_TOS, checkByte(id, "tos", ipOpts.tos), "IP_TOS");
	if (ipOpts.ttl !== 0 && ipOpts.ttl !== defaults.ttl)
		int(inet.IPPROTO_IP, inet.IP_TTL, checkByte(id, "ttl", ipOpts.ttl), "IP_TTL");
	const { raw } = ipOpts;
	if (raw === undefined || entry.type !== so.SOCK_RAW) return;
	if (!isIp6) {
		// A socket of IPPROTO_RAW has it from the beginning.
		const born = entry.proto === inet.IPPROTO_RAW;
		if (raw.hdrincl !== born) int(inet.IPPROTO_IP, inet.IP_HDRINCL, raw.hdrincl ? 1 : 0, "IP_HDRINCL");
		if (raw.nodefrag) int(inet.IPPROTO_IP, inet.IP_NODEFRAG, 1, "IP_NODEFRAG");
		if (raw.checksum) int(inet.IPPROTO_IP, inet.IP_CHECKSUM, 1, "IP_CHECKSUM");
	}
	if (raw.icmpvFilter.length === 0) return;
	const filter = icmpFilterOf({ family, type: entry.type, protocol: entry.proto });
	const value = new Uint8Array(Uint32Array.from(raw.icmpvFilter).buffer);
	if (filter === undefined || value.length !== filter.size)
		throw corruptImage("files.img", `the ICMP filter of socket ${id} has ${value.length} bytes`);
	program.syscall("set the ICMP filter", SYS_setsockopt, [fd, filter.level, filter.name, value, value.length]);
}

/** Adds what sets the options of TCP on a new socket. */
export function planTcpOpts(program: Program, fd: Arg, entry: inet_sk_entry, defaults: IpDefaults): void {
	const { tcpOpts, opts } = entry;
	if (entry.proto !== inet.IPPROTO_TCP) return;
	// CRIU up to 3.18 kept three of them among the options of all sockets.
	const old = { keepcnt: opts?.tcpKeepcnt ?? 0, keepidle: opts?.tcpKeepidle ?? 0, keepintvl: opts?.tcpKeepintvl ?? 0 };
	for (const [field, name, label] of KEEPALIVE) {
		const value = tcpOpts !== undefined && hasField(tcpOpts, field) ? tcpOpts[field] : old[field];
		if (value !== 0 && value !== defaults[field]) planIntOption(program, fd, so.SOL_TCP, name, value | 0, label);
	}
	if (tcpOpts?.nodelay) planIntOption(program, fd, so.SOL_TCP, inet.TCP_NODELAY, 1, "TCP_NODELAY");
	if (tcpOpts?.cork) planIntOption(program, fd, so.SOL_TCP, inet.TCP_CORK, 1, "TCP_CORK");
}
