// SPDX-License-Identifier: GPL-2.0-only
// cpuinfo.img: what the CPU of a dump could do, and whether this one can do it as well.
//
// The image has 19 words of feature bits, in the order of `WORDS`; of version 1 the first 12.

import { type CriuError, ImageError, UnsupportedError } from "../errors.ts";
import {
	cpuinfo_entrySchema,
	type cpuinfo_x86_entry,
	cpuinfo_x86_entry_vendor,
	cpuinfo_x86_entrySchema,
} from "../images/gen/inventory_pb.ts";
import { create, hasField, type ImageDir, KINDS } from "../images/index.ts";
import type { CpuCap } from "../options.ts";
import { cpuid } from "../sys/host.ts";

const CAPABILITY_VERSION = 2;
const WORDS_V1 = 12;
const EAX = 0;
const EBX = 1;
const ECX = 2;
const EDX = 3;
const LINUX_WORD = 3;

/** Where each word comes from: leaf, subleaf, register; undefined for those that no CPU of ours tells. */
const WORDS: readonly (readonly [leaf: number, subleaf: number, register: number] | undefined)[] = [
	[1, 0, EDX],
	[0x8000_0001, 0, EDX],
	undefined,
	undefined, // Linux's own, see `linuxWord`
	[1, 0, ECX],
	undefined,
	[0x8000_0001, 0, ECX],
	undefined,
	undefined,
	[7, 0, EBX],
	[0xd, 1, EAX],
	[7, 0, ECX],
	[0xf, 1, EDX],
	[0x8000_0008, 0, EBX],
	[6, 0, EAX],
	[0x8000_000a, 0, EDX],
	[0xf, 0, EDX],
	[0x8000_0007, 0, EBX],
	[7, 0, EDX],
];

/**
 * Feature bits that programs feel: instructions, by word and bit. A CPU with more of them suits, one with fewer does not.
 * Names as in /proc/cpuinfo. Source: arch/x86/include/asm/cpufeatures.h.
 */
const INSTRUCTIONS: Readonly<Record<number, Readonly<Record<number, string>>>> = {
	0: {
		...{ 0: "fpu", 4: "tsc", 8: "cx8", 11: "sep", 15: "cmov", 19: "clflush" },
		...{ 23: "mmx", 24: "fxsr", 25: "sse", 26: "sse2" },
	},
	1: { 11: "syscall", 22: "mmxext", 27: "rdtscp", 30: "3dnowext", 31: "3dnow" },
	3: { 16: "rep_good", 20: "nopl" },
	4: {
		...{ 0: "sse3", 1: "pclmulqdq", 3: "monitor", 9: "ssse3", 12: "fma", 13: "cx16", 19: "sse4_1", 20: "sse4_2" },
		...{ 22: "movbe", 23: "popcnt", 25: "aes", 26: "xsave", 27: "osxsave", 28: "avx", 29: "f16c", 30: "rdrand" },
	},
	6: { 5: "abm", 6: "sse4a", 7: "misalignsse", 8: "3dnowprefetch", 11: "xop", 16: "fma4", 21: "tbm" },
	9: {
		...{ 0: "fsgsbase", 3: "bmi1", 4: "hle", 5: "avx2", 8: "bmi2", 9: "erms", 11: "rtm", 14: "mpx" },
		...{ 16: "avx512f", 17: "avx512dq", 18: "rdseed", 19: "adx", 21: "avx512ifma", 23: "clflushopt", 24: "clwb" },
		...{ 26: "avx512pf", 27: "avx512er", 28: "avx512cd", 29: "sha_ni", 30: "avx512bw", 31: "avx512vl" },
	},
	10: { 0: "xsaveopt", 1: "xsavec", 2: "xgetbv1", 3: "xsaves" },
	11: {
		...{ 1: "avx512vbmi", 6: "avx512_vbmi2", 8: "gfni", 9: "vaes", 10: "vpclmulqdq" },
		...{ 11: "avx512_vnni", 12: "avx512_bitalg", 14: "avx512_vpopcntdq", 22: "rdpid" },
	},
};
/** Of these the floating point state depends. */
const FPU_FEATURES = new Set(["fpu", "fxsr", "osxsave", "xsaves"]);

const OSXSAVE = 1 << 27;
/** XSAVE components that travel, by the bit in XCR0, with the feature (word, bit) that each belongs to. SSE goes without saying. */
const XFEATURES: readonly (readonly [component: number, word: number, bit: number])[] = [
	[0, 0, 0],
	[2, 4, 28],
	[3, 9, 14],
	[4, 9, 14],
	[5, 9, 16],
	[6, 9, 16],
	[7, 9, 16],
	[9, 11, 3],
];

