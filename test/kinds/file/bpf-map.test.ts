// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { fd_types, type file_entry, file_entrySchema } from "../../../src/images/gen/fdinfo_pb.ts";
import { type bpfmap_file_entry, bpfmap_file_entrySchema } from "../../../src/images/gen/file_pb.ts";
import { create } from "../../../src/images/index.ts";
import { bpfMap } from "../../../src/kinds/file/bpf-map.ts";
import { emptyFown } from "../../../src/kinds/file/fown.ts";
import { codeOf, fileRestore, planEntry, TempDir } from "./fixtures.ts";

function entryOf(id: number, fields: Partial<bpfmap_file_entry>): file_entry {
	const { $typeName: _, ...rest } = fields;
	const plain = { flags: 2, pos: 0n, mapType: 1, keySize: 4, valueSize: 8, mapId: 3, maxEntries: 16, mapFlags: 0 };
	const inner = { ...plain, id, fown: emptyFown(), memlock: 0n, frozen: false, mapName: "name", ifindex: 0, ...rest };
	return create(file_entrySchema, { type: fd_types.BPFMAP, id, bpf: create(bpfmap_file_entrySchema, inner) });
}

describe("the plan of a bpf map", () => {
	test.each([
		["a type whose state nobody shows", [{ mapType: 22 }]],
		["a name that is too long", [{ mapName: "sixteen_letters_" }]],
		["a map of a network device", [{ ifindex: 2 }]],
		["one map of two sizes", [{}, { maxEntries: 17 }]],
	])("refuses %s", (_, list) => {
		using dir = new TempDir();
		const entries = list.map((fields, i) => entryOf(i + 1, fields));
		const [first] = entries;
		const plan = () => planEntry(bpfMap, first as file_entry, fileRestore(dir.images, entries));
		expect(codeOf(plan)).toBe("IMAGE_CORRUPT");
	});
});
