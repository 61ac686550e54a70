// SPDX-License-Identifier: GPL-2.0-only
// What pipes hold, with and without a name: duplicated by tee(2), so that nothing is consumed, and written back in pieces of a
// buffer. Images: pipes-data.img, fifo-data.img (pipe_data_entry, each followed by its bytes). Source: tee(2), splice(2), pipe(7).

import type { Arg, Program } from "../../agent/program.ts";
import { CriuError, KernelError } from "../../errors.ts";
import type { file_entry } from "../../images/gen/fdinfo_pb.ts";
import type { pipe_data_entry } from "../../images/gen/file_pb.ts";
import { pipe_data_entrySchema } from "../../images/gen/file_pb.ts";
import { create, hasField, type ImageKind, type ImageWriter, KINDS } from "../../images/index.ts";
import { F_GETPIPE_SZ, F_SETFL, F_SETPIPE_SZ, O_CLOEXEC, O_DIRECT, O_NONBLOCK } from "../../kernel/abi/fcntl.ts";
import { FIONREAD } from "../../kernel/abi/ioctl.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { closeFd } from "../../sys/file.ts";
import { mustSyscall, syscall } from "../../sys/host.ts";
import type { DumpContext, RestoreContext, TaskPlan } from "../kind.ts";
import { LASTING } from "../lasting.ts";
import { corruptImage } from "./image-checks.ts";
import { keptFilesOf } from "./kept-files.ts";
import { lookIntoPipe } from "./pipe-peek.ts";
import { sharedWriter } from "./shared-writer.ts";

const SPLICE_F_NONBLOCK = 2;
const EAGAIN = 11;
const MAX_PIPE = 1 << 30;
/** Capacity of a pipe whose image doesn't tell. */
const DEFAULT_SIZE = 65536;
const PROT_READ_WRITE = 3;
const BUFFER_FLAGS = 0x100022; // MAP_FIXED_NOREPLACE | MAP_ANONYMOUS | MAP_PRIVATE
/** The longest packet: one buffer of a pipe. */
const MAX_PACKET = 4096;

/** Where the content of a sort of pipes is kept. */
export interface PipeStore {
	readonly kind: ImageKind<pipe_data_entry>;
	readonly file: string;
	/** The pipe_id of an entry of files.img that is such a pipe. */
	idOf(entry: file_entry): number | undefined;
}

/** Pipes without a name. */
export const PIPES: PipeStore = {
	kind: KINDS.PIPES_DATA,
	file: "pipes-data.img",
	idOf: ({ pipe }) => pipe?.pipeId,
};

/** Named pipes. */
export const FIFOS: PipeStore = { kind: KINDS.FIFO_DATA, file: "fifo-data.img", idOf: ({ fifo }) => fifo?.pipeId };

/** Bytes that wait in a pipe. */
export function countPipeBytes(fd: number): number {
	const count = new Int32Array(1);
	mustSyscall(`of fd ${fd}`, nr.SYS_ioctl, fd, FIONREAD, count);
	return count[0] ?? 0;
}

/** A pipe of ours that holds the same as the one given, which keeps it. The caller closes the descriptor. */
function duplicateContent(fd: number, size: number, bytes: number): number {
	const ends = new Int32Array(2);
	mustSyscall("for the content of a pipe", nr.SYS_pipe2, ends, O_CLOEXEC);
	const [readEnd = -1, writeEnd = -1] = ends;
	try {
		const got = syscall(nr.SYS_fcntl, writeEnd, F_SETPIPE_SZ, size);
		if (got < 0) throw new KernelError("fcntl", -got, `F_SETPIPE_SZ ${size}`);
		const copied = syscall(nr.SYS_tee, fd, writeEnd, MAX_PIPE, SPLICE_F_NONBLOCK);
		if (copied < 0 && copied !== -EAGAIN) throw new KernelError("tee", -copied, "of a pipe");
		if (Math.max(copied, 0) !== bytes)
			throw new CriuError(
				"PIPE_CONTENT",
				`a pipe holds ${bytes} bytes, but only ${Math.max(copied, 0)} can be copied`,
				{
					remedy: "let the program read the pipe first, or try again",
				},
			);
		return readEnd;
	} catch (error) {
		closeFd(readEnd);
		throw error;
	} finally {
		closeFd(writeEnd);
	}
}

