// SPDX-License-Identifier: GPL-2.0-only
// Internet sockets: from their entry in files.img to operations that make them. Sockets of one port may be in each other's way:
// while they're made all may share it, listening begins when all are bound, and their own settings come last.

import type { OpRef, Program } from "../../agent/program.ts";
import { UnsupportedError } from "../../errors.ts";
import type { file_entry } from "../../images/gen/fdinfo_pb.ts";
import type { inet_sk_entry, sk_opts_entry } from "../../images/gen/socket_pb.ts";
import * as inet from "../../kernel/abi/inet.ts";
import * as so from "../../kernel/abi/socket.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { readSysctl } from "../../kernel/procfs/sysctl.ts";
import { checkFlags, planFlags, planSignals } from "../file/anon-inode.ts";
import { checkInner, corruptImage } from "../file/image-checks.ts";
import type { FileFinish, FilePlan, RestoreContext, TaskPlan } from "../kind.ts";
import { getDeviceIndex } from "./devices.ts";
import { encodeSockaddr, fromWords, type InetAddress, needsScope, showAddress } from "./inet-address.ts";
import { isBound } from "./inet-facts.ts";
import { inetExtras } from "./inet-options.ts";
import { type IpDefaults, planFreebind, planIpOpts, planTcpOpts } from "./ip-opts.ts";
import { planGroups } from "./multicast.ts";
import { checkSkOpts, planBoundDevice, planIntOption, planReuse, planSkFilter, planSkOpts } from "./sk-opts.ts";
import { readSocketQueues } from "./sk-queue.ts";
import { checkDatagrams, refillUdp } from "./udp-refill.ts";

const MAX_PORT = 65535;
/** What the kernel has room for; which of them it knows it says itself (IPPROTO_MAX grows). */
const MAX_PROTOCOL = 0xffff;
const I32_MAX = 0x7fffffff;

/** An entry whose numbers have been checked. */
interface CheckedInet {
	readonly entry: inet_sk_entry;
	readonly opts: sk_opts_entry;
	readonly isTcp: boolean;
	readonly source: InetAddress;
	readonly target: InetAddress | undefined;
	readonly bound: boolean;
	/** Others in the images have the same port. */
	readonly shared: boolean;
	/** A TCP socket that is or was connected. */
	readonly connection: boolean;
}

const isTcpEntry = ({ type, proto }: inet_sk_entry) => type === so.SOCK_STREAM && proto === inet.IPPROTO_TCP;

/** How many sockets of the images have each port of each protocol. */
function countPorts(context: RestoreContext): ReadonlyMap<string, number> {
	return context.once("inet-ports", () => {
		const counts = new Map<string, number>();
		for (const { isk } of context.files.values()) {
			if (isk === undefined || isk.srcPort === 0) continue;
			const key = `${isk.proto}:${isk.srcPort}`;
			counts.set(key, (counts.get(key) ?? 0) + 1);
		}
		return counts;
	});
}

function checkSort({ id, family, type, proto }: inet_sk_entry): void {
	if (family !== so.AF_INET && family !== so.AF_INET6)
		throw corruptImage("files.img", `internet socket ${id} is of family ${family}`);
	const known =
		(type === so.SOCK_STREAM && proto === inet.IPPROTO_TCP) ||
		(type === so.SOCK_RAW && proto <= MAX_PROTOCOL) ||
		(type === so.SOCK_DGRAM &&
			[inet.IPPROTO_UDP, inet.IPPROTO_UDPLITE, inet.IPPROTO_ICMP, inet.IPPROTO_ICMPV6].includes(proto));
	if (!known)
		throw new UnsupportedError("UNSUPPORTED_FILE", `socket ${id} of the images is of type ${type}, protocol ${proto}`, {
			remedy: "restore these images with the original criu",
		});
}

