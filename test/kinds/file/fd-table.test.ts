// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { readFileSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { OP_MOVE, OP_PLACE } from "../../../src/agent/layout.ts";
import { Program, whatOf } from "../../../src/agent/program.ts";
import { fd_types, type fdinfo_entry, fdinfo_entrySchema, type file_entry } from "../../../src/images/gen/fdinfo_pb.ts";
import { remap_type } from "../../../src/images/gen/file_pb.ts";
import { create, KINDS } from "../../../src/images/index.ts";
import { O_CLOEXEC } from "../../../src/kernel/abi/fcntl.ts";
import { SYS_close, SYS_openat } from "../../../src/kernel/abi/syscalls.x86_64.ts";
import { closeCopies, Descriptions, fdTable } from "../../../src/kinds/file/fd-table.ts";
import type { FdFacts } from "../../../src/kinds/kind.ts";
import type { Options } from "../../../src/options.ts";
import { emptyDraft, imageOf, lookLive, Sleeper } from "../task/fixtures.ts";
import { codeOf, fileDump, filePlan, fileRestore, regEntry, TempDir } from "./fixtures.ts";

/** A sleeping program with descriptors that a shell has made. */
function startWith(redirections: string): Promise<Sleeper> {
	return Sleeper.start(["bash", "-c", `${redirections}; exec sleep 1000`]);
}

function dumpOf(pid: number, dir: TempDir, options: Partial<Options> = {}) {
	return lookLive(pid, (task) => {
		const context = fileDump(dir.images, options);
		const blockers = fdTable.findBlockers?.(task, context) ?? [];
		const draft = emptyDraft();
		if (blockers.length === 0) fdTable.dump?.(task, draft, new Program(), context);
		closeCopies(task, context);
		context.files.writeImages(dir.images);
		const entryOf = (fd: number): file_entry | undefined => {
			const id = draft.fds.find((one) => one.fd === fd)?.id;
			return context.files.entries.find((entry) => entry.id === id);
		};
		return { blockers, fds: draft.fds, entryOf };
	});
}

describe("descriptors of one description", () => {
	/** Facts that differ in nothing that could be seen without kcmp. */
	const alike = (fd: number) =>
		({
			fd,
			task: { pid: 1 },
			stat: { devMajor: 1, devMinor: 2, ino: 3n },
			info: { flags: 0, pos: 0n, mntId: 4, kind: { type: "plain" } },
		}) as FdFacts;

	test("are found with few comparisons", () => {
		const descriptionOf = (fd: number) => (fd * 7919) % 13;
		let calls = 0;
		const descriptions = new Descriptions<number>((a, b) => {
			calls++;
			const order = descriptionOf(a.fd) - descriptionOf(b.fd);
			return order === 0 ? 0 : order < 0 ? 1 : 2;
		});
		const found = Array.from({ length: 1000 }, (_, fd) => descriptions.of(alike(fd), () => descriptionOf(fd)));
		expect(found).toEqual(Array.from({ length: 1000 }, (_, fd) => descriptionOf(fd)));
		expect(calls).toBeLessThan(5000);
	});

	test("are looked for only among those that look alike", () => {
		const other = { ...alike(1), info: { ...alike(1).info, pos: 9n } } as FdFacts;
		const descriptions = new Descriptions<string>(() => {
			throw new Error("compared");
		});
		expect([descriptions.of(alike(0), () => "one"), descriptions.of(other, () => "two")]).toEqual(["one", "two"]);
	});
});

