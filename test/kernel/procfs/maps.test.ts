// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PROT_EXEC, PROT_READ, PROT_WRITE } from "../../../src/kernel/abi/mman.ts";
import { parseExecutableMaps, parseMaps, readMaps, vmaPath } from "../../../src/kernel/procfs/maps.ts";
import { parseSmaps, readSmaps } from "../../../src/kernel/procfs/smaps.ts";
import { bytes, Child, expectParseError, text } from "./samples.ts";

const MAPS = `55c35e13c000-55c35e13e000 r--p 00000000 fe:00 260386                     /usr/bin/head
55c35e13e000-55c35e144000 r-xp 00002000 fe:00 260386                     /usr/bin/head
55c35e200000-55c35e221000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000001000 rw-s 00000000 00:01 2436                       /dev/zero (deleted)
7f0000001000-7f0000002000 rw-p 00000000 00:00 0 
7f0000002000-7f0000003000 rw-p 00000000 00:00 0                          [anon:my name]
7f0000003000-7f0000004000 r--p 1f00000000 1f:ffff 18446744073709551615   /a dir/b\\012c (deleted)
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
`;

const DETAILS = `Size:                  8 kB
KernelPageSize:     2048 kB
MMUPageSize:           4 kB
Rss:                   7 kB
Pss:                   6 kB
Pss_Dirty:             0 kB
Anonymous:             5 kB
AnonHugePages:         4 kB
Shared_Hugetlb:        3 kB
Private_Hugetlb:       2 kB
Swap:                  1 kB
SwapPss:               9 kB
Locked:                8 kB
THPeligible:           0
ProtectionKey:         0
VmFlags: rd ex mr mw me sd 
`;

/** A maps file of `count` areas with different names. */
function manyMaps(count: number): string[] {
	return Array.from({ length: count }, (_, i) => {
		const start = 0x7f0000000000 + i * 0x3000;
		const name = i % 2 === 0 ? "" : `                     /usr/lib/x86_64-linux-gnu/lib${i >> 2}.so`;
		return `${start.toString(16)}-${(start + 0x1000).toString(16)} r-xp 00002000 fe:00 ${260386 + i}${name}\n`;
	});
}

describe("parseExecutableMaps", () => {
	test("gives what can be read and executed of what parseMaps gives, whatever names hold", () => {
		const lines = [
			"1000-2000 rw-p 00000000 00:00 0",
			"2000-3000 r-xp 00001000 fe:00 12                     /a r-xp b",
			"3000-4000 r--p 00002000 fe:00 12                     /a r-xp b",
			"4000-5000 --xp 00000000 00:00 0 ",
			"5000-6000 rwxs 00000000 00:00 0",
		];
		const bytes = new TextEncoder().encode(`${lines.join("\n")}\n`);
		expect(parseExecutableMaps(bytes)).toEqual(parseMaps(bytes).filter(({ prot }) => (prot & 5) === 5));
		expect(parseExecutableMaps(new TextEncoder().encode(lines[1] ?? "")).length).toBe(1);
		expect(parseExecutableMaps(new Uint8Array(0))).toEqual([]);
	});
});

