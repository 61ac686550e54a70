// SPDX-License-Identifier: GPL-2.0-only
import { afterAll, describe, expect, test } from "bun:test";
import {
	closeSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	openSync,
	readFileSync,
	rmSync,
	unlinkSync,
	writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Program } from "../../../src/agent/program.ts";
import {
	type tmpfs_file_entry,
	tmpfs_file_entrySchema,
	tmpfs_folder_entrySchema,
} from "../../../src/images/gen/file_pb.ts";
import { create, KINDS } from "../../../src/images/index.ts";
import { SYS_linkat } from "../../../src/kernel/abi/syscalls.x86_64.ts";
import { dumpTmpfsFile } from "../../../src/kinds/file/tmpfs-dump.ts";
import { planTmpfsFile } from "../../../src/kinds/file/tmpfs-plan.ts";
import { bytesOf, codeOf, fileDump, filePlan, fileRestore, ownFile, TempDir } from "./fixtures.ts";

const memory = mkdtempSync("/dev/shm/criu-tmpfs-test-");
afterAll(() => rmSync(memory, { recursive: true }));

/** A dump of a file of ours, as if this process were the tree; gives what the images list. */
function dumped(dir: TempDir, path: string, mode: string): tmpfs_file_entry[] {
	const fd = openSync(path, mode);
	const file = { ...ownFile(fd), ownFd: fd };
	const task = { ...file.task, vmas: [] };
	const context = { ...fileDump(dir.images), tasks: [task] };
	context.once(`fds:${task.pid}`, () => [file]);
	context.once(`root-prefix:${task.pid}`, () => new Uint8Array());
	dumpTmpfsFile({ ...file, task }, bytesOf(path), file.info.flags, context);
	context.files.writeImages(dir.images);
	closeSync(fd);
	return dir.images.readEntries(KINDS.TMPFS_FILES);
}

describe("a file of a tmpfs", () => {
	test("travels when the tree writes to it, with the folders above it", () => {
		using dir = new TempDir();
		mkdirSync(join(memory, "folder"));
		const path = join(memory, "folder/file");
		writeFileSync(path, "content");
		const [entry] = dumped(dir, path, "r+");
		expect(entry?.path).toEqual(bytesOf(path));
		expect(entry?.folder.map((folder) => new TextDecoder().decode(folder.path))).toContain(join(memory, "folder"));
		expect(readFileSync(dir.at("tmpfs-file-1")).subarray(-7).toString()).toBe("content");
	});

	test("stays where it is when the tree only reads it, or others have it too", async () => {
		using dir = new TempDir();
		const path = join(memory, "file");
		writeFileSync(path, "content");
		expect(dumped(dir, path, "r")).toEqual([]);
		const other = Bun.spawn(["sleep", "60"], { stdio: [Bun.file(path), "ignore", "ignore"] });
		try {
			expect(dumped(dir, path, "r+")).toEqual([]);
		} finally {
			other.kill("SIGKILL");
			await other.exited;
		}
	});

	function planned(dir: TempDir, path: string, folders: string[] = []) {
		const folder = folders.map((name) => ({ path: bytesOf(name), mode: 0o755, uid: 0, gid: 0 }));
		const entry = create(tmpfs_file_entrySchema, { id: 1, path: bytesOf(path) });
		const schema = dumpedFolderSchema(dir);
		entry.folder.push(...folder.map((fields) => Object.assign(create(schema), fields)));
		dir.images.writeEntries(KINDS.TMPFS_FILES, undefined, [entry]);
		const program = new Program();
		const plan = filePlan();
		const isMade = planTmpfsFile(program, bytesOf(path), plan, fileRestore(dir.images));
		return { isMade, program, plan };
	}

	/** Leaves tmpfs-file-1 as well. */
	function dumpedFolderSchema(dir: TempDir) {
		const path = join(memory, "source");
		writeFileSync(path, "content");
		dumped(dir, path, "r+");
		return tmpfs_folder_entrySchema;
	}

	test("is made again only where it's missing, and only by a link that replaces nothing", () => {
		using dir = new TempDir();
		const missing = planned(dir, join(memory, "missing"));
		expect(missing.isMade).toBe(true);
		expect(missing.program.ops.map(({ nr }) => nr)).toContain(SYS_linkat);
		writeFileSync(join(memory, "there"), "another's");
		const there = planned(dir, join(memory, "there"));
		expect([there.isMade, there.program.ops]).toEqual([false, []]);
	});

	test("is made again with its folders, which a failed restore removes", () => {
		using dir = new TempDir();
		const folder = join(memory, "new");
		const { program, plan } = planned(dir, join(folder, "file"), [folder]);
		expect(program.ops[0]?.what).toBe(`create ${folder}`);
		mkdirSync(folder);
		for (const undo of plan.undo) undo();
		expect(existsSync(folder)).toBe(false);
	});

	test("a failed restore leaves a file of another alone", () => {
		using dir = new TempDir();
		const path = join(memory, "late");
		const { plan } = planned(dir, path);
		writeFileSync(path, "somebody just made it");
		for (const undo of plan.undo) undo();
		expect(existsSync(path)).toBe(true);
		unlinkSync(path);
	});

	test.each([
		["on a file system that is none", "/etc/criu-no-such-file", []],
		["in a folder that nothing tells of", join(memory, "unknown/file"), []],
	])("isn't made %s", (_, path, folders) => {
		using dir = new TempDir();
		expect(codeOf(() => planned(dir, path, folders))).toBe("FILE_MISSING");
	});
});