describe("a dump of descriptors", () => {
	test("keeps shared descriptions shared and others apart", async () => {
		using dir = new TempDir();
		writeFileSync(dir.at("file"), "content");
		const file = dir.at("file");
		await using child = await startWith(`exec 5<${file} 6<&5 7<${file} 8>>${file}`);
		const { blockers, fds, entryOf } = dumpOf(child.pid, dir);
		expect(blockers).toEqual([]);
		const idOf = (fd: number) => fds.find((one) => one.fd === fd)?.id ?? 0;
		expect(idOf(5)).toBe(idOf(6));
		expect(idOf(7)).not.toBe(idOf(5));
		expect(entryOf(5)?.reg).toMatchObject({ name: new TextEncoder().encode(file), size: 7n, flags: 0o100000 });
		// What only appends may find the file longer.
		expect(Object.hasOwn(entryOf(8)?.reg ?? {}, "size")).toBe(false);
		expect(entryOf(0)?.type).toBe(fd_types.REG);
	});

	test("keeps the content of a pipe whose writer is gone", async () => {
		using dir = new TempDir();
		await using child = await startWith("exec 5< <(printf waiting); wait $!");
		const { blockers, entryOf } = dumpOf(child.pid, dir);
		expect(blockers.map(({ message }) => message)).toEqual([]);
		const pipeId = entryOf(5)?.pipe?.pipeId;
		const [data] = dir.images.readEntries(KINDS.PIPES_DATA);
		expect(data).toMatchObject({ pipeId: pipeId ?? 0, bytes: 7, size: 65536 });
		expect(readFileSync(dir.at("pipes-data.img")).includes("waiting")).toBe(true);
	});

	test("puts a deleted file into the images, once for all of its descriptions", async () => {
		using dir = new TempDir();
		const file = dir.at("file");
		writeFileSync(file, "content");
		await using child = await startWith(`exec 5<${file} 6<>${file}`);
		unlinkSync(file);
		const { entryOf } = dumpOf(child.pid, dir);
		expect(entryOf(5)?.reg?.name).toEqual(new TextEncoder().encode(file));
		const remaps = dir.images.readEntries(KINDS.REMAP_FPATH);
		expect(remaps.map(({ remapId, remapType }) => [remapId, remapType])).toEqual([
			[1, remap_type.GHOST],
			[1, remap_type.GHOST],
		]);
		expect(readFileSync(dir.at("ghost-file-1.img")).includes("content")).toBe(true);
	});

	test("keeps the name of a file that only looks deleted", async () => {
		using dir = new TempDir();
		const file = dir.at("odd (deleted)");
		writeFileSync(file, "content");
		await using child = await startWith(`exec 5<'${file}'`);
		const { entryOf } = dumpOf(child.pid, dir);
		expect(entryOf(5)?.reg?.name).toEqual(new TextEncoder().encode(file));
		expect(dir.images.readEntries(KINDS.REMAP_FPATH)).toEqual([]);
	});

	test("refuses a file that lives on under another name only, unless links are allowed", async () => {
		using dir = new TempDir();
		const file = dir.at("file");
		writeFileSync(file, "content");
		await using child = await startWith(`ln ${file} ${dir.at("other")}; exec 5<${file}`);
		unlinkSync(file);
		const { blockers } = dumpOf(child.pid, dir);
		expect(blockers.map(({ code }) => code)).toEqual(["NEEDS_LINK_REMAP"]);
		expect(blockers[0]?.remedy).toContain("--link-remap");
		const { entryOf } = dumpOf(child.pid, dir, { linkRemap: true });
		const [remap] = dir.images.readEntries(KINDS.REMAP_FPATH);
		expect(remap).toMatchObject({ origId: entryOf(5)?.id ?? 0, remapType: remap_type.LINKED });
		expect(readFileSync(dir.at(`link_remap.${remap?.remapId}`), "utf8")).toBe("content");
	});

	test("follows a renamed file, whose link the kernel keeps up to date", async () => {
		using dir = new TempDir();
		writeFileSync(dir.at("before"), "content");
		await using child = await startWith(`exec 5<${dir.at("before")}`);
		renameSync(dir.at("before"), dir.at("after"));
		const { entryOf } = dumpOf(child.pid, dir);
		expect(entryOf(5)?.reg?.name).toEqual(new TextEncoder().encode(dir.at("after")));
	});

	test("names everything that can't be kept in one go", async () => {
		using dir = new TempDir();
		const script = [
			"import ctypes, signal",
			"libc = ctypes.CDLL(None); libc.syscall(323, 0); libc.syscall(430, b'tmpfs', 0)",
			"signal.pause()",
		].join("\n");
		await using child = await startWith(`exec python3 -c "${script}"`);
		const { blockers } = dumpOf(child.pid, dir);
		const text = blockers.map(({ code, message }) => `${code} ${message}`).join("\n");
		expect(blockers.every(({ code }) => code === "UNSUPPORTED_FILE")).toBe(true);
		for (const what of ["is a userfaultfd", "is a file system context"])
			expect(text.replaceAll(" an ", " a ")).toContain(what);
		for (const blocker of blockers) expect(blocker.remedy).toBeTruthy();
	});
});