describe("parseMaps", () => {
	test("gives every field of every area", () => {
		const vmas = parseMaps(bytes(MAPS));
		expect(vmas.length).toBe(9);
		expect(vmas[1]).toEqual({
			start: 0x55c35e13e000n,
			end: 0x55c35e144000n,
			prot: PROT_READ | PROT_EXEC,
			shared: false,
			pgoff: 0x2000n,
			devMajor: 0xfe,
			devMinor: 0,
			ino: 260386n,
			name: bytes("/usr/bin/head"),
		});
		expect(vmas[3]).toMatchObject({ shared: true, prot: PROT_READ | PROT_WRITE, ino: 2436n });
		expect(vmas.map((vma) => text(vma.name)).slice(3)).toEqual([
			"/dev/zero (deleted)",
			"",
			"[anon:my name]",
			"/a dir/b\\012c (deleted)",
			"[stack]",
			"[vsyscall]",
		]);
	});

	test("keeps 64-bit values whole", () => {
		const vmas = parseMaps(bytes(MAPS));
		expect(vmas[6]).toMatchObject({ pgoff: 0x1f00000000n, devMinor: 0xffff, ino: 18446744073709551615n });
		expect(vmas[8]).toMatchObject({ start: 0xffffffffff600000n, end: 0xffffffffff601000n, prot: PROT_EXEC });
	});

	test("names don't change when the buffer is used again", () => {
		const buffer = bytes(MAPS);
		const vmas = parseMaps(buffer);
		buffer.fill(0);
		expect(text(vmas[0]?.name ?? buffer)).toBe("/usr/bin/head");
	});

	test("restores newlines in paths", () => {
		const vma = parseMaps(bytes(MAPS))[6];
		if (vma === undefined) throw new Error("no area");
		expect(text(vmaPath(vma))).toBe("/a dir/b\nc (deleted)");
	});

	test("takes names of any bytes", () => {
		const name = "/\xff\xfe \t[] 7f00-7f01 r--p";
		const vmas = parseMaps(bytes(`1000-2000 ---p 00000000 00:00 0 ${name}\n2000-3000 ---p 00000000 00:00 0\n`));
		expect(vmas.map((vma) => text(vma.name))).toEqual([name, ""]);
	});

	test("an empty file has no areas", () => {
		expect(parseMaps(bytes(""))).toEqual([]);
	});

	test.each([
		"7f00",
		"7f00-",
		"2000-1000 r--p 00000000 00:00 0\n",
		"1000-1000 r--p 00000000 00:00 0\n",
		"1000-2000 r--x 00000000 00:00 0\n",
		"1000-2000 rwp 00000000 00:00 0\n",
		"1000-2000 wrxp 00000000 00:00 0\n",
		"1000-2000 r--p 00000000 0000 0\n",
		"1000-2000 r--p 00000000 00:00 x\n",
		"1000-2000 r--p 00000000 00:00 0x\n",
		"1000-2000 r--p 00000000 00:00 99999999999999999999999\n",
		"1000-ffffffffffffffff0 r--p 00000000 00:00 0\n",
		`1000-${"f".repeat(300)} r--p 00000000 00:00 0\n`,
		"1000-2000 r--p 00000000 ffffffffffffffff:00 0\n",
		"\n",
	])("refuses %j", (sample) => {
		expectParseError(() => parseMaps(bytes(sample), "/proc/7/maps"), "/proc/7/maps");
	});

	test("how long 10,000 areas take", () => {
		const sample = bytes(manyMaps(10_000).join(""));
		const times = Array.from({ length: 5 }, () => {
			const begin = performance.now();
			expect(parseMaps(sample).length).toBe(10_000);
			return performance.now() - begin;
		});
		console.log(`10,000 areas of maps: first ${times[0]?.toFixed(1)} ms, best ${Math.min(...times).toFixed(1)} ms`);
	});
});

describe("parseSmaps", () => {
	test("gives usage and flags", () => {
		const [first, second] = parseSmaps(bytes(`${MAPS.split("\n").slice(0, 2).join(`\n${DETAILS}`)}\n${DETAILS}`));
		expect(first).toMatchObject({
			kernelPageSizeKb: 2048,
			rssKb: 7,
			anonymousKb: 5,
			swapKb: 1,
			lockedKb: 8,
			anonHugePagesKb: 4,
			privateHugetlbKb: 2,
			sharedHugetlbKb: 3,
		});
		expect([...(first?.vmFlags ?? [])]).toEqual(["rd", "ex", "mr", "mw", "me", "sd"]);
		expect(second?.vmFlags).toBe(first?.vmFlags as never);
		expect(second?.start).toBe(0x55c35e13e000n);
	});

	test("a name that looks like a detail stays a name", () => {
		const [vma] = parseSmaps(bytes("1000-2000 r--p 00000000 00:00 0 Rss: 77 kB\n"));
		expect([vma?.rssKb, text(vma?.name ?? new Uint8Array())]).toEqual([0, "Rss: 77 kB"]);
	});

	test.each(["Rss: 7 kB\n", "1000-2000 r--p 00000000 00:00 0\nRss: kB\n", "1000-2000 r--p 00000000 00:00 0\nrss\n"])(
		"refuses %j",
		(sample) => {
			expectParseError(() => parseSmaps(bytes(sample), "/proc/7/smaps"), "/proc/7/smaps");
		},
	);

	test("how long 10,000 areas take", () => {
		const sample = bytes(
			manyMaps(10_000)
				.map((line) => line + DETAILS)
				.join(""),
		);
		const begin = performance.now();
		expect(parseSmaps(sample).length).toBe(10_000);
		console.log(`10,000 areas of smaps (${sample.length >> 10} KiB): ${(performance.now() - begin).toFixed(1)} ms`);
	});
});

/** An area of smaps that is told by its first line, one figure and its flags. */
const area = (line: string, rss: number, flags: string, more = "") =>
	`${line}\nRss:     ${rss} kB\nVmFlags: ${flags}\n${more}`;

