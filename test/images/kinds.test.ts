// SPDX-License-Identifier: GPL-2.0-only

import { describe, expect, test } from "bun:test";
import { BugError } from "../../src/errors.ts";
import { findKindOfFile, type ImageId, type ImageKind, imageFileName, KINDS, MAGIC } from "../../src/images/index.ts";

const ALL_KINDS: ImageKind[] = Object.values<ImageKind>(KINDS);

describe("KINDS", () => {
	test("has all kinds of CRIU 4.2 and two of ours, each under its own name", () => {
		expect(ALL_KINDS).toHaveLength(87);
		expect(ALL_KINDS.map((kind) => kind.name)).toEqual(Object.keys(KINDS));
	});

	test("has a magic for every kind with messages, and messages for every kind that is not raw", () => {
		for (const kind of ALL_KINDS) {
			expect(kind.magic, kind.name).toBe(MAGIC[kind.name as keyof typeof MAGIC]);
			expect(kind.entry === undefined, kind.name).toBe(kind.framing === "raw");
			expect(kind.head !== undefined, kind.name).toBe(kind.framing === "headed");
			if (kind.framing !== "raw") expect(kind.magic, kind.name).not.toBe(0);
		}
	});

	test("names each file so that its kind is found again", () => {
		for (const kind of ALL_KINDS) {
			if (kind.name.endsWith("_OLD") && kind.name !== "BINFMT_MISC_OLD" && kind.name !== "SHM_PAGES_OLD") continue;
			const id = { "%u": "42", "%x": "2a", "%s": "dump" }[/%[uxs]/.exec(kind.file)?.[0] ?? ""];
			const found = findKindOfFile(imageFileName(kind, id));
			expect(found?.kind.name).toBe(kind.name);
			expect(found?.id).toBe(id);
		}
	});
});

describe("imageFileName", () => {
	test.each<[ImageKind, ImageId | undefined, string]>([
		[KINDS.CORE, 42, "core-42.img"],
		[KINDS.SHMEM_PAGEMAP, 2n ** 40n, "pagemap-shmem-1099511627776.img"],
		[KINDS.GHOST_FILE, 31, "ghost-file-1f.img"],
		[KINDS.TCP_STREAM, 0xabcdefn, "tcp-stream-abcdef.img"],
		[KINDS.TMPFS_DEV, 41, "tmpfs-dev-41.tar.gz.img"],
		[KINDS.STATS, "restore", "stats-restore"],
		[KINDS.IRMAP_CACHE, undefined, "irmap-cache"],
	])("gives the name that CRIU gives", (kind, id, name) => {
		expect(imageFileName(kind, id)).toBe(name);
	});

	test.each<[ImageKind, ImageId | undefined]>([
		[KINDS.CORE, undefined],
		[KINDS.CORE, -1],
		[KINDS.CORE, 1.5],
		[KINDS.CORE, "../x"],
		[KINDS.STATS, "../x"],
		[KINDS.PSTREE, 1],
	])("refuses an id that is none", (kind, id) => {
		expect(() => imageFileName(kind, id)).toThrow(BugError);
	});
});

describe("findKindOfFile", () => {
	test.each(["dump.log", "parent", "core-.img", "core-1.img~", "xcore-1.img", "core-1ximg", "pages.img"])(
		"takes %s for no image",
		(name) => {
			expect(findKindOfFile(name)).toBeUndefined();
		},
	);
});
