// SPDX-License-Identifier: GPL-2.0-only

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
	chmodSync,
	existsSync,
	linkSync,
	mkdirSync,
	mkdtempSync,
	openSync,
	readFileSync,
	rmSync,
	statSync,
	symlinkSync,
	truncateSync,
	writeFileSync,
	writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CriuError, ImageError, KernelError } from "../../src/errors.ts";
import { pipe_data_entrySchema } from "../../src/images/gen/file_pb.ts";
import { inventory_entrySchema, pstree_entrySchema } from "../../src/images/gen/inventory_pb.ts";
import { ipc_msg_entrySchema, ipc_msgSchema } from "../../src/images/gen/ipc_pb.ts";
import { pagemap_entrySchema, pagemap_headSchema } from "../../src/images/gen/mm_pb.ts";
import { create, ImageDir, KINDS } from "../../src/images/index.ts";

let root = "";
let dir: ImageDir;

beforeEach(() => {
	root = mkdtempSync(join(tmpdir(), "criu-images-"));
	dir = ImageDir.open(root);
});

afterEach(() => {
	dir.close();
	rmSync(root, { recursive: true, force: true });
});

function task(pid: number) {
	return create(pstree_entrySchema, { pid, ppid: pid - 1, pgid: 1, sid: 1, threads: [pid] });
}

function errorOf(run: () => unknown): CriuError {
	try {
		run();
	} catch (error) {
		if (error instanceof CriuError) return error;
		throw error;
	}
	throw new Error("nothing was thrown");
}

function put(name: string, hex: string): void {
	writeFileSync(join(root, name), Uint8Array.fromHex(hex));
}

/** Common magic and pstree's own. */
const PSTREE_HEADER = "19435654" + "30302750";

describe("ImageDir", () => {
	test("writes entries that it reads again, mode 0600", () => {
		const tasks = [task(1), task(2), task(3)];
		dir.writeEntries(KINDS.PSTREE, undefined, tasks);
		expect(dir.readEntries(KINDS.PSTREE)).toEqual(tasks);
		expect(statSync(join(root, "pstree.img")).mode & 0o777).toBe(0o600);
		expect(dir.exists(KINDS.PSTREE)).toBe(true);
		expect(dir.list()).toEqual(["pstree.img"]);
		dir.remove(KINDS.PSTREE);
		expect(dir.list()).toEqual([]);
	});

	test("makes no file of an image without entries, and removes an older one", () => {
		put("pstree.img", PSTREE_HEADER);
		dir.writeEntries(KINDS.PSTREE, undefined, []);
		expect(dir.exists(KINDS.PSTREE)).toBe(false);
	});

	test("takes a missing image for an empty one", () => {
		expect(dir.readEntries(KINDS.PSTREE)).toEqual([]);
		expect(dir.findEntry(KINDS.CORE, 1)).toBeUndefined();
		expect(dir.findHeaded(KINDS.PAGEMAP, 1)).toBeUndefined();
		expect(errorOf(() => dir.readEntry(KINDS.CORE, 1)).code).toBe("IMAGE_MISSING");
	});

	test("replaces an older file without touching what else it is linked to", () => {
		put("pstree.img", "00");
		chmodSync(join(root, "pstree.img"), 0o644);
		linkSync(join(root, "pstree.img"), join(root, "copy"));
		dir.writeEntry(KINDS.PSTREE, undefined, task(1));
		expect(readFileSync(join(root, "copy")).toHex()).toBe("00");
		expect(statSync(join(root, "pstree.img")).mode & 0o777).toBe(0o600);
	});

	test("follows no symbolic link, reading or writing", () => {
		const outside = join(root, "outside");
		writeFileSync(outside, "precious");
		symlinkSync(outside, join(root, "pstree.img"));
		expect(errorOf(() => dir.readEntries(KINDS.PSTREE)).code).toBe("IMAGE_READ");
		expect(errorOf(() => dir.writeEntry(KINDS.PSTREE, undefined, task(1))).code).toBe("IMAGE_WRITE");
		expect(readFileSync(outside, "utf8")).toBe("precious");
	});

	test("does not hang on a fifo and reads no directory", () => {
		expect(spawnSync("mkfifo", [join(root, "pstree.img")]).status).toBe(0);
		expect(errorOf(() => dir.readEntries(KINDS.PSTREE)).code).toBe("IMAGE_CORRUPT");
		mkdirSync(join(root, "files.img"));
		expect(errorOf(() => dir.readEntries(KINDS.FILES)).code).toBe("IMAGE_CORRUPT");
		expect(errorOf(() => dir.writeEntries(KINDS.FILES, undefined, [])).code).toBe("IMAGE_WRITE");
	});

	test("goes on with the directory that it opened when the path means another one", () => {
		const moved = `${root}.moved`;
		expect(spawnSync("mv", [root, moved]).status).toBe(0);
		mkdirSync(root);
		dir.writeEntry(KINDS.PSTREE, undefined, task(1));
		expect(existsSync(join(moved, "pstree.img"))).toBe(true);
		rmSync(moved, { recursive: true });
	});

	test("opens the directory of a descriptor, and tells why it cannot open one", () => {
		using same = ImageDir.fromFd(dir.descriptor);
		same.writeEntry(KINDS.PSTREE, undefined, task(1));
		expect(dir.readEntries(KINDS.PSTREE)).toHaveLength(1);
		const error = errorOf(() => ImageDir.open(join(root, "none")));
		expect(error.code).toBe("IMAGES_DIR");
		expect((error.cause as KernelError).code).toBe("ENOENT");
		expect(errorOf(() => ImageDir.open(join(root, "pstree.img"))).code).toBe("IMAGES_DIR");
	});

	test("follows the link to the parent's images only when asked", () => {
		expect(dir.openParent()).toBeUndefined();
		mkdirSync(join(root, "before"));
		symlinkSync("before", join(root, "parent"));
		using parent = dir.openParent();
		parent?.writeEntry(KINDS.PSTREE, undefined, task(1));
		expect(existsSync(join(root, "before/pstree.img"))).toBe(true);
		rmSync(join(root, "parent"));
		symlinkSync("gone", join(root, "parent"));
		expect(errorOf(() => dir.openParent()).code).toBe("IMAGES_DIR");
	});
});

