// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { openSync } from "node:fs";
import { fd_types, file_entrySchema } from "../../../src/images/gen/fdinfo_pb.ts";
import { ns_file_entrySchema } from "../../../src/images/gen/file_pb.ts";
import { create } from "../../../src/images/index.ts";
import { CLONE_NEWNET } from "../../../src/kernel/abi/sched.ts";
import { nsFile } from "../../../src/kinds/file/ns-file.ts";
import { closeFd } from "../../../src/sys/file.ts";
import { codeOf, fileDump, fileRestore, ownFile, planEntry, TempDir } from "./fixtures.ts";

describe("a namespace handle", () => {
	test.each([
		["of its own task", 0, CLONE_NEWNET, "nothing"],
		["of nobody", 77, CLONE_NEWNET, "UNSUPPORTED_NAMESPACE"],
		["of no kind", 0, 1, "IMAGE_CORRUPT"],
	])("%s", (_, nsId, nsCflag, code) => {
		using dir = new TempDir();
		const nsf = create(ns_file_entrySchema, { id: 1, nsId, nsCflag, flags: 0 });
		const entry = create(file_entrySchema, { type: fd_types.NS, id: 1, nsf });
		expect(codeOf(() => planEntry(nsFile, entry, fileRestore(dir.images)))).toBe(code);
	});

	test("is refused when no task of the tree is in that namespace", () => {
		const fd = openSync("/proc/self/ns/net", "r");
		const file = ownFile(fd);
		expect(nsFile.matches(file)).toBe(true);
		const inTree = { ...fileDump(undefined), tasks: [file.task] };
		expect(nsFile.findBlockers?.(file, inTree)).toEqual([]);
		expect(nsFile.findBlockers?.(file, fileDump(undefined))).toHaveLength(1);
		closeFd(fd);
	});
});
