// SPDX-License-Identifier: GPL-2.0-only
// Puts datagrams back into UDP sockets that are made and bound: they're sent once more, by a raw socket and under the senders'
// addresses, to the address of this host that the socket has. Meanwhile the socket is connected to the sender, so that no other
// one on its port can get them. Source: raw(7) IP_HDRINCL, udp(7), connect(2) AF_UNSPEC.

import { CriuError, KernelError } from "../../errors.ts";
import type { inet_sk_entry, sk_opts_entry } from "../../images/gen/socket_pb.ts";
import type { ImageDir } from "../../images/index.ts";
import { F_GETFL, F_SETFL } from "../../kernel/abi/fcntl.ts";
import * as inet from "../../kernel/abi/inet.ts";
import * as so from "../../kernel/abi/socket.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { log } from "../../log.ts";
import { closeFd, readAt, scopedFd } from "../../sys/file.ts";
import { mustSyscall, syscall } from "../../sys/host.ts";
import { getPidfdFd, openPidfd } from "../../sys/process.ts";
import { findIntOption, getIntOption, getSocketName } from "../../sys/socket.ts";
import { corruptImage } from "../file/image-checks.ts";
import {
	encodeSockaddr,
	hostLength,
	type InetAddress,
	isAny,
	needsScope,
	parseSockaddr,
	showAddress,
} from "./inet-address.ts";
import { readQueues } from "./inet-facts.ts";
import { QUEUES_FILE, type QueueMessage } from "./sk-queue.ts";
import { encodeDatagram } from "./udp-packet.ts";

const O_ASYNC = 0o20000;
const UNSPECIFIED = new Uint8Array(16);
const MAX_DATAGRAM = 65535;
/** What the kernel counts for a datagram beside its bytes, generously. */
const OVERHEAD = 4096;
const MAX_BUFFER = 1 << 30;
/** How long the kernel may take to deliver a packet within this host. */
const DELIVERY_MS = 5000;
const MAPPED = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);

/** A datagram as its image tells. */
export interface Datagram {
	readonly message: QueueMessage;
	readonly from: InetAddress;
	/** Where it was sent to; undefined: not known. */
	readonly to: Uint8Array | undefined;
}

/** Which socket, and what waits in it. */
export interface RefillRequest {
	readonly entry: inet_sk_entry;
	readonly opts: sk_opts_entry;
	/** Its number in the task. */
	readonly number: number;
	/** What it's connected to. */
	readonly target: InetAddress | undefined;
	/** Others in the images have its port. */
	readonly shared: boolean;
	readonly datagrams: readonly Datagram[];
	readonly dir: ImageDir;
}

/** The queue of a UDP socket, checked. @throws ImageError */
export function checkDatagrams(entry: inet_sk_entry, queue: readonly QueueMessage[]): Datagram[] {
	const { id, family } = entry;
	return queue.map((message) => {
		const from = message.name === undefined ? undefined : parseSockaddr(message.name);
		const to = message.target;
		const size = hostLength(family);
		if (message.length > MAX_DATAGRAM) throw corruptImage(QUEUES_FILE, `a datagram of ${message.length} bytes`);
		if (from === undefined || from.host.length !== size || (to !== undefined && to.length !== size && to.length !== 4))
			throw corruptImage(QUEUES_FILE, `an address of a datagram for socket ${id} is none of its family`);
		if (message.rights.length > 0) throw corruptImage(QUEUES_FILE, `files come with a datagram for socket ${id}`);
		return { message, from, to };
	});
}

/** An address as packets have it: 4 bytes also where a socket of IPv6 talks to IPv4. */
function onWire(host: Uint8Array): Uint8Array {
	return host.length === 16 && MAPPED.every((byte, i) => host[i] === byte) ? host.subarray(12) : host;
}

function familyOf(host: Uint8Array): number {
	return host.length === 4 ? so.AF_INET : so.AF_INET6;
}

/** True for an address of this host, to which only one socket listens. */
function isLocal(host: Uint8Array, scope: number): boolean {
	if (isAny(host)) return false;
	using probe = scopedFd(
		mustSyscall("to look at an address", nr.SYS_socket, familyOf(host), so.SOCK_DGRAM | so.SOCK_CLOEXEC, 0),
	);
	const address = encodeSockaddr({ host, port: 0, scope });
	return syscall(nr.SYS_bind, probe.fd, address, address.length) === 0 && !isMulticast(host);
}

function isMulticast(host: Uint8Array): boolean {
	const [first = 0] = host;
	return host.length === 4 ? (first & 0xf0) === 0xe0 || first === 0xff : first === 0xff;
}

function connect(fd: number, address: Uint8Array): boolean {
	return syscall(nr.SYS_connect, fd, address, address.length) === 0;
}

function setInt(fd: number, name: number, value: number): void {
	mustSyscall("of a UDP socket", nr.SYS_setsockopt, fd, so.SOL_SOCKET, name, new Int32Array([value]), 4);
}

function bindToDevice(fd: number, name: Uint8Array): void {
	mustSyscall("of a UDP socket", nr.SYS_setsockopt, fd, so.SOL_SOCKET, so.SO_BINDTODEVICE, name, name.length);
}

/** Fills one socket. */
class Refill {
	private readonly raws = new Map<number, number>();

	constructor(
		private readonly fd: number,
		private readonly request: RefillRequest,
	) {}

	private rawSocket(family: number): number {
		const known = this.raws.get(family);
		if (known !== undefined) return known;
		const type = so.SOCK_RAW | so.SOCK_CLOEXEC;
		const fd = mustSyscall("to put back datagrams", nr.SYS_socket, family, type, inet.IPPROTO_RAW);
		this.raws.set(family, fd);
		return fd;
	}