describe("readInventory", () => {
	const writeVersion = (imgVersion: number) =>
		dir.writeEntry(KINDS.INVENTORY, undefined, create(inventory_entrySchema, { imgVersion }));

	test("accepts the versions 1 and 2 and reads the images of both", () => {
		writeVersion(1);
		dir.readInventory();
		put("pstree.img", "30302750" + "08000000" + "0807100018072007");
		expect(dir.readEntry(KINDS.PSTREE).pid).toBe(7);
		writeVersion(2);
		dir.readInventory();
		expect(errorOf(() => dir.readEntry(KINDS.PSTREE)).code).toBe("IMAGE_MAGIC");
		put("pstree.img", `${PSTREE_HEADER}080000000807100018072007`);
		expect(dir.readEntry(KINDS.PSTREE).pid).toBe(7);
	});

	test("refuses other versions, and that of a pre-dump but as a parent", () => {
		writeVersion(3);
		expect(errorOf(() => dir.readInventory()).code).toBe("IMAGE_VERSION");
		writeVersion(0);
		expect(errorOf(() => dir.readInventory()).code).toBe("IMAGE_VERSION");
		expect(dir.readInventory("parent").imgVersion).toBe(0);
	});

	test("says that an inventory is missing", () => {
		const error = errorOf(() => dir.readInventory());
		expect(error.code).toBe("IMAGE_MISSING");
		expect(error.message).toBe(`image inventory.img is missing in ${root}`);
	});
});

