// SPDX-License-Identifier: GPL-2.0-only
// Packet sockets: protocol, device, memberships, options, rings and fanout groups. What is in rings that nobody maps is lost, as
// are packets that wait. Images: files.img (packet_sock_entry). Source: packet(7), sock_diag(7).

import type { OpRef, Program } from "../../agent/program.ts";
import { type CriuError, KernelError } from "../../errors.ts";
import { fd_types, type file_entry, file_entrySchema } from "../../images/gen/fdinfo_pb.ts";
import {
	packet_mclistSchema,
	type packet_ring,
	packet_ringSchema,
	type packet_sock_entry,
	packet_sock_entrySchema,
} from "../../images/gen/socket_pb.ts";
import { create, hasField } from "../../images/index.ts";
import { errnoNumber } from "../../kernel/abi/errno.ts";
import * as pkt from "../../kernel/abi/packet.ts";
import * as diag from "../../kernel/abi/sock-diag.ts";
import * as so from "../../kernel/abi/socket.ts";
import { SYS_bind, SYS_setsockopt, SYS_socket } from "../../kernel/abi/syscalls.x86_64.ts";
import type { PacketDiag } from "../../kernel/netlink/packet-diag.ts";
import { log } from "../../log.ts";
import { checkFlags, imageFlags, nameFd, planFlags, planSignals, refuseFd } from "../file/anon-inode.ts";
import { checkInner, corruptImage } from "../file/image-checks.ts";
import type { DumpContext, FdFacts, FileKind, FilePlan } from "../kind.ts";
import { findDeviceName, getDeviceIndex } from "./devices.ts";
import { COMMON_EXTRAS, type ExtraOption } from "./extra-options.ts";
import { readQueues } from "./inet-facts.ts";
import {
	checkSkOpts,
	dumpSkOpts,
	findSkOptsBlockers,
	planIntOption,
	planReuse,
	planSkFilter,
	planSkOpts,
} from "./sk-opts.ts";
import { hasFamily } from "./socket-facts.ts";
import { netNamespaceId, packetSockets } from "./socket-tables.ts";

const { SOL_PACKET } = so;
const MAX_ADDRESS = 32;
const MAX_MEMBERSHIPS = 4096;
const MAX_COUNT = 1024;
const NO_FANOUT = 0xffffffff;
const SIZE_OF_REQ = 16;

const EXTRAS: readonly ExtraOption[] = [
	...COMMON_EXTRAS,
	...(
		[
			["PACKET_TX_HAS_OFF", pkt.PACKET_TX_HAS_OFF],
			["PACKET_QDISC_BYPASS", pkt.PACKET_QDISC_BYPASS],
			["PACKET_IGNORE_OUTGOING", pkt.PACKET_IGNORE_OUTGOING],
		] as const
	).map(([label, name]) => ({ level: SOL_PACKET, name, label, initial: 0 })),
];

function findDiag(file: FdFacts, context: DumpContext): PacketDiag | undefined {
	return packetSockets(context).get(Number(file.stat.ino & 0xffffffffn));
}

function findPacketBlockers(file: FdFacts, context: DumpContext): CriuError[] {
	const found = findSkOptsBlockers(file);
	if (findDiag(file, context)?.info === undefined)
		found.push(
			refuseFd(
				file,
				"is a packet socket of which this kernel doesn't tell",
				"load the module packet_diag, use a kernel with CONFIG_PACKET_DIAG, or close it in the program first",
			),
		);
	return found;
}

function encodeRing(ring: diag.PacketDiagRing): packet_ring {
	return create(packet_ringSchema, {
		blockSize: ring.pdr_block_size,
		blockNr: ring.pdr_block_nr,
		frameSize: ring.pdr_frame_size,
		frameNr: ring.pdr_frame_nr,
		retireTmo: ring.pdr_retire_tmo,
		sizeofPriv: ring.pdr_sizeof_priv,
		features: ring.pdr_features,
	});
}

