// SPDX-License-Identifier: GPL-2.0-only
// Functions of a vdso: those of the real one, and any bytes.

import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { readHostVdso } from "../../../src/kinds/mm/vdso.x86_64.ts";
import { readVdsoSymbols } from "../../../src/kinds/mm/vdso-symbols.ts";
import { makeRandom } from "../../images/random-message.ts";

const DT_HASH = 4n;
const host = readHostVdso()?.bytes ?? new Uint8Array(0);
const damaged = (change: (view: DataView) => void): Uint8Array => {
	const bytes = host.slice();
	change(new DataView(bytes.buffer));
	return bytes;
};

const LIBRARY_32 = "/usr/lib32/libdl.so.2";
const no32Bit = existsSync(LIBRARY_32) ? "" : ` (skipped: no ${LIBRARY_32})`;

test.skipIf(no32Bit !== "")(`readVdsoSymbols finds the functions of a 32-bit library${no32Bit}`, () => {
	const symbols = readVdsoSymbols(readFileSync(LIBRARY_32));
	const shown = Bun.spawnSync(["nm", "-D", "--defined-only", LIBRARY_32]).stdout.toString();
	const functions = [...shown.matchAll(/^([0-9a-f]+) T (\w+)/gm)];
	expect(functions.length).toBeGreaterThan(0);
	for (const [, at = "", name = ""] of functions)
		expect([name, symbols?.get(name)]).toEqual([name, Number.parseInt(at, 16)]);
});

const noVdso = host.length > 0 ? "" : " (skipped: this kernel gives no vdso)";

describe.skipIf(noVdso !== "")(`readVdsoSymbols${noVdso}`, () => {
	test("finds the functions of this kernel's vdso", () => {
		const symbols = readVdsoSymbols(host);
		for (const name of ["clock_gettime", "gettimeofday", "time", "getcpu"]) {
			expect(symbols?.get(`__vdso_${name}`)).toBeGreaterThan(64);
			expect(symbols?.get(name)).toBe(symbols?.get(`__vdso_${name}`) as number);
		}
		expect(symbols?.has("LINUX_2.6")).toBe(false);
	});

	test("finds the same by either hash table", () => {
		// The entry of DT_HASH gets a tag that nobody knows.
		const withoutHash = damaged((view) => {
			for (let at = 0; at + 16 <= view.byteLength; at += 8)
				if (view.getBigUint64(at, true) === DT_HASH && view.getBigUint64(at + 8, true) < BigInt(view.byteLength))
					view.setBigUint64(at, 0x6000_0000n, true);
		});
		expect(readVdsoSymbols(withoutHash)).toEqual(readVdsoSymbols(host));
	});

	test.each([
		["nothing", new Uint8Array(0)],
		["zeros", new Uint8Array(8192)],
		["another magic", damaged((view) => view.setUint32(0, 0x7f454c46, true))],
		["another class", damaged((view) => view.setUint8(4, 1))],
		["another machine", damaged((view) => view.setUint16(18, 3, true))],
		["a table of segments outside", damaged((view) => view.setBigUint64(32, 1n << 60n, true))],
		["too many segments", damaged((view) => view.setUint16(56, 0xffff, true))],
		["segments of another size", damaged((view) => view.setUint16(54, 8, true))],
		["half of it", host.slice(0, 700)],
	])("gives nothing for %s", (_what, bytes) => {
		expect(readVdsoSymbols(bytes)).toBeUndefined();
	});

	test("gives only what lies inside, whatever is damaged", () => {
		const random = makeRandom(11);
		for (let round = 0; round < 3000; round++) {
			const bytes = damaged((view) => {
				for (let i = 0; i < 4; i++) view.setUint32((random() % 0x600) & ~3, random() >>> 0, true);
			});
			for (const [name, offset] of readVdsoSymbols(bytes) ?? []) {
				expect(name.length).toBeGreaterThan(0);
				expect(offset).toBeWithin(0, bytes.length);
			}
		}
	});
});
