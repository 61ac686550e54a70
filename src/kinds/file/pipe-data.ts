// SPDX-License-Identifier: GPL-2.0-only
// What pipes hold: duplicated by tee(2), so that nothing is consumed, and written back in pieces of a buffer.
// Images: pipes-data.img (pipe_data_entry, each followed by its bytes). Source: tee(2), splice(2), pipe(7).

import type { Program } from "../../agent/program.ts";
import { BugError, CriuError, KernelError } from "../../errors.ts";
import type { pipe_data_entry } from "../../images/gen/file_pb.ts";
import { pipe_data_entrySchema } from "../../images/gen/file_pb.ts";
import { create, hasField, type ImageWriter, KINDS } from "../../images/index.ts";
import { F_GETPIPE_SZ, F_SETPIPE_SZ, O_CLOEXEC } from "../../kernel/abi/fcntl.ts";
import { FIONREAD } from "../../kernel/abi/ioctl.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { closeFd } from "../../sys/file.ts";
import { mustSyscall, syscall } from "../../sys/host.ts";
import type { DumpContext, RestoreContext, TaskPlan } from "../kind.ts";
import { corruptImage } from "./image-checks.ts";
import { keptFilesOf } from "./kept-files.ts";

const FILE = "pipes-data.img";
const SPLICE_F_NONBLOCK = 2;
const EAGAIN = 11;
const MAX_PIPE = 1 << 30;
/** Capacity of a pipe whose image doesn't tell. */
const DEFAULT_SIZE = 65536;
const PROT_READ_WRITE = 3;
const BUFFER_FLAGS = 0x100022; // MAP_FIXED_NOREPLACE | MAP_ANONYMOUS | MAP_PRIVATE

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

type DataWriter = ImageWriter<pipe_data_entry>;

function dataWriter(context: DumpContext): DataWriter {
	return context.once("pipes-data", () => {
		if (context.dir === undefined) throw new BugError("a preflight must not write pipe data");
		const writer = context.dir.writer(KINDS.PIPES_DATA);
		context.files.atEnd(() => writer.close());
		context.files.onFailure(() => writer[Symbol.dispose]());
		return writer;
	});
}

/** Writes the content of a pipe, once; `fd` is a read end. @throws KernelError, CriuError PIPE_CONTENT, ImageError */
export function dumpPipeData(pipeId: number, fd: number, context: DumpContext): void {
	context.once(`pipe-data:${pipeId}`, () => {
		const size = mustSyscall("of a pipe", nr.SYS_fcntl, fd, F_GETPIPE_SZ, 0);
		const bytes = countPipeBytes(fd);
		const writer = dataWriter(context);
		writer.write(create(pipe_data_entrySchema, { pipeId, bytes, size }));
		if (bytes > 0) writeContent(writer, duplicateContent(fd, size, bytes), bytes);
		return true;
	});
}

function writeContent(writer: DataWriter, copy: number, bytes: number): void {
	try {
		const { fd, offset } = writer.openStream();
		const at = new BigInt64Array([BigInt(offset)]);
		for (let left = bytes; left > 0; ) {
			const done = mustSyscall(`to ${FILE}`, nr.SYS_splice, copy, 0, fd, at, left, 0);
			if (done === 0) throw new KernelError("splice", 5, `to ${FILE}`);
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
}

/** Content by pipe id. @throws ImageError */
export function readPipeContents(context: RestoreContext): ReadonlyMap<number, PipeContent> {
	return context.once("pipe-contents", () => {
		const known = new Set([...context.files.values()].map((file) => file.pipe?.pipeId));
		const contents = new Map<number, PipeContent>();
		using reader = context.dir.findReader(KINDS.PIPES_DATA);
		for (let entry = reader?.next(); reader !== undefined && entry !== undefined; entry = reader.next()) {
			const { pipeId, bytes } = entry;
			if (contents.has(pipeId)) throw corruptImage(FILE, `pipe_id ${pipeId} twice`);
			if (!known.has(pipeId)) throw corruptImage(FILE, `files.img has no pipe with pipe_id ${pipeId}`);
			const size = hasField(entry, "size") ? entry.size : undefined;
			if (bytes > (size ?? DEFAULT_SIZE) || (size ?? 0) > MAX_PIPE)
				throw corruptImage(FILE, `pipe ${pipeId} holds ${bytes} bytes with a size of ${size ?? DEFAULT_SIZE}`);
			contents.set(pipeId, { offset: reader.takePayload(bytes).offset, bytes, size });
		}
		return contents;
	});
}

/** Length of the temporary buffer that the filling of all pipes needs. */
function bufferLength(contents: ReadonlyMap<number, PipeContent>): number {
	let longest = 0;
	for (const { bytes } of contents.values()) longest = Math.max(longest, bytes);
	return Math.ceil(longest / 4096) * 4096;
}

/** Adds what gives a new pipe its capacity and content; `writeEnd` must not block. */
export function planPipeContent(
	program: Program,
	pipeId: number,
	writeEnd: number,
	plan: TaskPlan,
	context: RestoreContext,
): void {
	const contents = readPipeContents(context);
	const content = contents.get(pipeId);
	if (content === undefined) return;
	const { bytes, offset, size } = content;
	if (size !== undefined)
		program.syscall(`size pipe ${pipeId}`, nr.SYS_fcntl, [writeEnd, F_SETPIPE_SZ, size], {
			remedies: { EPERM: "raise the sysctl fs.pipe-max-size, or run as root", ENOMEM: "free memory" },
		});
	if (bytes === 0) return;
	const image = keptFilesOf(plan).pass(FILE, () => {
		const fd = context.dir.openFile(FILE);
		if (fd === undefined) throw corruptImage(FILE, "it vanished while it was read");
		return fd;
	});
	const length = bufferLength(contents);
	keptFilesOf(plan).borrow("pipe buffer", {
		begin: () =>
			program.syscall("map a buffer", nr.SYS_mmap, [plan.scratch, length, PROT_READ_WRITE, BUFFER_FLAGS, -1, 0], {
				check: { equal: plan.scratch },
				remedies: { ENOMEM: "free memory" },
			}),
		end: (last) => last.syscall("unmap the buffer", nr.SYS_munmap, [plan.scratch, length]),
	});
	program.fill(`read the content of pipe ${pipeId}`, nr.SYS_pread64, [image, plan.scratch, bytes, offset]);
	program.syscall(`fill pipe ${pipeId}`, nr.SYS_write, [writeEnd, plan.scratch, bytes], { check: { equal: bytes } });
}
