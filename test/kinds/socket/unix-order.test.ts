// SPDX-License-Identifier: GPL-2.0-only
// In which order images have unix sockets: the original looks for peers among the entries before.

import { describe, expect, test } from "bun:test";
import { fd_types, type file_entry, file_entrySchema } from "../../../src/images/gen/fdinfo_pb.ts";
import { unix_sk_entrySchema } from "../../../src/images/gen/socket_pb.ts";
import { create } from "../../../src/images/index.ts";
import { arrangePeers } from "../../../src/kinds/socket/unix-dump.ts";

/** Sockets as [inode, peer]; a number alone is a file of another kind. */
function order(...files: (number | [number, number])[]): number[] {
	const entries = files.map((file): file_entry => {
		if (typeof file === "number") return create(file_entrySchema, { type: fd_types.REG, id: file });
		const [ino, peer] = file;
		const usk = create(unix_sk_entrySchema, { id: ino, ino, peer } as never);
		return create(file_entrySchema, { type: fd_types.UNIXSK, id: ino, usk });
	});
	return arrangePeers(entries).map(({ id }) => id);
}

describe("unix sockets in images", () => {
	test("stay where they are when their peers are before them, themselves, or nowhere", () => {
		expect(order(1, [10, 0], 2, [11, 10], [12, 12], [13, 99], 3)).toEqual([1, 10, 2, 11, 12, 13, 3]);
	});

	test("of a pair: the one that's met first comes right behind the other", () => {
		expect(order([10, 11], 1, [11, 10], 2)).toEqual([1, 11, 10, 2]);
	});

	test("come behind a peer that isn't connected back, or to another", () => {
		expect(order([10, 12], [11, 12], 1, [12, 0], 2)).toEqual([1, 12, 10, 11, 2]);
		expect(order([10, 11], [11, 12], 1, [12, 0], 2)).toEqual([1, 12, 11, 10, 2]);
	});

	test("the other one of a pair is before those who are only connected to it", () => {
		expect(order([20, 11], [10, 11], [11, 10])).toEqual([11, 10, 20]);
	});

	test("are all there when they are connected in a circle, or in a long row", () => {
		expect(order([10, 11], [11, 12], [12, 10])).toEqual([12, 11, 10]);
		const row = Array.from({ length: 20_000 }, (_, i): [number, number] => [i + 1, i + 2]);
		expect(order(...row)).toEqual(row.map(([ino]) => ino).reverse());
	});
});