function checkEntry(file: file_entry, context: RestoreContext): CheckedInet {
	const entry = checkInner(file.id, "internet socket", file.isk);
	const { id, family, type, srcPort, dstPort, backlog, shutdown } = entry;
	checkSort(entry);
	const bad = (what: string) => corruptImage("files.img", `${what} of socket ${id}`);
	if (srcPort > MAX_PORT || dstPort > MAX_PORT) throw bad("a port");
	if (backlog > I32_MAX) throw bad("the backlog");
	if (shutdown > 3) throw bad("the shutdown");
	checkFlags(id, entry.flags);
	const opts = checkSkOpts(id, entry.opts);
	const host = fromWords(id, "src_addr", entry.srcAddr, family);
	const to = fromWords(id, "dst_addr", entry.dstAddr, family);
	// Both are on one link.
	const device = entry.ifname.length > 0 ? entry.ifname : opts.soBoundDev;
	const scope = device.length > 0 && (needsScope(host) || needsScope(to)) ? getDeviceIndex(device, `socket ${id}`) : 0;
	const isTcp = isTcpEntry(entry);
	const connected = isTcp ? dstPort !== 0 : entry.state === inet.TCP_ESTABLISHED;
	const source = { host, port: srcPort, scope: needsScope(host) ? scope : 0 };
	return {
		entry,
		opts,
		isTcp,
		source,
		target: connected ? { host: to, port: dstPort, scope: needsScope(to) ? scope : 0 } : undefined,
		bound: isBound({ type, local: source }),
		shared: (countPorts(context).get(`${entry.proto}:${srcPort}`) ?? 0) > 1,
		connection: isTcp && connected,
	};
}

/** What new sockets have on this host. @throws KernelError */
function readDefaults(context: RestoreContext): IpDefaults {
	return context.once("ip-defaults", () => ({
		ttl: readSysctl("net/ipv4/ip_default_ttl"),
		keepcnt: readSysctl("net/ipv4/tcp_keepalive_probes"),
		keepidle: readSysctl("net/ipv4/tcp_keepalive_time"),
		keepintvl: readSysctl("net/ipv4/tcp_keepalive_intvl"),
	}));
}

const SOCKET_REMEDIES = {
	EAFNOSUPPORT: "restore on a kernel with IPv6",
	EPROTONOSUPPORT: "restore on a kernel that knows this protocol, as the one of the dump",
	EACCES: "let the group 0 ping: sysctl net.ipv4.ping_group_range='0 2147483647'",
	EPERM: "run criu as root (CAP_NET_RAW)",
} as const;

/** What may hold for the time of binding besides the socket's own settings. */
function sharingOf({ isTcp, shared, entry, opts }: CheckedInet): { address: boolean; port: boolean } {
	// A port of TCP may still be busy with ended connections of before.
	const address = opts.reuseaddr || isTcp || shared;
	const port = opts.soReuseport || (shared && isTcp && entry.state === inet.TCP_LISTEN);
	return { address, port };
}

function planBind(program: Program, fd: OpRef, checked: CheckedInet): void {
	const { entry, opts, source, bound, shared } = checked;
	const now = sharingOf(checked);
	const own = { ...opts, reuseaddr: now.address, soReuseport: now.port };
	if (!bound) {
		planReuse(program, fd, opts);
		if (entry.ipOpts?.freebind) planFreebind(program, fd, entry.family, true);
		return;
	}
	planReuse(program, fd, own);
	// A new IPv6 address of the host can't be bound to for some seconds otherwise.
	const free = entry.ipOpts?.freebind === true || entry.family === so.AF_INET6;
	if (free) planFreebind(program, fd, entry.family, true);
	const address = encodeSockaddr(entry.type === so.SOCK_RAW ? { ...source, port: 0 } : source);
	program.syscall(`bind a socket to ${showAddress(source)}`, nr.SYS_bind, [fd, address, address.length], {
		remedies: {
			EADDRINUSE: `end what has this port now: ss -anp sport = :${source.port}`,
			EADDRNOTAVAIL: "give this host the address",
		},
	});
	if (free && entry.ipOpts?.freebind !== true) planFreebind(program, fd, entry.family, false);
	if (!shared) planReuse(program, fd, opts, now);
}