describe("ImageReader", () => {
	test.each([
		["an empty file", "", "IMAGE_TRUNCATED"],
		["half a header", "19435654", "IMAGE_TRUNCATED"],
		["the magic of another kind", "19435654" + "31313150", "IMAGE_MAGIC"],
		["no common magic", "30302750" + "30302750", "IMAGE_MAGIC"],
		["half a size", `${PSTREE_HEADER}0800`, "IMAGE_TRUNCATED"],
		["half an entry", `${PSTREE_HEADER}0800000008071000`, "IMAGE_TRUNCATED"],
		["an entry of 4 GiB", `${PSTREE_HEADER}ffffffff08071000`, "IMAGE_TOO_LARGE"],
		["an entry that is no message", `${PSTREE_HEADER}0100000008`, "IMAGE_CORRUPT"],
	])("refuses %s", (_, hex, code) => {
		put("pstree.img", hex);
		const error = errorOf(() => dir.readEntries(KINDS.PSTREE));
		expect(error).toBeInstanceOf(ImageError);
		expect(error.code).toBe(code);
		expect((error as ImageError).file).toContain("pstree.img");
		expect(error.remedy).toBeString();
	});

	test("wants an entry in an image of one entry", () => {
		put("core-1.img", "19435654" + "47380555");
		expect(errorOf(() => dir.readEntry(KINDS.CORE, 1)).code).toBe("IMAGE_TRUNCATED");
	});

	test("notices a file that is cut while it is read", () => {
		dir.writeEntries(
			KINDS.PSTREE,
			undefined,
			Array.from({ length: 20_000 }, (_, pid) => task(pid + 1)),
		);
		using reader = dir.getReader(KINDS.PSTREE);
		expect(reader.next()?.pid).toBe(1);
		truncateSync(join(root, "pstree.img"), 70_000);
		expect(errorOf(() => [...reader.entries()]).code).toBe("IMAGE_TRUNCATED");
	});

	test("reads entries that are larger than its window", () => {
		const large = { ...task(1), threads: Array.from({ length: 100_000 }, (_, tid) => tid) };
		dir.writeEntries(KINDS.PSTREE, undefined, [create(pstree_entrySchema, large), task(2)]);
		const read = dir.readEntries(KINDS.PSTREE);
		expect(read.map((entry) => entry.threads.length)).toEqual([100_000, 1]);
	});

	test("hands out payloads as places in the file and refuses those beyond its end", () => {
		{
			using writer = dir.writer(KINDS.PIPES_DATA);
			for (const [pipeId, text] of [["first"], [""], ["third one"]].entries()) {
				const data = new TextEncoder().encode(text[0]);
				writer.write(create(pipe_data_entrySchema, { pipeId, bytes: data.length, size: 65536 }));
				writer.writePayload(data);
			}
			writer.write(create(pipe_data_entrySchema, { pipeId: 9, bytes: 1 }));
			writer.close();
		}
		using reader = dir.getReader(KINDS.PIPES_DATA);
		const texts: string[] = [];
		for (let entry = reader.next(); entry?.pipeId !== 9; entry = reader.next()) {
			texts.push(new TextDecoder().decode(reader.readPayload(entry?.bytes ?? 0)));
		}
		expect(texts).toEqual(["first", "", "third one"]);
		expect(errorOf(() => reader.takePayload(1)).code).toBe("IMAGE_TRUNCATED");
		expect(errorOf(() => dir.readEntries(KINDS.PIPES_DATA)).code).toBe("IMAGE_TRUNCATED");
	});

	test("passes over nested messages", () => {
		{
			using writer = dir.writer(KINDS.IPCNS_MSG, 9);
			for (const qnum of [2, 0]) {
				const desc = { key: 1, uid: 0, gid: 0, cuid: 0, cgid: 0, mode: 384, id: qnum };
				writer.write(create(ipc_msg_entrySchema, { desc, qbytes: 16384, qnum }));
				for (let index = 0; index < qnum; index++) {
					writer.writeMessage(ipc_msgSchema, create(ipc_msgSchema, { mtype: 1n, msize: 3 }));
					writer.writePayload(new Uint8Array(8));
				}
			}
			writer.close();
		}
		expect(dir.readEntries(KINDS.IPCNS_MSG, 9).map((entry) => entry.qnum)).toEqual([2, 0]);
		using reader = dir.getReader(KINDS.IPCNS_MSG, 9);
		expect([...reader.records()].map((record) => record.message?.$typeName)).toEqual([
			"ipc_msg_entry",
			"ipc_msg",
			"ipc_msg",
			"ipc_msg_entry",
		]);
	});
});

