// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { findBuildIdNote, packBuildId, readBuildId } from "../../../src/kinds/file/build-id.ts";
import { TempDir } from "./fixtures.ts";

const hex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString("hex");
const programs = ["/bin/true", "/bin/bash", "/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib32/libc.so.6"].filter((path) =>
	existsSync(path),
);

describe("the build-id of a file", () => {
	test.each(programs)("is the one that readelf shows for %s", (path) => {
		const shown = Bun.spawnSync(["readelf", "-n", path]).stdout.toString();
		expect(hex(readBuildId(path))).toBe(/Build ID: ([0-9a-f]+)/.exec(shown)?.[1] ?? "");
	});

	test("is absent from what is no ELF file, is too short, or is missing", () => {
		using dir = new TempDir();
		writeFileSync(dir.at("text"), "#!/bin/sh\n".repeat(50));
		writeFileSync(dir.at("short"), Buffer.from("7f454c46020101", "hex"));
		for (const path of [dir.at("text"), dir.at("short"), dir.at("none"), dir.path])
			expect(readBuildId(path)).toBeUndefined();
	});

	test("is packed into little-endian words, the last one filled up", () => {
		expect(packBuildId(Uint8Array.of(1, 2, 3, 4, 5))).toEqual([0x04030201, 5]);
	});

	test("is found behind other notes, and forged sizes end the search", () => {
		const note = (type: number, name: string, data: number[]) => {
			const bytes = new Uint8Array(12 + 4 + data.length);
			const view = new DataView(bytes.buffer);
			view.setUint32(0, 4, true);
			view.setUint32(4, data.length, true);
			view.setUint32(8, type, true);
			bytes.set(Buffer.from(name, "latin1"), 12);
			bytes.set(data, 16);
			return bytes;
		};
		const notes = Buffer.concat([note(1, "GNU\0", [9, 9, 9, 9]), note(3, "GNU\0", [1, 2, 3, 4])]);
		expect(hex(findBuildIdNote(notes))).toBe("01020304");
		for (let at = 0; at < notes.length; at++) {
			const forged = Uint8Array.from(notes);
			forged[at] = 0xff;
			expect(() => findBuildIdNote(forged)).not.toThrow();
			expect(() => findBuildIdNote(forged.subarray(0, at))).not.toThrow();
		}
	});
});
