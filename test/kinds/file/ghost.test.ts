// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { closeSync, ftruncateSync, openSync, readSync, unlinkSync, writeFileSync, writeSync } from "node:fs";
import { Program } from "../../../src/agent/program.ts";
import { ghost_chunk_entrySchema, ghost_file_entrySchema } from "../../../src/images/gen/file_pb.ts";
import { create, type ImageDir, KINDS } from "../../../src/images/index.ts";
import { SYS_openat, SYS_sendfile, SYS_unlink } from "../../../src/kernel/abi/syscalls.x86_64.ts";
import { findExtents, findGhostBlockers, writeGhost } from "../../../src/kinds/file/ghost-dump.ts";
import { planGhost, readGhost } from "../../../src/kinds/file/ghost-plan.ts";
import type { DumpedTask } from "../../../src/kinds/kind.ts";
import { statFd } from "../../../src/sys/file.ts";
import { bytesOf, codeOf, fileDump, filePlan, fileRestore, TempDir } from "./fixtures.ts";

/** An unlinked file with data at the given places. */
function unlinked(dir: TempDir, size: number, data: ReadonlyArray<readonly [number, string]>): number {
	const fd = openSync(dir.at("victim"), "w+");
	unlinkSync(dir.at("victim"));
	for (const [at, text] of data) writeSync(fd, text, at);
	ftruncateSync(fd, size);
	return fd;
}

/** What an image puts back together gives. */
function contentOf(dir: TempDir, id: number): Buffer {
	const ghost = readGhost(id, fileRestore(dir.images));
	const content = Buffer.alloc(Number(ghost.size));
	const fd = openSync(dir.at(ghost.file), "r");
	for (const { off, len, imageOffset } of ghost.pieces)
		readSync(fd, content, Number(off), Number(len), Number(imageOffset));
	closeSync(fd);
	return content;
}

function writeForged(
	dir: ImageDir,
	size: bigint,
	chunks: ReadonlyArray<{ off: bigint; len: bigint }>,
	payload: number,
) {
	using writer = dir.writer(KINDS.GHOST_FILE, 1);
	writer.writeHead(create(ghost_file_entrySchema, { uid: 0, gid: 0, mode: 0o100600, chunks: true, size }));
	for (const chunk of chunks) {
		writer.writeMessage(ghost_chunk_entrySchema, create(ghost_chunk_entrySchema, chunk));
		writer.writePayload(new Uint8Array(payload));
	}
	writer.close();
}

describe("a ghost's image", () => {
	test.each([
		["an empty file", 0, []],
		["a small file", 5, [[0, "hello"]]],
		["a small sparse file", 12287, [[12000, "x"]]],
		["a file of exactly the first chunked size", 12288, [[0, "a".repeat(12288)]]],
		[
			"a sparse file",
			1 << 20,
			[
				[0, "start"],
				[500_000, "middle"],
				[(1 << 20) - 3, "end"],
			],
		],
		["a file that is only a hole", 1 << 20, []],
		["a file that ends in a hole", 1 << 20, [[8192, "data"]]],
	] as const)("holds %s", (_, size, data) => {
		using dir = new TempDir();
		const fd = unlinked(dir, size, data);
		try {
			writeGhost(dir.images, 1, fd, statFd(fd));
			const expected = Buffer.alloc(size);
			readSync(fd, expected, 0, size, 0);
			expect(contentOf(dir, 1).equals(expected)).toBe(true);
		} finally {
			closeSync(fd);
		}
	});

	test("takes no room for holes", () => {
		using dir = new TempDir();
		const fd = unlinked(dir, 1 << 30, [[1 << 29, "data"]]);
		writeGhost(dir.images, 1, fd, statFd(fd));
		closeSync(fd);
		const image = openSync(dir.at("ghost-file-1.img"), "r");
		expect(Number(statFd(image).size)).toBeLessThan(20_000);
		closeSync(image);
	});

	test("is made from extents of at most one GiB", () => {
		using dir = new TempDir();
		const fd = unlinked(dir, 20000, [[0, "x".repeat(20000)]]);
		const extents = [...findExtents(fd, 20000n)];
		closeSync(fd);
		expect(extents).toEqual([{ off: 0n, len: 20000n }]);
	});

	test.each([
		["beyond the size", 100n, [{ off: 50n, len: 51n }], 51],
		["at a place that overflows", 100n, [{ off: (1n << 64n) - 1n, len: 2n }], 2],
		["without bytes", 100n, [{ off: 0n, len: 0n }], 0],
		["of a file too large for the kernel", 1n << 63n, [], 0],
	] as const)("with a chunk %s is refused", (_, size, chunks, payload) => {
		using dir = new TempDir();
		writeForged(dir.images, size, chunks, payload);
		expect(codeOf(() => readGhost(1, fileRestore(dir.images)))).toBe("IMAGE_CORRUPT");
	});

	test("with less content than a chunk says is refused", () => {
		using dir = new TempDir();
		writeForged(dir.images, 1n << 40n, [{ off: 0n, len: 1n << 39n }], 10);
		expect(codeOf(() => readGhost(1, fileRestore(dir.images)))).toBe("IMAGE_TRUNCATED");
	});
});

describe("the limit for ghosts", () => {
	test("refuses what takes more room on disk, and tells the option", () => {
		using dir = new TempDir();
		const fd = unlinked(dir, 65536, [[0, "x".repeat(65536)]]);
		const file = { task: {} as DumpedTask, link: bytesOf("/gone (deleted)"), stat: statFd(fd), ownFd: fd };
		const found = findGhostBlockers(file, "it", fileDump(undefined, { ghostLimit: 4096 }));
		expect(found.map(({ code }) => code)).toEqual(["GHOST_TOO_LARGE"]);
		expect(found[0]?.remedy).toContain("--ghost-limit");
		expect(findGhostBlockers(file, "it", fileDump(undefined))).toEqual([]);
		closeSync(fd);
	});
});

describe("the plan of a ghost", () => {
	function planned(dir: TempDir, name: string): Program {
		const fd = unlinked(dir, 20000, [[16384, "tail"]]);
		writeGhost(dir.images, 1, fd, statFd(fd));
		closeSync(fd);
		const program = new Program();
		planGhost(program, 1, bytesOf(name), filePlan(), fileRestore(dir.images));
		return program;
	}

	test("unlinks the file right after its creation", () => {
		using dir = new TempDir();
		const { ops } = planned(dir, dir.at("old"));
		expect(ops.slice(0, 2).map((op) => op.nr)).toEqual([SYS_openat, SYS_unlink]);
		expect(ops.filter((op) => op.nr === SYS_sendfile)).toHaveLength(1);
	});

	test("takes another name where the old one is in use", () => {
		using dir = new TempDir();
		writeFileSync(dir.at("old"), "somebody else's");
		const { ops } = planned(dir, dir.at("old"));
		expect(new TextDecoder().decode(ops[0]?.args[1] as Uint8Array)).toBe(`${dir.at("old")}.cr.1.ghost\0`);
	});

	test("makes a ghost once for all that refer to it", () => {
		using dir = new TempDir();
		const fd = unlinked(dir, 3, [[0, "abc"]]);
		writeGhost(dir.images, 1, fd, statFd(fd));
		closeSync(fd);
		const [program, plan, context] = [new Program(), filePlan(), fileRestore(dir.images)] as const;
		const first = planGhost(program, 1, bytesOf(dir.at("old")), plan, context);
		const length = program.ops.length;
		expect(planGhost(program, 1, bytesOf(dir.at("old")), plan, context)).toBe(first);
		expect(program.ops).toHaveLength(length);
	});
});