describe("areas that look alike", () => {
	const rw = (start: number) => `${start.toString(16)}000-${(start + 1).toString(16)}000 rw-p 00000000 00:00 0 `;

	test("have their own addresses and equal facts", () => {
		const lines = [area(rw(1), 4, "rd wr"), area(rw(2), 8, "rd wr"), area(rw(3), 4, "rd wr"), area(rw(5), 8, "rd wr")];
		const vmas = parseSmaps(bytes(lines.join("")));
		expect(vmas.map(({ start, end, rssKb }) => [start, end, rssKb])).toEqual([
			[0x1000n, 0x2000n, 4],
			[0x2000n, 0x3000n, 8],
			[0x3000n, 0x4000n, 4],
			[0x5000n, 0x6000n, 8],
		]);
		expect(new Set(vmas.map(({ vmFlags }) => vmFlags)).size).toBe(1);
	});

	test("are told from one that only begins alike", () => {
		const text =
			area(rw(1), 4, "rd wr") + area(rw(2), 4, "rd wr", "Zzz:      1 kB\nSwap:     3 kB\n") + area(rw(3), 4, "rd");
		const vmas = parseSmaps(bytes(text));
		expect(vmas.map(({ swapKb }) => swapKb)).toEqual([0, 3, 0]);
		expect(vmas.map(({ vmFlags }) => [...vmFlags])).toEqual([["rd", "wr"], ["rd", "wr"], ["rd"]]);
	});

	test("have the flag of locking on fault also where the kernel has no name for it", () => {
		const vmas = parseSmaps(bytes(area(rw(1), 4, "rd lo ?? sd") + area(rw(2), 4, "rd ??") + area(rw(3), 4, "rd lo")));
		expect(vmas.map(({ vmFlags }) => vmFlags.has("lf"))).toEqual([true, false, false]);
	});

	test("are refused as others are when their addresses are none", () => {
		const first = area(rw(1), 4, "rd wr");
		expectParseError(() => parseSmaps(bytes(first + first.replace("1000-2000", "2000-2000"))), "smaps");
		expectParseError(() => parseSmaps(bytes(first + first.replace("1000-2000", "2000-zz"))), "smaps");
	});
});

describe("areas of one task after those of another", () => {
	const rw = (start: number) => `${start.toString(16)}000-${(start + 1).toString(16)}000 rw-p 00000000 00:00 0 `;

	/** What readSmaps gives of each text, one after the other. */
	function readInTurn(texts: readonly string[]) {
		const root = mkdtempSync(join(tmpdir(), "criu-maps-"));
		try {
			mkdirSync(join(root, "7"));
			return texts.map((content) => {
				writeFileSync(join(root, "7/smaps"), content);
				return readSmaps(7, root);
			});
		} finally {
			rmSync(root, { recursive: true });
		}
	}

	test("are what they would be on their own: equal, changed, gone, new, and cut short", () => {
		const first = [
			area(rw(1), 4, "rd wr"),
			area(rw(3), 8, "rd wr ac"),
			area(rw(5), 12, "rd"),
			area(rw(7), 16, "rd lo"),
		];
		const texts = [
			first,
			first,
			[first[0], area(rw(3), 9, "rd wr ac"), first[2], first[3]],
			[first[0], first[2], first[3]],
			[area(rw(0), 4, "rd"), first[0], area(rw(2), 4, "rd"), ...first.slice(1), area(rw(9), 4, "rd")],
			[first[3]],
			first,
			[first[0], area(rw(3), 8, "rd wr ac", "Swap:     3 kB\n"), first[2]],
		].map((areas) => areas.join(""));
		expect(readInTurn(texts)).toEqual(texts.map((content) => parseSmaps(bytes(content))));
	});

	test("are facts of their own, with flags of their own where a userfaultfd watches", () => {
		const [a, b] = readInTurn([0, 1].map(() => area(rw(1), 4, "rd wr") + area(rw(3), 4, "rd wr uw")));
		expect(a?.[0]).not.toBe(b?.[0] as never);
		expect(a?.[1]?.vmFlags).not.toBe(b?.[1]?.vmFlags as never);
	});
});

describe("reading live tasks", () => {
	test("our own maps ascend and hold our stack", () => {
		const vmas = readMaps("self");
		for (let i = 1; i < vmas.length; i++) expect((vmas[i]?.start ?? 0n) >= (vmas[i - 1]?.end ?? 1n)).toBe(true);
		expect(vmas.some((vma) => text(vma.name) === "[stack]")).toBe(true);
	});

	test("maps and smaps of a waiting child agree", async () => {
		await using child = await Child.start("echo ready; read line");
		const maps = readMaps(child.pid);
		const smaps = readSmaps(child.pid);
		expect(smaps.map(({ start, end, prot, name }) => ({ start, end, prot, name }))).toEqual(
			maps.map(({ start, end, prot, name }) => ({ start, end, prot, name })),
		);
		const stack = smaps.find((vma) => text(vma.name) === "[stack]");
		expect(stack?.vmFlags.has("gd")).toBe(true);
		expect(stack?.rssKb).toBeGreaterThan(0);
	});
});
