// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { readSync, writeSync } from "node:fs";
import { Program, whatOf } from "../../../src/agent/program.ts";
import type { file_entry } from "../../../src/images/gen/fdinfo_pb.ts";
import { pipe_data_entrySchema } from "../../../src/images/gen/file_pb.ts";
import { create, KINDS } from "../../../src/images/index.ts";
import { F_SETFL, F_SETPIPE_SZ, O_CLOEXEC, O_DIRECT, O_LARGEFILE, O_WRONLY } from "../../../src/kernel/abi/fcntl.ts";
import { SYS_close, SYS_fcntl, SYS_openat, SYS_pipe2, SYS_write } from "../../../src/kernel/abi/syscalls.x86_64.ts";
import { pipe } from "../../../src/kinds/file/pipe.ts";
import {
	countPipeBytes,
	dumpPipeData,
	PIPES,
	readPackets,
	readPipeContents,
} from "../../../src/kinds/file/pipe-data.ts";
import type { RestoreContext } from "../../../src/kinds/kind.ts";
import { closeFd, openAt, scopedFd } from "../../../src/sys/file.ts";
import { mustSyscall } from "../../../src/sys/host.ts";
import { imageOf } from "../task/fixtures.ts";
import { codeOf, fileDump, filePlan, fileRestore, pipeEntry, TempDir } from "./fixtures.ts";

function makePipe(size?: number): { read: number; write: number; [Symbol.dispose](): void } {
	const ends = new Int32Array(2);
	mustSyscall("for a test", SYS_pipe2, ends, O_CLOEXEC);
	const [read = -1, write = -1] = ends;
	if (size !== undefined) mustSyscall("size", SYS_fcntl, write, F_SETPIPE_SZ, size);
	return {
		read,
		write,
		[Symbol.dispose]() {
			closeFd(read);
			closeFd(write);
		},
	};
}

/** Plans these descriptions in order, as the table of descriptors does. */
function planAll(entries: readonly file_entry[], context: RestoreContext): Program {
	const program = new Program();
	const plan = filePlan();
	for (const entry of entries) pipe.plan(entry, { program, plan, context, image: imageOf(100) });
	return program;
}

describe("the content of a pipe", () => {
	test.each([
		["nothing", 65536, []],
		["a few bytes", 65536, [10]],
		["single bytes in buffers of their own", 4096 * 16, [1, 1, 1]],
		["all that fits", 65536, [65536]],
		["a megabyte", 1 << 20, [1 << 20]],
	] as const)("is dumped without being consumed: %s", (_, size, writes) => {
		using dir = new TempDir();
		using ours = makePipe(size);
		for (const length of writes) writeSync(ours.write, Buffer.alloc(length, 0x61 + (length % 7)));
		const total = writes.reduce((sum: number, length) => sum + length, 0);
		const context = fileDump(dir.images);
		dumpPipeData(77, ours.read, context);
		dumpPipeData(77, ours.read, context);
		context.files.writeImages(dir.images);
		expect(countPipeBytes(ours.read)).toBe(total);
		const content = readPipeContents(fileRestore(dir.images, [pipeEntry(1, 77, 0)])).get(77);
		expect(content).toMatchObject({ bytes: total, size });
		const fd = dir.images.openFile("pipes-data.img") ?? -1;
		const [stored, waiting] = [Buffer.alloc(total), Buffer.alloc(total)];
		readSync(fd, stored, 0, total, content?.offset ?? 0);
		closeFd(fd);
		for (let at = 0; at < total; ) at += readSync(ours.read, waiting, at, total - at, null);
		expect(stored.equals(waiting)).toBe(true);
	});

	test.each([
		["more bytes than the pipe takes", { pipeId: 1, bytes: 5000, size: 4096 }, 5000, "IMAGE_CORRUPT"],
		["more bytes than the image has", { pipeId: 1, bytes: 60000, size: 65536 }, 10, "IMAGE_TRUNCATED"],
		["an absurd capacity", { pipeId: 1, bytes: 0, size: 0xffffffff }, 0, "IMAGE_CORRUPT"],
		["of a pipe that isn't there", { pipeId: 2, bytes: 0, size: 4096 }, 0, "IMAGE_CORRUPT"],
	])("is refused when the image tells %s", (_, entry, payload, code) => {
		using dir = new TempDir();
		using writer = dir.images.writer(KINDS.PIPES_DATA);
		writer.write(create(pipe_data_entrySchema, entry));
		writer.writePayload(new Uint8Array(payload));
		writer.close();
		expect(codeOf(() => readPipeContents(fileRestore(dir.images, [pipeEntry(1, 1, 0)])))).toBe(code);
	});
});

