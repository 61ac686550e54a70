// SPDX-License-Identifier: GPL-2.0-only

import { describe, expect, test } from "bun:test";
import { findNamespaceBlockers, readNamespaces } from "../../../src/kinds/ns/namespaces.ts";

describe("findNamespaceBlockers", () => {
	const own = readNamespaces("self");
	const inside = new Map([...own, ["mnt", 1n], ["uts", 2n], ["pid", 3n], ["time", 4n]] as const);

	test("has nothing against our own namespaces, and the time of others", () => {
		expect(findNamespaceBlockers(7, own, own)).toEqual([]);
		expect(findNamespaceBlockers(7, own, new Map([...own, ["time", 4n]] as const))).toEqual([]);
	});

	test("names all of a task at once, with one command that enters them", () => {
		const found = findNamespaceBlockers(7, own, inside);
		expect(found).toHaveLength(1);
		expect(found[0]?.code).toBe("UNSUPPORTED_NAMESPACE");
		for (const kind of ["mnt", "uts", "pid"]) expect(found[0]?.message).toContain(kind);
		expect(found[0]?.message).not.toContain("time");
		const options = /nsenter (.*) --target 7 criu/
			.exec(found[0]?.remedy ?? "")?.[1]
			?.split(" ")
			.sort();
		expect(options).toEqual(["--mount", "--pid", "--uts"]);
	});

	test("says nothing again of children in their parent's, but of one that has moved on", () => {
		expect(findNamespaceBlockers(8, own, inside, inside)).toEqual([]);
		const further = new Map([...inside, ["ipc", 5n]] as const);
		expect(findNamespaceBlockers(9, own, further, inside)).toHaveLength(1);
	});
});
