// SPDX-License-Identifier: GPL-2.0-only
// Rings of packet sockets, as a task has them mapped. The kernel doesn't tell where it goes on in a ring, so only one through
// which nothing has gone yet can be made again. Image: mm-PID.img, shmid is the socket's id in files.img.
// Source: Documentation/networking/packet_mmap.rst, net/packet/af_packet.c:packet_mmap.

import type { Program } from "../../agent/program.ts";
import { type CriuError, UnsupportedError } from "../../errors.ts";
import { fd_types } from "../../images/gen/fdinfo_pb.ts";
import type { vma_entry } from "../../images/gen/mm_pb.ts";
import { TPACKET_V3, TpacketBlock } from "../../kernel/abi/packet.ts";
import { AF_PACKET } from "../../kernel/abi/socket.ts";
import { SYS_close } from "../../kernel/abi/syscalls.x86_64.ts";
import type { SmapsFacts } from "../../kernel/procfs/smaps.ts";
import { openMemory } from "../../pages/sink.ts";
import { readAt, showPath } from "../../sys/file.ts";
import { findMade } from "../file/fd-table.ts";
import { planTake } from "../file/kept-files.ts";
import { collectFds } from "../file/open-files.ts";
import type { DumpContext, DumpedTask, FdFacts, RestoreContext, TaskImage, TaskKind, TaskPlan } from "../kind.ts";
import { hasFamily, isSocket } from "../socket/socket-facts.ts";
import { packetSockets } from "../socket/socket-tables.ts";
import { hasSharedMemory, takesMemory } from "../task/sharing.ts";
import { corruptMemory } from "./mm-pages.ts";
import { planFinish, planMapping } from "./mm-plan.ts";
import { classifyVma, VMA_AREA_SOCKET } from "./vma.ts";

const PIECE = 1 << 20;
const isPacketSocket = hasFamily(AF_PACKET);

/** A descriptor of the socket that a mapping belongs to, of whichever task; undefined when none has it open. */
function findSocket(vma: SmapsFacts, task: DumpedTask, context: DumpContext): FdFacts | undefined {
	for (const holder of [task, ...context.tasks]) {
		const found = collectFds(holder, context).find((file) => file.stat.ino === vma.ino && isSocket(file));
		if (found !== undefined) return found;
	}
	return undefined;
}

function isZero(fd: number, start: bigint, length: number): boolean {
	for (let at = 0; at < length; at += PIECE)
		if (readAt(fd, Math.min(PIECE, length - at), start + BigInt(at)).some((byte) => byte !== 0)) return false;
	return true;
}

/** Nothing has gone through a ring whose frames are all as the kernel made them. */
function isUnused(pid: number, start: bigint, length: number, hasBlocks: boolean): boolean {
	using memory = openMemory(pid);
	if (!hasBlocks) return isZero(memory.fd, start, length);
	// The kernel opens the first block at once; it's empty still.
	const { size } = TpacketBlock;
	const bytes = readAt(memory.fd, size, start);
	const first = TpacketBlock.read(new DataView(bytes.buffer, bytes.byteOffset, bytes.length));
	const isFresh = first.block_status === 0 && first.num_pkts === 0;
	return isFresh && isZero(memory.fd, start + BigInt(size), length - size);
}

function explain(
	vma: SmapsFacts,
	task: DumpedTask,
	context: DumpContext,
): [reason: string, remedy: string] | undefined {
	const socket = findSocket(vma, task, context);
	if (socket === undefined) return ["belongs to a socket that no task has open", "unmap it in the program first"];
	if (!isPacketSocket(socket))
		return [
			"is memory of a socket that is no packet socket (TCP_ZEROCOPY_RECEIVE, AF_XDP), which can't be made again",
			"unmap it in the program first",
		];
	const facts = packetSockets(context).get(Number(socket.stat.ino & 0xffffffffn));
	// The socket itself is refused then.
	if (facts?.info === undefined) return undefined;
	const [received = 0, sent = 0] = [facts.rxRing, facts.txRing].map((ring) =>
		ring === undefined ? 0 : ring.pdr_block_size * ring.pdr_block_nr,
	);
	if (vma.pgoff !== 0n || vma.end - vma.start !== BigInt(received + sent))
		return ["is a part of a packet socket's ring, which can only be mapped as a whole", "map all of it in the program"];
	const hasBlocks = received > 0 && facts.info.pdi_version === TPACKET_V3;
	const isWhole = received === 0 || isUnused(task.pid, vma.start, received, hasBlocks);
	if (isWhole && (sent === 0 || isUnused(task.pid, vma.start + BigInt(received), sent, false))) return undefined;
	return [
		"is a packet socket's ring that is in use, and the kernel doesn't tell where in it it goes on",
		"close the socket in the program first, or use one without a ring",
	];
}

/** Why mapped rings of a task can't be kept. */
export function findRingBlockers(task: DumpedTask, context: DumpContext): CriuError[] {
	if (hasSharedMemory(task, context)) return [];
	const rings = task.vmas.filter((vma) => classifyVma(vma) === "packet-ring");
	return rings.flatMap((vma) => {
		const why = explain(vma, task, context);
		if (why === undefined) return [];
		const place = `${vma.start.toString(16)}-${vma.end.toString(16)} ${showPath(vma.name)}`;
		const message = `pid ${task.pid}: mapping ${place} ${why[0]}`;
		return [new UnsupportedError("UNSUPPORTED_MAPPING", message, { remedy: why[1] })];
	});
}

/** The id of a ring's socket in files.img. */
export function dumpRing(vma: SmapsFacts, task: DumpedTask, context: DumpContext): number {
	const socket = findSocket(vma, task, context);
	return (socket === undefined ? undefined : context.files.addOpen(socket)?.id) ?? 0;
}

function planRing(program: Program, file: string, vma: vma_entry, plan: TaskPlan, context: RestoreContext): void {
	const id = Number(vma.shmid);
	const socket = findMade(id, context);
	if (context.files.get(id)?.type !== fd_types.PACKETSK || socket === undefined)
		throw corruptMemory(file, `no packet socket for mapping 0x${vma.start.toString(16)}`);
	const fd = planTake(program, socket, plan);
	planMapping(program, vma, fd, false, `from packet socket ${id}`);
	program.syscall("close the mapped socket", SYS_close, [fd]);
	planFinish(program, vma, false);
}

/** Rings are mapped when all descriptors are in place: comes right behind them. */
export const packetRings: TaskKind = {
	name: "packet rings",
	findBlockers: findRingBlockers,
	plan(image: TaskImage, plan: TaskPlan, context: RestoreContext): void {
		const rings = image.mm.vmas.filter(({ status }) => (status & VMA_AREA_SOCKET) !== 0);
		if (rings.length === 0 || takesMemory(image, context)) return;
		for (const vma of rings) planRing(plan.programs.release, `mm-${image.pstree.pid}.img`, vma, plan, context);
	},
};