describe("the plan of a pipe", () => {
	test("makes both ends by one pipe2 and keeps neither", () => {
		using dir = new TempDir();
		const entries = [pipeEntry(1, 5, 0), pipeEntry(2, 5, O_WRONLY)];
		const { ops } = planAll(entries, fileRestore(dir.images, entries));
		expect(ops.filter((op) => op.nr === SYS_pipe2)).toHaveLength(1);
		expect(ops.slice(-2).map((op) => op.nr)).toEqual([SYS_close, SYS_close]);
	});

	test("closes the end that nobody has at once", () => {
		using dir = new TempDir();
		const entries = [pipeEntry(1, 5, 0), pipeEntry(2, 6, 0)];
		const { ops } = planAll(entries, fileRestore(dir.images, entries));
		const second = ops.findLastIndex((op) => op.nr === SYS_pipe2);
		expect(ops.slice(0, second).at(-1)?.what).toBe("close a kept file");
	});

	test("opens further descriptions of an end through /proc", () => {
		using dir = new TempDir();
		const entries = [pipeEntry(1, 5, O_WRONLY), pipeEntry(2, 5, 0), pipeEntry(3, 5, 0), pipeEntry(4, 5, O_LARGEFILE)];
		const { ops } = planAll(entries, fileRestore(dir.images, entries));
		expect(ops.filter((op) => op.nr === SYS_openat)).toHaveLength(2);
	});

	test("fills it before any end is given away", () => {
		using dir = new TempDir();
		using ours = makePipe();
		writeSync(ours.write, "waiting");
		const context = fileDump(dir.images);
		dumpPipeData(5, ours.read, context);
		context.files.writeImages(dir.images);
		const entries = [pipeEntry(1, 5, 0), pipeEntry(2, 5, O_WRONLY)];
		const { ops } = planAll(entries, fileRestore(dir.images, entries));
		const fill = ops.findIndex((op) => op.nr === SYS_write);
		expect(ops[fill]?.check).toEqual({ equal: 7 });
		expect(fill).toBeLessThan(ops.findIndex((op) => whatOf(op).startsWith("set the flags of pipe")));
	});

	test("fills it packet by packet", () => {
		using dir = new TempDir();
		using ours = makePipe();
		mustSyscall("packets", SYS_fcntl, ours.write, F_SETFL, O_DIRECT);
		for (const packet of ["a", "bcd", "ef"]) writeSync(ours.write, packet);
		expect(readPackets(ours.read)).toEqual([1, 3, 2]);
		const context = fileDump(dir.images);
		dumpPipeData(5, ours.read, context, PIPES, true);
		context.files.writeImages(dir.images);
		const entries = [pipeEntry(1, 5, 0), pipeEntry(2, 5, O_WRONLY | O_DIRECT)];
		const { ops } = planAll(entries, fileRestore(dir.images, entries));
		expect(ops.filter((op) => op.nr === SYS_write).map(({ check }) => check)).toEqual(
			[1, 3, 2].map((equal) => ({ equal })),
		);
		mustSyscall("a stream", SYS_fcntl, ours.write, F_SETFL, 0);
		writeSync(ours.write, "stream");
		mustSyscall("packets", SYS_fcntl, ours.write, F_SETFL, O_DIRECT);
		writeSync(ours.write, "packet");
		expect(readPackets(ours.read)).toBeUndefined();
	});

	test.each([[[1, 2, 2]], [[0, 4]], [[4097]], [Array.from({ length: 17 }, () => 1)]])(
		"refuses forged packets %p",
		(packets) => {
			using dir = new TempDir();
			const bytes = packets.length === 17 ? 17 : 4;
			const entry = create(pipe_data_entrySchema, { pipeId: 5, bytes, size: 65536, packets });
			using writer = dir.images.writer(KINDS.PIPES_DATA);
			writer.write(entry);
			const { fd, offset } = writer.openStream();
			writeSync(fd, Buffer.alloc(bytes), 0, bytes, offset);
			writer.skip(bytes);
			writer.close();
			expect(codeOf(() => readPipeContents(fileRestore(dir.images, [pipeEntry(1, 5, 0)])))).toBe("IMAGE_CORRUPT");
		},
	);

	test("refuses impossible flags", () => {
		using dir = new TempDir();
		const forged = [pipeEntry(1, 5, 3)];
		expect(codeOf(() => planAll(forged, fileRestore(dir.images, forged)))).toBe("IMAGE_CORRUPT");
	});

	test("opens a pipe of ours anew, and takes over what is no pipe, where one is given", () => {
		using dir = new TempDir();
		using own = makePipe();
		using other = scopedFd(openAt("/dev/null", 0));
		const entries = [pipeEntry(1, 5, 0)];
		const planWith = (fd: number) =>
			planAll(entries, fileRestore(dir.images, entries, { inheritFds: [{ fd, key: "pipe[5]" }] })).ops.map(
				({ what }) => what,
			);
		for (const end of [own.read, own.write]) expect(planWith(end)).toEqual([`open fd ${end} as pipe:[5] again`]);
		expect(planWith(other.fd)).toEqual([`take over fd ${other.fd} as pipe:[5]`, "set the flags of pipe 5"]);
		const closed = fileRestore(dir.images, entries, { inheritFds: [{ fd: 99999, key: "pipe:[5]" }] });
		expect(codeOf(() => planAll(entries, closed))).toBe("INHERIT_FD");
	});
});
