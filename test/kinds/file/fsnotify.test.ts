// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { fd_types, file_entrySchema } from "../../../src/images/gen/fdinfo_pb.ts";
import {
	fanotify_file_entrySchema,
	fanotify_mark_entrySchema,
	fanotify_mount_mark_entrySchema,
	type fh_entry,
	fh_entrySchema,
	inotify_file_entrySchema,
	inotify_wd_entrySchema,
} from "../../../src/images/gen/fsnotify_pb.ts";
import { create } from "../../../src/images/index.ts";
import { userToKernelDev } from "../../../src/kernel/abi/devices.ts";
import { fanotify } from "../../../src/kinds/file/fanotify.ts";
import { emptyFown } from "../../../src/kinds/file/fown.ts";
import { checkWatches, inotify } from "../../../src/kinds/file/inotify.ts";
import { InodeMap } from "../../../src/kinds/file/irmap.ts";
import { bytesOf, codeOf, fileRestore, planEntry, TempDir } from "./fixtures.ts";

const handleOf = (fields: Partial<fh_entry>) => {
	const { $typeName: _, ...rest } = fields;
	return create(fh_entrySchema, { bytes: 8, type: 1, handle: new Array(16).fill(7n), path: bytesOf("/etc"), ...rest });
};

function watch(wd: number, mask = 2, handle: Partial<fh_entry> = {}) {
	const fHandle = handleOf(handle);
	return create(inotify_wd_entrySchema, { id: 0, iIno: 1n, mask, ignoredMask: 0, sDev: 1, wd, fHandle });
}

describe("watches of an image", () => {
	test("come in the order of their numbers", () => {
		expect(checkWatches(1, [watch(9), watch(2), watch(5)]).map(({ wd }) => wd)).toEqual([2, 5, 9]);
	});

	test.each([
		["a number twice", [watch(2), watch(2)]],
		["number 0", [watch(0)]],
		["a number that is none", [watch(0xffffffff)]],
		["no event", [watch(1, 0x80000000)]],
	])("with %s are refused", (_, watches) => {
		expect(codeOf(() => checkWatches(1, watches))).toBe("IMAGE_CORRUPT");
	});

	test.each([
		["a path that is relative", { path: bytesOf("etc") }],
		["a path with a NUL", { path: bytesOf("/etc\0x") }],
		["a handle longer than any", { path: new Uint8Array(), bytes: 129 }],
		["a handle longer than what's there", { path: new Uint8Array(), handle: [1n], bytes: 9 }],
		["a file that isn't there", { fileId: 77 }],
	])("with %s are refused", (_, handle) => {
		using dir = new TempDir();
		const ify = create(inotify_file_entrySchema, { id: 1, flags: 0, fown: emptyFown(), wd: [watch(1, 2, handle)] });
		const entry = create(file_entrySchema, { type: fd_types.INOTIFY, id: 1, ify });
		expect(codeOf(() => planEntry(inotify, entry, fileRestore(dir.images)))).toBe("IMAGE_CORRUPT");
	});
});

describe("marks of an image", () => {
	test.each([
		["for an event", 2, 0, "nothing"],
		["for permissions", 0x10000, 0, "IMAGE_CORRUPT"],
		["with flags of no mark", 2, 0x80, "IMAGE_CORRUPT"],
		["for nothing", 0, 0, "IMAGE_CORRUPT"],
	])("%s: mask 0x%x, flags 0x%x", (_, mask, mflags, code) => {
		using dir = new TempDir();
		const me = create(fanotify_mount_mark_entrySchema, { mntId: 1, path: bytesOf("/") });
		const mark = create(fanotify_mark_entrySchema, { id: 0, type: 2, mflags, mask, ignoredMask: 0, sDev: 1, me });
		const fields = { id: 1, flags: 0, fown: emptyFown(), faflags: 0, evflags: 0, mark: [mark] };
		const ffy = create(fanotify_file_entrySchema, fields);
		const entry = create(file_entrySchema, { type: fd_types.FANOTIFY, id: 1, ffy });
		expect(codeOf(() => planEntry(fanotify, entry, fileRestore(dir.images)))).toBe(code);
	});
});

describe("a search for inodes", () => {
	test("finds what lies in the given folders, by whichever name is met first, and nothing else", () => {
		using dir = new TempDir();
		mkdirSync(dir.at("a"));
		writeFileSync(dir.at("a/file"), "");
		const { ino, dev } = statSync(dir.at("a/file"), { bigint: true });
		const map = new InodeMap(new Uint8Array(), ["/no/such/folder", dir.path]);
		const sdev = userToKernelDev(dev);
		expect(map.find(sdev, ino)).toEqual(bytesOf(dir.at("a/file")));
		expect(map.find(sdev, ino)).toEqual(bytesOf(dir.at("a/file")));
		expect(new InodeMap(bytesOf("/proc/1/root/no"), []).find(sdev, ino)).toBeUndefined();
	});
});