	/** The socket's own address as packets of a family have it. */
	private ownName(family: number): { host: Uint8Array | undefined; port: number } {
		const { host, port } = parseSockaddr(getSocketName(this.fd)) ?? { host: UNSPECIFIED, port: 0 };
		const own = onWire(host);
		return { host: familyOf(own) === family ? own : undefined, port };
	}

	/** Sends one, to the socket alone where it can be connected to the sender. Gives why it can't be put back. */
	private sendOne({ message, from, to }: Datagram, image: number): string | undefined {
		const { entry, target, shared } = this.request;
		const source = { host: onWire(from.host), port: from.port };
		const family = familyOf(source.host);
		const wanted = to === undefined ? undefined : onWire(to);
		const isPeer = target !== undefined && target.port === from.port && Buffer.compare(target.host, from.host) === 0;
		const asSent =
			target === undefined &&
			!shared &&
			wanted !== undefined &&
			familyOf(wanted) === family &&
			isLocal(wanted, from.scope);
		const connected = !isPeer && !asSent && connect(this.fd, encodeSockaddr(from));
		try {
			const own = this.ownName(family);
			let host = asSent ? wanted : own.host;
			if (host === undefined || isAny(host)) host = wanted;
			if (host === undefined || !isLocal(host, from.scope)) return "its address isn't one of this host";
			if (shared && !connected && !isPeer) return "others have its port too, and its sender can't be reached";
			const data = readAt(image, message.length, message.offset);
			const packet = encodeDatagram(entry.proto, source, { host, port: own.port }, data);
			// Raw sockets have no ports.
			const address = encodeSockaddr({ host, port: 0, scope: needsScope(host) ? from.scope : 0 });
			const before = readQueues(this.fd).received;
			const raw = this.rawSocket(family);
			const sent = syscall(nr.SYS_sendto, raw, packet, packet.length, so.MSG_DONTWAIT, address, address.length);
			if (sent !== packet.length) return sent < 0 ? new KernelError("sendto", -sent, "").message : "it was cut";
			return this.awaitMore(before) ? undefined : "this host doesn't deliver it, perhaps for a packet filter";
		} finally {
			if (connected) this.connectAsBefore();
		}
	}

	private connectAsBefore(): void {
		const { target } = this.request;
		connect(this.fd, UNSPECIFIED);
		if (target === undefined || connect(this.fd, encodeSockaddr(target))) return;
		throw new CriuError("SOCKET_QUEUE", `a UDP socket can't be connected to ${showAddress(target)} again`, {
			remedy: "give this host a route to the address",
		});
	}

	/** Usually it's there when the call that sends it comes back. */
	private awaitMore(before: number): boolean {
		for (const deadline = performance.now() + DELIVERY_MS; readQueues(this.fd).received <= before; ) {
			if (performance.now() > deadline) return false;
			Bun.sleepSync(1);
		}
		return true;
	}

	/** Runs what needs a larger buffer, no device of its own and no signals. */
	private withRoom(run: () => void): void {
		const { fd, request } = this;
		const flags = mustSyscall("of a UDP socket", nr.SYS_fcntl, fd, F_GETFL, 0);
		const buffer = getIntOption(fd, so.SOL_SOCKET, so.SO_RCVBUF);
		const lock = findIntOption(fd, so.SOL_SOCKET, so.SO_BUF_LOCK);
		const bytes = request.datagrams.reduce((sum, { message }) => sum + message.length * 2 + OVERHEAD, 0);
		const device = request.opts.soBoundDev;
		if ((flags & O_ASYNC) !== 0) mustSyscall("of a UDP socket", nr.SYS_fcntl, fd, F_SETFL, flags & ~O_ASYNC);
		if (bytes > buffer) setInt(fd, so.SO_RCVBUFFORCE, Math.min(bytes, MAX_BUFFER));
		if (device.length > 0) bindToDevice(fd, new Uint8Array(1));
		try {
			run();
		} finally {
			// A connection that ends takes the device along.
			if (device.length > 0) bindToDevice(fd, device);
			if (bytes > buffer) {
				setInt(fd, so.SO_RCVBUFFORCE, buffer >>> 1);
				if (lock !== undefined) setInt(fd, so.SO_BUF_LOCK, lock);
			}
			if ((flags & O_ASYNC) !== 0) mustSyscall("of a UDP socket", nr.SYS_fcntl, fd, F_SETFL, flags);
		}
	}

	run(image: number): void {
		try {
			this.withRoom(() => {
				for (const datagram of this.request.datagrams) {
					const reason = this.sendOne(datagram, image);
					if (reason === undefined) continue;
					const { message, from } = datagram;
					log.warn(`a datagram of ${message.length} bytes from ${showAddress(from)} is lost: ${reason}`);
				}
			});
		} finally {
			for (const raw of this.raws.values()) closeFd(raw);
		}
	}
}

/** Fills the queue of a UDP socket of a process that stands still. What can't be put back is told in the log. @throws KernelError */
export function refillUdp(pid: number, request: RefillRequest): void {
	using process = scopedFd(openPidfd(pid));
	using socket = scopedFd(getPidfdFd(process.fd, request.number));
	const image = request.dir.openFile(QUEUES_FILE);
	if (image === undefined) throw corruptImage(QUEUES_FILE, "it vanished while it was read");
	using file = scopedFd(image);
	new Refill(socket.fd, request).run(file.fd);
}
