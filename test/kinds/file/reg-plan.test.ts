// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { OP_SYSCALL, OP_SYSCALL32 } from "../../../src/agent/layout.ts";
import { Program } from "../../../src/agent/program.ts";
import type { file_entry } from "../../../src/images/gen/fdinfo_pb.ts";
import { remap_file_path_entrySchema, remap_type } from "../../../src/images/gen/file_pb.ts";
import { create, KINDS } from "../../../src/images/index.ts";
import * as fcntl from "../../../src/kernel/abi/fcntl.ts";
import { SYS_linkat, SYS_lseek, SYS_openat, SYS_unlink } from "../../../src/kernel/abi/syscalls.x86_64.ts";
import { packBuildId, readBuildId } from "../../../src/kinds/file/build-id.ts";
import { regFile } from "../../../src/kinds/file/reg-file.ts";
import { planOpenReg, toOpenFlags } from "../../../src/kinds/file/reg-plan.ts";
import { readRemaps } from "../../../src/kinds/file/remaps.ts";
import type { RestoreContext } from "../../../src/kinds/kind.ts";
import { imageOf } from "../task/fixtures.ts";
import { bytesOf, codeOf, filePlan, fileRestore, regEntry, TempDir } from "./fixtures.ts";

function planOpen(context: RestoreContext, id = 1): Program {
	const program = new Program();
	planOpenReg(program, id, 0, filePlan(), context);
	return program;
}

describe("open flags of an image", () => {
	test("lose what must not happen twice", () => {
		const flags = fcntl.O_RDWR | fcntl.O_CREAT | fcntl.O_EXCL | fcntl.O_TRUNC | fcntl.O_APPEND | fcntl.O_CLOEXEC;
		expect(toOpenFlags(flags)).toBe(fcntl.O_RDWR | fcntl.O_APPEND | fcntl.O_NOCTTY);
	});

	test("lose O_TMPFILE together with the O_DIRECTORY in it, and keep a plain O_DIRECTORY", () => {
		expect(toOpenFlags(fcntl.O_TMPFILE | fcntl.O_RDWR)).toBe(fcntl.O_RDWR | fcntl.O_NOCTTY);
		expect(toOpenFlags(fcntl.O_DIRECTORY)).toBe(fcntl.O_DIRECTORY | fcntl.O_NOCTTY);
	});
});

describe("a regular file", () => {
	function plan(entry: file_entry, dir: TempDir): Program {
		const program = new Program();
		const context = fileRestore(dir.images, [entry]);
		regFile.plan(entry, { program, plan: filePlan(), context, image: imageOf(100) });
		return program;
	}

	test.each([
		["from the start", 0n, 0, false],
		["from a position", 5n, 0, true],
		["without a seek when the image forbids it", (1n << 64n) - 1n, 0, false],
		["without a seek as a handle", 5n, fcntl.O_PATH, false],
	])("is opened %s", (_, pos, flags, seeks) => {
		using dir = new TempDir();
		writeFileSync(dir.at("file"), "content");
		const { ops } = plan(regEntry(1, dir.at("file"), { pos, flags }), dir);
		expect(ops.map((op) => op.nr)).toEqual(seeks ? [SYS_openat, SYS_lseek] : [SYS_openat]);
	});

	test.each([
		["as 32-bit code opens it, where the tree has such and the flags say so", true, 0, OP_SYSCALL32],
		["as 64-bit code does it, of which O_LARGEFILE shows", true, fcntl.O_LARGEFILE, OP_SYSCALL],
		["as 64-bit code does it for a handle", true, fcntl.O_PATH, OP_SYSCALL],
		["as 64-bit code does it, where the tree has no other", false, 0, OP_SYSCALL],
	])("is opened %s", (_, hasCalls32, flags, code) => {
		using dir = new TempDir();
		writeFileSync(dir.at("file"), "content");
		const program = new Program();
		const entry = regEntry(1, dir.at("file"), { flags });
		const context = fileRestore(dir.images, [entry]);
		regFile.plan(entry, { program, plan: { ...filePlan(), hasCalls32 }, context, image: imageOf(100) });
		expect(program.ops.map((op) => op.code)).toEqual([code]);
	});

	test.each([
		["a relative path", "tmp/x"],
		["an empty path", ""],
		["a NUL byte", "/tmp/a\0b"],
		["a path too long for the kernel", `/${"x".repeat(4096)}`],
	])("with %s is refused", (_, name) => {
		using dir = new TempDir();
		expect(codeOf(() => planOpen(fileRestore(dir.images, [regEntry(1, name)])))).toBe("IMAGE_CORRUPT");
	});

	test("with bytes that are no UTF-8 in its name is opened by just these bytes", () => {
		using dir = new TempDir();
		const name = Buffer.concat([bytesOf(`${dir.path}/`), Uint8Array.of(0xff, 0xfe, 0x0a)]);
		writeFileSync(name, "x");
		const { ops } = planOpen(fileRestore(dir.images, [regEntry(1, Uint8Array.from(name))]));
		expect(Buffer.from(ops[0]?.args[1] as Uint8Array).equals(Buffer.concat([name, Uint8Array.of(0)]))).toBe(true);
	});

	test("that isn't in files.img, or is there as something else, is refused", () => {
		using dir = new TempDir();
		expect(codeOf(() => planOpen(fileRestore(dir.images)))).toBe("IMAGE_CORRUPT");
		const foreign = regEntry(1, "/dev/null");
		if (foreign.reg !== undefined) foreign.reg.id = 2;
		expect(codeOf(() => planOpen(fileRestore(dir.images, [foreign])))).toBe("IMAGE_CORRUPT");
	});

	test("that was external needs a descriptor of ours", () => {
		using dir = new TempDir();
		const entry = regEntry(1, "file[1a:2b]", { ext: true });
		expect(codeOf(() => planOpen(fileRestore(dir.images, [entry])))).toBe("NEEDS_INHERIT_FD");
		const inheritFds = [{ fd: 2, key: "file[1a:2b]" }];
		expect(planOpen(fileRestore(dir.images, [entry], { inheritFds })).ops).toHaveLength(1);
	});
});