function dumpPacket(file: FdFacts, id: number, context: DumpContext): file_entry {
	const socket = findDiag(file, context);
	const info = socket?.info;
	if (socket === undefined || info === undefined)
		throw new KernelError("sock_diag", errnoNumber("ENOENT"), `of ${nameFd(file)}`);
	const { received } = readQueues(file.ownFd);
	if (received > 0)
		log.warn(`${nameFd(file)}: packets that wait to be received (${received} bytes of kernel memory) are lost`);
	const has = (flag: number) => (info.pdi_flags & flag) !== 0;
	const { protocol } = socket;
	const psk = create(packet_sock_entrySchema, {
		id,
		type: socket.type,
		// In network byte order, as socket(2) takes it.
		protocol: ((protocol & 0xff) << 8) | (protocol >> 8),
		flags: imageFlags(file),
		ifindex: info.pdi_index,
		fown: file.fown,
		opts: dumpSkOpts(file, false, EXTRAS),
		version: info.pdi_version,
		reserve: info.pdi_reserve,
		auxData: has(diag.PDI_AUXDATA),
		origDev: has(diag.PDI_ORIGDEV),
		vnetHdr: has(diag.PDI_VNETHDR),
		loss: has(diag.PDI_LOSS),
		timestamp: info.pdi_tstamp,
		copyThresh: info.pdi_copy_thresh,
		mclist: socket.memberships.flatMap(({ index, count, type, address }) =>
			Array.from({ length: Math.min(count, MAX_COUNT) }, () =>
				create(packet_mclistSchema, { index, type, addr: address.slice() }),
			),
		),
		nsId: netNamespaceId(context),
	});
	if (socket.fanout !== undefined) psk.fanout = socket.fanout;
	if (socket.rxRing !== undefined) psk.rxRing = encodeRing(socket.rxRing);
	if (socket.txRing !== undefined) psk.txRing = encodeRing(socket.txRing);
	return create(file_entrySchema, { type: fd_types.PACKETSK, id, psk });
}

function planRing(program: Program, fd: OpRef, { id, version }: packet_sock_entry, ring: packet_ring, name: number) {
	const value = pkt.TpacketReq3.encode({
		tp_block_size: ring.blockSize,
		tp_block_nr: ring.blockNr,
		tp_frame_size: ring.frameSize,
		tp_frame_nr: ring.frameNr,
		tp_retire_blk_tov: ring.retireTmo,
		tp_sizeof_priv: ring.sizeofPriv,
		tp_feature_req_word: ring.features,
	});
	const size = version === pkt.TPACKET_V3 ? value.length : SIZE_OF_REQ;
	program.syscall(`give packet socket ${id} its ring`, SYS_setsockopt, [fd, SOL_PACKET, name, value, size], {
		remedies: { ENOMEM: "free memory: rings need much of it in one piece" },
	});
}

function planMemberships(program: Program, fd: OpRef, { id, mclist }: packet_sock_entry): void {
	if (mclist.length > MAX_MEMBERSHIPS) throw corruptImage("files.img", `packet socket ${id} has too many memberships`);
	for (const { index, type, addr } of mclist) {
		if (addr.length > MAX_ADDRESS || type > 0xffff || index > 0x7fffffff)
			throw corruptImage("files.img", `a membership of packet socket ${id}`);
		const head = pkt.PacketMreq.encode({ mr_ifindex: index, mr_type: type, mr_alen: addr.length });
		const { mr_address } = pkt.PacketMreq.offsets;
		const value = new Uint8Array(Math.max(head.length, mr_address + addr.length));
		value.set(head);
		value.set(addr, mr_address);
		program.syscall(
			`join packets of device ${index}`,
			SYS_setsockopt,
			[fd, SOL_PACKET, pkt.PACKET_ADD_MEMBERSHIP, value, value.length],
			{ remedies: { ENODEV: "give this host the network device" } },
		);
	}
}