const RIGHT_HOST = "restore on a host with the same or a newer CPU, or name with --cpu-cap what has to be compared";

/** Bits that Linux makes itself and that CRIU keeps: CPUID and NOPL, always there, and fast string instructions. */
function linuxWord(vendor: cpuinfo_x86_entry_vendor, family: number): number {
	const isFast = vendor === cpuinfo_x86_entry_vendor.INTEL ? family === 6 : family >= 0x10;
	return (1 << 25) | (1 << 20) | (isFast ? 1 << 16 : 0);
}

function textOf(registers: readonly number[]): string {
	return Buffer.from(Uint32Array.from(registers).buffer).toString("latin1");
}

function readVendor(): cpuinfo_x86_entry_vendor {
	const [, ebx, ecx, edx] = cpuid(0, 0);
	const name = textOf([ebx, edx, ecx]);
	if (name === "GenuineIntel") return cpuinfo_x86_entry_vendor.INTEL;
	if (name === "AuthenticAMD" || name === "HygonGenuine") return cpuinfo_x86_entry_vendor.AMD;
	throw new UnsupportedError("CPU_VENDOR", `the CPU's vendor ${JSON.stringify(name)} has no place in cpuinfo.img`, {
		remedy: "run on a CPU of Intel, AMD or Hygon, or leave --cpu-cap out",
	});
}

/** The marketing name; without the spaces that some have in front. */
function readModelName(highest: number): string {
	if (highest < 0x8000_0004) return "";
	const text = [2, 3, 4].map((n) => textOf(cpuid(0x8000_0000 + n, 0))).join("");
	return (text.split("\0", 1)[0] ?? "").replace(/^ +/, "");
}

function hasBit(words: readonly number[], word: number, bit: number): boolean {
	return (((words[word] ?? 0) >>> bit) & 1) === 1;
}

/** What this CPU tells. @throws UnsupportedError CPU_VENDOR */
export function readCpu(): cpuinfo_x86_entry {
	const vendor = readVendor();
	const [highest] = cpuid(0, 0);
	const [highestExtended] = cpuid(0x8000_0000, 0);
	const [signature] = cpuid(1, 0);
	let family = (signature >>> 8) & 0xf;
	if (family === 0xf) family += (signature >>> 20) & 0xff;
	const model = ((signature >>> 4) & 0xf) + (family >= 6 ? ((signature >>> 16) & 0xf) << 4 : 0);
	const capability = WORDS.map((source, index) => {
		if (index === LINUX_WORD) return linuxWord(vendor, family) >>> 0;
		if (source === undefined) return 0;
		const [leaf, subleaf, register] = source;
		if (leaf > (leaf >= 0x8000_0000 ? highestExtended : highest)) return 0;
		return (cpuid(leaf, subleaf)[register] ?? 0) >>> 0;
	});
	if (vendor === cpuinfo_x86_entry_vendor.AMD) capability[0] = ((capability[0] ?? 0) & 0x7fff_ffff) >>> 0;
	const entry = create(cpuinfo_x86_entrySchema, {
		vendorId: vendor,
		cpuFamily: family,
		model,
		stepping: signature & 0xf,
		capabilityVer: CAPABILITY_VERSION,
		capability,
	});
	const name = readModelName(highestExtended);
	if (name !== "") entry.modelId = name;
	if (((capability[4] ?? 0) & OSXSAVE) !== 0) {
		const [low, size, most] = cpuid(0xd, 0);
		const there = XFEATURES.filter(
			([component, word, bit]) => ((low >>> component) & 1) === 1 && hasBit(capability, word, bit),
		);
		entry.xfeaturesMask = there.reduce((mask, [component]) => mask | (1n << BigInt(component)), 0n);
		entry.xsaveSize = size >>> 0;
		entry.xsaveSizeMax = most >>> 0;
	}
	return entry;
}

/** Writes cpuinfo.img. @throws UnsupportedError CPU_VENDOR, ImageError */
export function writeCpuinfo(dir: ImageDir): void {
	dir.writeEntry(KINDS.CPUINFO, undefined, create(cpuinfo_entrySchema, { x86Entry: [readCpu()] }));
}

function corrupt(message: string): ImageError {
	return new ImageError("IMAGE_CORRUPT", `cpuinfo.img: ${message}`, {
		file: "cpuinfo.img",
		remedy: "write it again with criu cpuinfo dump, or leave --cpu-cap out",
	});
}