describe("a file that isn't as it was", () => {
	test("is found out before any process exists", () => {
		using dir = new TempDir();
		writeFileSync(dir.at("file"), "12345", { mode: 0o644 });
		chmodSync(dir.at("file"), 0o644);
		mkdirSync(dir.at("directory"));
		const check = (name: string, fields: { size?: bigint; mode?: number }, options = {}) =>
			codeOf(() => planOpen(fileRestore(dir.images, [regEntry(1, dir.at(name), fields)], options)));
		expect(check("file", { size: 5n, mode: 0o100644 })).toBe("nothing");
		expect(check("file", {})).toBe("nothing");
		expect(check("file", { size: 6n })).toBe("FILE_CHANGED");
		expect(check("file", { mode: 0o100600 })).toBe("FILE_CHANGED");
		expect(check("file", { mode: 0o100600 }, { skipFileRwxCheck: true })).toBe("nothing");
		expect(check("directory", { mode: 0o100755 }, { skipFileRwxCheck: true })).toBe("FILE_CHANGED");
		expect(check("none", {})).toBe("FILE_MISSING");
	});

	test("is found out by its build-id, unless only sizes are compared", () => {
		using dir = new TempDir();
		const words = packBuildId(readBuildId("/bin/true") ?? new Uint8Array());
		const check = (buildId: number[], options = {}) =>
			codeOf(() => planOpen(fileRestore(dir.images, [regEntry(1, "/bin/true", { buildId })], options)));
		expect(check(words)).toBe("nothing");
		expect(check([...words.slice(1), 1])).toBe("FILE_CHANGED");
		expect(check([1], { fileValidation: "filesize" })).toBe("nothing");
	});
});

describe("remaps", () => {
	function writeRemaps(dir: TempDir, remaps: { origId: number; remapId: number; remapType?: remap_type }[]): void {
		dir.images.writeEntries(
			KINDS.REMAP_FPATH,
			undefined,
			remaps.map((remap) => create(remap_file_path_entrySchema, remap)),
		);
	}

	test("of old images tell a ghost by the top bit", () => {
		using dir = new TempDir();
		writeRemaps(dir, [
			{ origId: 1, remapId: 0x80000003 },
			{ origId: 2, remapId: 1 },
		]);
		const remaps = readRemaps(fileRestore(dir.images, [regEntry(1, "/a"), regEntry(2, "/b")]));
		expect(remaps.get(1)).toEqual({ type: remap_type.GHOST, id: 3 });
		expect(remaps.get(2)).toEqual({ type: remap_type.LINKED, id: 1 });
	});

	test.each([
		["of an unknown file", [{ origId: 9, remapId: 1, remapType: remap_type.GHOST }]],
		[
			"of a file twice",
			[
				{ origId: 1, remapId: 1 },
				{ origId: 1, remapId: 2 },
			],
		],
	])("%s are refused", (_, list) => {
		using dir = new TempDir();
		writeRemaps(dir, list);
		expect(codeOf(() => readRemaps(fileRestore(dir.images, [regEntry(1, "/a")])))).toBe("IMAGE_CORRUPT");
	});

	test("to a link give the file its old name for an instant", () => {
		using dir = new TempDir();
		writeRemaps(dir, [{ origId: 1, remapId: 2, remapType: remap_type.LINKED }]);
		const entries = [regEntry(1, dir.at("old")), regEntry(2, dir.at("link_remap.2"))];
		const { ops } = planOpen(fileRestore(dir.images, entries));
		expect(ops.slice(0, 3).map((op) => op.nr)).toEqual([SYS_linkat, SYS_openat, SYS_unlink]);
	});

	test("to a dead process name no file but its own", () => {
		using dir = new TempDir();
		writeRemaps(dir, [{ origId: 1, remapId: 77, remapType: remap_type.PROCFS }]);
		const context = fileRestore(dir.images, [regEntry(1, "/proc/78/status")]);
		expect(codeOf(() => planOpen(context))).toBe("IMAGE_CORRUPT");
	});
});