describe("the plan of a table of descriptors", () => {
	const target = (fd: number, id: number, fields: Partial<{ flags: number; type: fd_types }> = {}): fdinfo_entry =>
		create(fdinfo_entrySchema, { fd, id, flags: 0, type: fd_types.REG, ...fields });

	function plan(dir: TempDir, fds: fdinfo_entry[], entries: file_entry[]): Program {
		const made = filePlan();
		fdTable.plan?.({ ...imageOf(100), fds }, made, fileRestore(dir.images, entries));
		return made.programs.files;
	}

	test("opens a description once and puts it at all of its numbers with their own flags", () => {
		using dir = new TempDir();
		const { ops } = plan(dir, [target(7, 1, { flags: 1 }), target(0, 1)], [regEntry(1, "/dev/null")]);
		const placed = ops.filter((op) => op.code === OP_PLACE).map((op) => op.args.slice(1));
		expect(ops.filter((op) => whatOf(op).startsWith("open "))).toHaveLength(1);
		const pairs = new Uint8Array(Uint32Array.of(7, O_CLOEXEC, 0, 0).buffer);
		expect(placed).toEqual([[pairs, 2]]);
	});

	test("takes free numbers below those of a large table for as long as it's made", () => {
		using dir = new TempDir();
		const numbers = Array.from({ length: 64 }, (_, i) => (i < 2 ? i : i + 1));
		const fds = numbers.map((fd) => target(fd, 1));
		const { ops } = plan(dir, fds, [regEntry(1, "/dev/null")]);
		const [anchor, taken] = ops;
		expect(anchor?.nr).toBe(SYS_openat);
		expect(taken?.args).toEqual([{ op: 0 }, new Uint8Array(Uint32Array.of(2, 0).buffer), 1]);
		const last = ops[ops.length - 1];
		expect([last?.nr, last?.args]).toEqual([SYS_close, [2]]);
	});

	test("moves what has one number with one operation", () => {
		using dir = new TempDir();
		const { ops } = plan(dir, [target(7, 1, { flags: 1 })], [regEntry(1, "/dev/null")]);
		expect(ops.filter((op) => op.code === OP_MOVE).map((op) => op.args.slice(1))).toEqual([[7, O_CLOEXEC]]);
	});

	test.each([
		["a number twice", [target(0, 1), target(0, 1)]],
		["a number that no table can have", [target(1048576, 1)]],
		["an id that files.img lacks", [target(0, 2)]],
		["another type than files.img", [target(0, 1, { type: fd_types.PIPE })]],
	])("refuses %s", (_, fds) => {
		using dir = new TempDir();
		expect(codeOf(() => plan(dir, fds, [regEntry(1, "/dev/null")]))).toBe("IMAGE_CORRUPT");
	});

	test("refuses kinds that this version doesn't restore", () => {
		using dir = new TempDir();
		const entry = regEntry(1, "/dev/null");
		entry.type = fd_types.TUNF;
		const fds = [target(0, 1, { type: fd_types.TUNF })];
		expect(codeOf(() => plan(dir, fds, [entry]))).toBe("UNSUPPORTED_FILE");
	});
});