/**
 * Lengths of the packets that a pipe in packet mode holds, nothing being consumed; undefined when some of it isn't a packet.
 *
 * @throws KernelError, CriuError PIPE_CONTENT
 */
export function readPackets(fd: number): number[] | undefined {
	const size = mustSyscall("of a pipe", nr.SYS_fcntl, fd, F_GETPIPE_SZ, 0);
	const bytes = countPipeBytes(fd);
	if (bytes === 0) return [];
	// Of one copy whole packets are read, of the other single bytes: what such a read drops with it was one packet.
	const whole = duplicateContent(fd, size, bytes);
	try {
		const pieces = duplicateContent(fd, size, bytes);
		try {
			return comparePackets(whole, pieces, bytes);
		} finally {
			closeFd(pieces);
		}
	} finally {
		closeFd(whole);
	}
}

function comparePackets(whole: number, pieces: number, bytes: number): number[] | undefined {
	const buffer = new Uint8Array(MAX_PACKET);
	const packets: number[] = [];
	for (let left = bytes; left > 0; ) {
		const length = mustSyscall("of a packet", nr.SYS_read, whole, buffer, MAX_PACKET);
		mustSyscall("of a packet", nr.SYS_read, pieces, buffer, 1);
		left -= length;
		if (length === 0 || countPipeBytes(pieces) !== left) return undefined;
		packets.push(length);
	}
	return packets;
}

/** The packets of a pipe of the dump, found once. */
export function packetsOf(pipeId: number, fd: number, store: PipeStore, context: Pick<DumpContext, "once">) {
	return context.once(`packets:${store.file}:${pipeId}`, () => readPackets(fd));
}

/**
 * Writes the content of a pipe, once; `fd` is a read end. `inPackets`: some end of it is in packet mode.
 *
 * @throws KernelError, CriuError PIPE_CONTENT, ImageError
 */
export function dumpPipeData(
	pipeId: number,
	fd: number,
	context: DumpContext,
	store: PipeStore = PIPES,
	inPackets = false,
): void {
	context.once(`pipe-data:${store.file}:${pipeId}`, () => {
		const { size, bytes, data, hasPackets } = lookIntoPipe(fd, context);
		const writer = sharedWriter(store.kind, context);
		const packets = inPackets || hasPackets ? packetsOf(pipeId, fd, store, context) : [];
		// Pipes in packet mode have been looked at before; in others nobody expects packets, and a look at each costs too much.
		if (packets === undefined)
			throw new CriuError(
				"PIPE_PACKETS",
				`the pipe with inode number ${pipeId} holds packets (O_DIRECT) and a stream, whose borders the kernel doesn't tell`,
				{
					remedy: "let the program read the pipe first",
				},
			);
		writer.write(create(pipe_data_entrySchema, { pipeId, bytes, size, packets }));
		if (data.length === bytes) writer.writePayload(data);
		else writeContent(writer, store, duplicateContent(fd, size, bytes), bytes);
		return true;
	});
}

function writeContent(writer: ImageWriter<pipe_data_entry>, { file }: PipeStore, copy: number, bytes: number): void {
	try {
		const { fd, offset, hasPositions } = writer.openStream(bytes);
		const at = hasPositions ? new BigInt64Array([BigInt(offset)]) : 0;
		for (let left = bytes; left > 0; ) {
			const done = mustSyscall(`to ${file}`, nr.SYS_splice, copy, 0, fd, at, left, 0);
			if (done === 0) throw new KernelError("splice", 5, `to ${file}`);
			left -= done;
		}
		writer.skip(bytes);
	} finally {
		closeFd(copy);
	}
}

/** Where the content of a pipe lies in the image. */
export interface PipeContent {
	readonly offset: number;
	readonly bytes: number;
	/** Capacity in bytes; undefined when the image doesn't tell. */
	readonly size: number | undefined;
	/** Lengths of its packets; empty for a stream of bytes. */
	readonly packets: readonly number[];
}