/** The CPU of the dump; words that an old image lacks are taken from `host`. */
function readImage(dir: ImageDir, host: cpuinfo_x86_entry): cpuinfo_x86_entry {
	const entry = dir.findEntry(KINDS.CPUINFO);
	if (entry === undefined)
		throw new ImageError("NO_CPUINFO", `No cpuinfo image: cpuinfo.img is missing in ${dir.path}`, {
			file: "cpuinfo.img",
			remedy: "dump with the same --cpu-cap, or leave it out at restore; criu cpuinfo dump writes the image alone",
		});
	const [cpu, second] = entry.x86Entry;
	if (cpu === undefined || second !== undefined) throw corrupt("it doesn't describe one x86 CPU");
	if (cpu.vendorId !== cpuinfo_x86_entry_vendor.INTEL && cpu.vendorId !== cpuinfo_x86_entry_vendor.AMD)
		throw corrupt(`unknown vendor ${cpu.vendorId}`);
	const expected = { 1: WORDS_V1, 2: WORDS.length }[cpu.capabilityVer];
	if (expected === undefined) throw corrupt(`unknown version ${cpu.capabilityVer} of capabilities`);
	if (cpu.capability.length !== expected)
		throw corrupt(`${cpu.capability.length} words of capabilities, there must be ${expected}`);
	cpu.capability.push(...host.capability.slice(expected));
	return cpu;
}

/** Names of instruction sets in `image` that `host` lacks and that `wanted` lets through. */
function findMissing(image: readonly number[], host: readonly number[], wanted: (name: string) => boolean): string[] {
	return Object.entries(INSTRUCTIONS).flatMap(([word, bits]) =>
		Object.entries(bits).flatMap(([bit, name]) =>
			wanted(name) && hasBit(image, Number(word), Number(bit)) && !hasBit(host, Number(word), Number(bit))
				? [name]
				: [],
		),
	);
}

function* compareFpu(image: cpuinfo_x86_entry, host: cpuinfo_x86_entry): Generator<string> {
	const missing = findMissing(image.capability, host.capability, (name) => FPU_FEATURES.has(name));
	if (missing.length > 0) yield `it lacks ${missing.join(", ")} for the floating point state`;
	if (!hasField(image, "xfeaturesMask")) return; // an image of CRIU before 3.7
	const lost = image.xfeaturesMask & ~((host.xfeaturesMask ?? 0n) | 2n);
	if (lost !== 0n) yield `it lacks the register sets 0x${lost.toString(16)} (bits of XCR0)`;
	for (const [name, wanted, there] of [
		["size", image.xsaveSize, host.xsaveSize],
		["largest size", image.xsaveSizeMax, host.xsaveSizeMax],
	] as const) {
		if (wanted !== 0 && wanted !== there)
			yield `its register area has the ${name} ${there}, that of the dump ${wanted}`;
	}
}

/** Each way in which `host` can't stand in for `image`, by the checks that `cap` asks for; a clause for each. */
export function compareCpus(image: cpuinfo_x86_entry, host: cpuinfo_x86_entry, cap: CpuCap): string[] {
	const found: string[] = [];
	if (cap.fpu) found.push(...compareFpu(image, host));
	if (cap.ins) {
		const missing = findMissing(image.capability, host.capability, () => true);
		if (missing.length > 0) found.push(`it lacks the instructions ${missing.join(", ")}`);
	}
	if (cap.cpu) {
		const differ = image.capability.flatMap((word, index) => (word === host.capability[index] ? [] : [index]));
		if (differ.length > 0) found.push(`its features differ in the words ${differ.join(", ")}`);
	}
	return found;
}

/**
 * Compares the CPU of the images with this one.
 *
 * @throws ImageError NO_CPUINFO, IMAGE_CORRUPT; UnsupportedError CPU_DIFFERS
 */
export function checkCpuinfo(dir: ImageDir, cap: CpuCap): void {
	const host = readCpu();
	const image = readImage(dir, host);
	const differences: CriuError[] = compareCpus(image, host, cap).map(
		(text) => new UnsupportedError("CPU_DIFFERS", text, { remedy: RIGHT_HOST }),
	);
	if (differences.length === 0) return;
	const names = `${describe(host)} can't stand in for the CPU of the dump, ${describe(image)}`;
	throw new UnsupportedError("CPU_DIFFERS", `${names}: ${differences.map((d) => d.message).join("; ")}`, {
		remedy: RIGHT_HOST,
	});
}

function describe(cpu: cpuinfo_x86_entry): string {
	const numbers = `family ${cpu.cpuFamily}, model ${cpu.model}, stepping ${cpu.stepping}`;
	const name = (cpu.modelId ?? "").trim();
	return name === "" ? `the CPU (${numbers})` : `${name} (${numbers})`;
}