describe("ImageWriter", () => {
	test("writes heads and entries, and brings an image without entries into being when asked", () => {
		const head = create(pagemap_headSchema, { pagesId: 3 });
		const run = create(pagemap_entrySchema, { vaddr: 0x7f0000000000n, compatNrPages: 0, flags: 4, nrPages: 9n });
		{
			using writer = dir.writer(KINDS.PAGEMAP, 7);
			writer.writeHead(head);
			writer.write(run);
			writer.close();
		}
		expect(dir.findHeaded(KINDS.PAGEMAP, 7)).toEqual({ head, entries: [run] });
		using pages = dir.writer(KINDS.PAGES, 3);
		pages.touch();
		pages.close();
		expect(statSync(join(root, "pages-3.img")).size).toBe(0);
	});

	test("lets a payload be written to the file directly, between its own writes", () => {
		using writer = dir.writer(KINDS.PIPES_DATA);
		writer.write(create(pipe_data_entrySchema, { pipeId: 1, bytes: 5 }));
		const { fd, offset } = writer.openStream();
		writeSync(fd, "12345", offset);
		writer.skip(5);
		writer.write(create(pipe_data_entrySchema, { pipeId: 2, bytes: 0 }));
		writer.close();
		expect(dir.readEntries(KINDS.PIPES_DATA).map((entry) => entry.pipeId)).toEqual([1, 2]);
	});

	test("passes payloads of any size through", () => {
		using writer = dir.writer(KINDS.PAGES, 1);
		const sizes = [1, 4095, 4096, 65535, 65536, 65537, 300_000, 3];
		for (const [index, size] of sizes.entries()) writer.writePayload(new Uint8Array(size).fill(index));
		const total = sizes.reduce((sum, size) => sum + size, 0);
		expect(writer.length).toBe(total);
		writer.close();
		const expected = Buffer.concat(sizes.map((size, index) => new Uint8Array(size).fill(index)));
		expect(readFileSync(join(root, "pages-1.img")).equals(expected)).toBe(true);
	});

	const isRoot = process.getuid?.() === 0;
	if (!isRoot) console.log("skipped: images on a full file system: needs root to mount one");
	test.skipIf(!isRoot)("tells of a full file system, at any write, with its name and the cause", () => {
		const small = join(root, "small");
		mkdirSync(small);
		expect(spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "none", small]).status).toBe(0);
		try {
			using full = ImageDir.open(small);
			for (const size of [100_000, 1000]) {
				using writer = full.writer(KINDS.PAGES, size);
				const error = errorOf(() => {
					for (let count = 0; count < 1000; count++) writer.writePayload(new Uint8Array(size));
					writer.close();
				});
				expect(error.code).toBe("IMAGE_WRITE");
				expect(error.message).toBe(`cannot write image pages-${size}.img`);
				expect((error.cause as KernelError).code).toBe("ENOSPC");
				expect(error.remedy).toContain("free space");
			}
		} finally {
			spawnSync("umount", ["-l", small]);
		}
	});

	test("tells of a file system that takes no writes", () => {
		using nowhere = ImageDir.open("/proc/self");
		const error = errorOf(() => nowhere.writeEntry(KINDS.PSTREE, undefined, task(1)));
		expect(error.code).toBe("IMAGE_WRITE");
		expect(error.cause).toBeInstanceOf(KernelError);
	});

	test("closes its file without a word when it is given up", () => {
		const before = openSync("/dev/null", "r");
		{
			using writer = dir.writer(KINDS.PSTREE);
			writer.write(task(1));
		}
		const after = openSync("/dev/null", "r");
		expect(after).toBe(before + 1);
		expect(statSync(join(root, "pstree.img")).size).toBe(0);
	});
});