function planListen(program: Program, fd: OpRef | number, { entry, source }: CheckedInet): void {
	program.syscall(`listen at ${showAddress(source)}`, nr.SYS_listen, [fd, entry.backlog], {
		remedies: { EADDRINUSE: `end what listens there now: ss -ltnp sport = :${source.port}` },
	});
}

/** A connection that isn't to be kept: as if the other side had closed it. */
function planClosed(
	program: Program,
	fd: OpRef,
	{ entry, source, target }: CheckedInet,
	context: RestoreContext,
): void {
	if (!context.options.tcpClose)
		throw new UnsupportedError(
			"TCP_CONNECTION",
			`socket ${entry.id} of the images is a TCP connection, ${showAddress(source)} to ${target ? showAddress(target) : "?"}: connections come with TCP support`,
			{ remedy: "let it be closed, by --tcp-close" },
		);
	program.syscall("close a connection", nr.SYS_shutdown, [fd, so.SHUT_RDWR], { check: { okOr: "ENOTCONN" } });
}

/** Adds what makes an internet socket. @throws ImageError, UnsupportedError */
export function planInet(file: file_entry, { program, context }: FilePlan): OpRef {
	const checked = checkEntry(file, context);
	const { entry, opts, target, isTcp, connection, shared } = checked;
	const { id, family, type, proto } = entry;
	const defaults = readDefaults(context);
	const fd = program.syscall(`make internet socket ${id}`, nr.SYS_socket, [family, type, proto], {
		remedies: SOCKET_REMEDIES,
	});
	// The type of service sets the priority too, which has a will of its own.
	planIpOpts(program, fd, entry, defaults);
	planTcpOpts(program, fd, entry, defaults);
	planSkOpts(program, fd, id, opts, inetExtras({ family, type, protocol: proto }));
	planBoundDevice(program, fd, opts);
	planGroups(program, fd, entry);
	planSkFilter(program, fd, opts);
	if (family === so.AF_INET6 && entry.v6only)
		planIntOption(program, fd, inet.IPPROTO_IPV6, inet.IPV6_V6ONLY, 1, "IPV6_V6ONLY");
	if (connection) {
		planReuse(program, fd, opts);
		planClosed(program, fd, checked, context);
	} else {
		planBind(program, fd, checked);
		if (isTcp && entry.state === inet.TCP_LISTEN && !shared) planListen(program, fd, checked);
		if (target !== undefined) {
			const address = encodeSockaddr(target);
			program.syscall(`connect a socket to ${showAddress(target)}`, nr.SYS_connect, [fd, address, address.length], {
				remedies: { ENETUNREACH: "give this host a route to the address" },
			});
		}
		// It says that there's no connection, and does it all the same.
		if (entry.shutdown !== 0)
			program.syscall("shut a socket down", nr.SYS_shutdown, [fd, entry.shutdown - 1], {
				check: { okOr: "ENOTCONN" },
			});
	}
	planFlags(program, fd, entry.flags, 0);
	return fd;
}

/** Adds what puts datagrams back that wait in a UDP socket, when all sockets of all tasks are as they have to be. */
function planQueue(checked: CheckedInet, number: number, plan: TaskPlan, context: RestoreContext): void {
	const { entry, opts, target, shared } = checked;
	const queue = readSocketQueues(context).get(entry.id);
	if (queue === undefined) return;
	const datagrams = checkDatagrams(entry, queue);
	const request = { entry, opts, number, target, shared, datagrams, dir: context.dir };
	plan.outside.push({
		what: `put ${datagrams.length} datagrams back into socket ${entry.id}`,
		run: (pid) => refillUdp(pid, request),
	});
}

/** Adds what waits until all sockets of a port are bound. */
export function finishInet(file: file_entry, { plan, number, program, context }: FileFinish): void {
	const checked = checkEntry(file, context);
	const { entry, opts, isTcp, connection, shared, bound } = checked;
	planSignals(program, number, entry.flags);
	planQueue(checked, number, plan, context);
	if (connection || !shared || !bound) return;
	if (isTcp && entry.state === inet.TCP_LISTEN) planListen(program, number, checked);
	planReuse(plan.programs.arm, number, opts, sharingOf(checked));
}
