// SPDX-License-Identifier: GPL-2.0-only
// cpuinfo.img: the same bytes as the original's, and every way in which a CPU can fall short of it.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkCpuinfo, compareCpus, readCpu, writeCpuinfo } from "../../src/engine/cpuinfo.x86_64.ts";
import { CriuError } from "../../src/errors.ts";
import { cpuinfo_entrySchema, cpuinfo_x86_entry_vendor } from "../../src/images/gen/inventory_pb.ts";
import { create, ImageDir, KINDS } from "../../src/images/index.ts";
import type { CpuCap } from "../../src/options.ts";
import { loadHost } from "../../src/sys/host.ts";
import { findPeer } from "../peer.ts";
import { CRIU } from "./counter.ts";

const peer = findPeer();
const why = "missing" in peer ? ` (${peer.missing})` : "";
const none: CpuCap = { fpu: false, ins: false, cpu: false, image: true };
const every: CpuCap = { fpu: true, ins: true, cpu: true, image: true };
const dir = mkdtempSync(join(tmpdir(), "criu-cpuinfo-"));
let images: ImageDir;
beforeAll(() => {
	loadHost();
	images = ImageDir.open(dir);
});
afterAll(() => {
	images[Symbol.dispose]();
	rmSync(dir, { recursive: true, force: true });
});

function codeOf(action: () => void): string {
	try {
		action();
		return "done";
	} catch (error) {
		return error instanceof CriuError ? error.code : String(error);
	}
}

/** The host with some of its words changed. */
function changed(words: Record<number, (word: number) => number>) {
	const cpu = readCpu();
	for (const [index, change] of Object.entries(words)) {
		cpu.capability[Number(index)] = change(cpu.capability[Number(index)] ?? 0) >>> 0;
	}
	return cpu;
}

describe("comparing CPUs", () => {
	test("finds none that differ from themselves", () => {
		expect(compareCpus(readCpu(), readCpu(), every)).toEqual([]);
	});

	test("names the instructions that are missing, and takes more than there were", () => {
		const old = changed({ 9: (word) => word & ~(1 << 5), 4: (word) => word & ~(1 << 25) });
		expect(compareCpus(readCpu(), old, { ...none, ins: true })).toEqual(["it lacks the instructions aes, avx2"]);
		expect(compareCpus(old, readCpu(), { ...none, ins: true })).toEqual([]);
		expect(compareCpus(old, readCpu(), { ...none, cpu: true })).toEqual(["its features differ in the words 4, 9"]);
		expect(compareCpus(readCpu(), old, { ...none, fpu: true })).toEqual([]);
	});

	test("compares the register area", () => {
		const host = readCpu();
		const wide = { ...readCpu(), xfeaturesMask: (host.xfeaturesMask ?? 0n) | (1n << 18n), xsaveSize: 9000 };
		expect(compareCpus(wide, host, { ...none, fpu: true })).toEqual([
			"it lacks the register sets 0x40000 (bits of XCR0)",
			`its register area has the size ${host.xsaveSize}, that of the dump 9000`,
		]);
		expect(compareCpus(readCpu(), changed({ 0: (word) => word & ~1 }), { ...none, fpu: true })).toEqual([
			"it lacks fpu for the floating point state",
		]);
	});
});

describe("cpuinfo.img", () => {
	test("is missing, then fits", () => {
		expect(codeOf(() => checkCpuinfo(images, every))).toBe("NO_CPUINFO");
		writeCpuinfo(images);
		expect(codeOf(() => checkCpuinfo(images, every))).toBe("done");
	});

	test("of a CPU that can do more is refused, of version 1 taken", () => {
		const put = (cpu: ReturnType<typeof readCpu>) =>
			images.writeEntry(KINDS.CPUINFO, undefined, create(cpuinfo_entrySchema, { x86Entry: [cpu] }));
		put(changed({ 10: (word) => word | 8, 6: (word) => word | (1 << 16) }));
		expect(codeOf(() => checkCpuinfo(images, every))).toBe("CPU_DIFFERS");
		const old = readCpu();
		put({ ...old, capabilityVer: 1, capability: old.capability.slice(0, 12) });
		expect(codeOf(() => checkCpuinfo(images, every))).toBe("done");
		for (const bad of [
			{ ...old, capabilityVer: 3 },
			{ ...old, capability: old.capability.slice(1) },
			{ ...old, vendorId: cpuinfo_x86_entry_vendor.UNKNOWN },
		]) {
			put(bad);
			expect(codeOf(() => checkCpuinfo(images, every))).toBe("IMAGE_CORRUPT");
		}
	});

	test.skipIf("missing" in peer)(`has the original's bytes, and each takes the other's${why}`, () => {
		if ("missing" in peer) return;
		const [ours, theirs] = [join(dir, "ours"), join(dir, "theirs")];
		for (const at of [ours, theirs]) mkdirSync(at);
		const run = (criu: string, ...args: string[]) => Bun.spawnSync([criu, "cpuinfo", ...args]).exitCode;
		expect([run(CRIU, "dump", "-D", ours), run(peer.criu, "dump", "-D", theirs)]).toEqual([0, 0]);
		expect(readFileSync(join(ours, "cpuinfo.img")).equals(readFileSync(join(theirs, "cpuinfo.img")))).toBe(true);
		expect([run(CRIU, "check", "-D", theirs), run(peer.criu, "check", "-D", ours)]).toEqual([0, 0]);
	});
});