/** Content by pipe id. @throws ImageError */
export function readPipeContents(context: RestoreContext, store: PipeStore = PIPES): ReadonlyMap<number, PipeContent> {
	return context.once(`contents:${store.file}`, () => {
		const { file } = store;
		const known = new Set([...context.files.values()].map((entry) => store.idOf(entry)));
		const contents = new Map<number, PipeContent>();
		using reader = context.dir.findReader(store.kind);
		for (let entry = reader?.next(); reader !== undefined && entry !== undefined; entry = reader.next()) {
			const { pipeId, bytes, packets } = entry;
			if (contents.has(pipeId)) throw corruptImage(file, `pipe_id ${pipeId} twice`);
			if (!known.has(pipeId)) throw corruptImage(file, `files.img has no pipe with pipe_id ${pipeId}`);
			const size = hasField(entry, "size") ? entry.size : undefined;
			if (bytes > (size ?? DEFAULT_SIZE) || (size ?? 0) > MAX_PIPE)
				throw corruptImage(file, `pipe ${pipeId} holds ${bytes} bytes with a size of ${size ?? DEFAULT_SIZE}`);
			checkPackets(entry, size ?? DEFAULT_SIZE, file);
			contents.set(pipeId, { offset: reader.takePayload(bytes).offset, bytes, size, packets });
		}
		return contents;
	});
}

function checkPackets({ pipeId, bytes, packets }: pipe_data_entry, size: number, file: string): void {
	if (packets.length === 0) return;
	let sum = 0;
	for (const length of packets) {
		if (length === 0 || length > MAX_PACKET) throw corruptImage(file, `pipe ${pipeId} has a packet of ${length} bytes`);
		sum += length;
	}
	if (sum !== bytes || packets.length > size / MAX_PACKET)
		throw corruptImage(file, `pipe ${pipeId} has ${packets.length} packets of ${sum} bytes in all, not ${bytes}`);
}

/** Length of the temporary buffer that the filling of all pipes needs. */
function bufferLength(context: RestoreContext): number {
	return context.once("pipe-buffer-length", () => {
		let longest = 0;
		for (const store of [PIPES, FIFOS])
			for (const { bytes } of readPipeContents(context, store).values()) longest = Math.max(longest, bytes);
		return Math.ceil(longest / 4096) * 4096;
	});
}

/** Adds what gives a new pipe its capacity and content; `writeEnd` must not block, and only serve for this. */
export function planPipeContent(
	program: Program,
	pipeId: number,
	writeEnd: Arg,
	plan: TaskPlan,
	context: RestoreContext,
	store: PipeStore = PIPES,
): void {
	const content = readPipeContents(context, store).get(pipeId);
	if (content === undefined) return;
	const { bytes, offset, size, packets } = content;
	if (size !== undefined)
		program.syscall(`size pipe ${pipeId}`, nr.SYS_fcntl, [writeEnd, F_SETPIPE_SZ, size], {
			remedies: { EPERM: "raise the sysctl fs.pipe-max-size, or run as root", ENOMEM: "free memory" },
		});
	if (bytes === 0) return;
	const { file } = store;
	const image = keptFilesOf(plan).pass(file, () => {
		const fd = context.dir.openFile(file);
		if (fd === undefined) throw corruptImage(file, "it vanished while it was read");
		return fd;
	});
	const length = bufferLength(context);
	const buffer = plan.lasting + LASTING.pipes;
	keptFilesOf(plan).borrow("pipe buffer", {
		begin: () =>
			program.syscall("map a buffer", nr.SYS_mmap, [buffer, length, PROT_READ_WRITE, BUFFER_FLAGS, -1, 0], {
				check: { equal: buffer },
				remedies: { ENOMEM: "free memory" },
			}),
		end: (last) => last.syscall("unmap the buffer", nr.SYS_munmap, [buffer, length]),
	});
	program.fill(`read the content of pipe ${pipeId}`, nr.SYS_pread64, [image, buffer, bytes, offset]);
	if (packets.length > 0) program.syscall("write packets", nr.SYS_fcntl, [writeEnd, F_SETFL, O_DIRECT | O_NONBLOCK]);
	let at = buffer;
	for (const piece of packets.length > 0 ? packets : [bytes]) {
		program.syscall(`fill pipe ${pipeId}`, nr.SYS_write, [writeEnd, at, piece], { check: { equal: piece } });
		at += BigInt(piece);
	}
	if (packets.length > 0) program.syscall("write a stream", nr.SYS_fcntl, [writeEnd, F_SETFL, O_NONBLOCK]);
}