function planBind(program: Program, fd: OpRef, entry: packet_sock_entry): void {
	const { ifindex, protocol, type } = entry;
	if (ifindex === 0) return;
	if (type === so.SOCK_PACKET) {
		// The old form names the device.
		const name = findDeviceName(ifindex) ?? new TextEncoder().encode(`number ${ifindex}`);
		getDeviceIndex(name, "a packet socket");
		const address = new Uint8Array(16);
		address[0] = so.AF_PACKET;
		address.set(name.subarray(0, 13), 2);
		program.syscall("bind a packet socket", SYS_bind, [fd, address, address.length]);
		return;
	}
	const address = pkt.SockaddrLl.encode({
		sll_family: so.AF_PACKET,
		sll_protocol: Uint8Array.of(protocol & 0xff, protocol >> 8),
		sll_ifindex: ifindex | 0,
	});
	program.syscall(`bind a packet socket to device ${ifindex}`, SYS_bind, [fd, address, address.length], {
		remedies: { ENODEV: "give this host the network device" },
	});
}

function planPacket(file: file_entry, { program }: FilePlan): OpRef {
	const entry = checkInner(file.id, "packet socket", file.psk);
	const { id, type, protocol } = entry;
	if (![so.SOCK_RAW, so.SOCK_DGRAM, so.SOCK_PACKET].includes(type) || protocol > 0xffff)
		throw corruptImage("files.img", `the type or protocol of packet socket ${id}`);
	checkFlags(id, entry.flags);
	const opts = checkSkOpts(id, entry.opts);
	const fd = program.syscall(`make packet socket ${id}`, SYS_socket, [so.AF_PACKET, type, protocol], {
		remedies: { EPERM: "run criu as root (CAP_NET_RAW)" },
	});
	const int = (name: number, value: number, label: string) =>
		planIntOption(program, fd, SOL_PACKET, name, value | 0, label);
	planSkOpts(program, fd, id, opts, EXTRAS);
	planReuse(program, fd, opts);
	planSkFilter(program, fd, opts);
	if (entry.version !== 0) int(pkt.PACKET_VERSION, entry.version, "PACKET_VERSION");
	if (entry.reserve !== 0) int(pkt.PACKET_RESERVE, entry.reserve, "PACKET_RESERVE");
	if (entry.timestamp !== 0) int(pkt.PACKET_TIMESTAMP, entry.timestamp, "PACKET_TIMESTAMP");
	if (entry.copyThresh !== 0) int(pkt.PACKET_COPY_THRESH, entry.copyThresh, "PACKET_COPY_THRESH");
	if (entry.auxData) int(pkt.PACKET_AUXDATA, 1, "PACKET_AUXDATA");
	if (entry.origDev) int(pkt.PACKET_ORIGDEV, 1, "PACKET_ORIGDEV");
	if (entry.vnetHdr) int(pkt.PACKET_VNET_HDR, 1, "PACKET_VNET_HDR");
	if (entry.loss) int(pkt.PACKET_LOSS, 1, "PACKET_LOSS");
	planMemberships(program, fd, entry);
	// Before the rings: what other devices bring meanwhile isn't for them.
	planBind(program, fd, entry);
	if (entry.rxRing !== undefined) planRing(program, fd, entry, entry.rxRing, pkt.PACKET_RX_RING);
	if (entry.txRing !== undefined) planRing(program, fd, entry, entry.txRing, pkt.PACKET_TX_RING);
	if (hasField(entry, "fanout") && entry.fanout !== NO_FANOUT) int(pkt.PACKET_FANOUT, entry.fanout, "PACKET_FANOUT");
	planFlags(program, fd, entry.flags, 0);
	return fd;
}

export const packetSocket: FileKind = {
	name: "packet socket",
	type: fd_types.PACKETSK,
	source: "sock_diag(7), getsockopt(2)",
	matches: hasFamily(so.AF_PACKET),
	findBlockers: findPacketBlockers,
	dump: dumpPacket,
	plan: planPacket,
	finish: ({ psk }, { program, number }) => planSignals(program, number, psk?.flags ?? 0),
};
