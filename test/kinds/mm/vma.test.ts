// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import * as mman from "../../../src/kernel/abi/mman.ts";
import { parseSmaps, type SmapsFacts } from "../../../src/kernel/procfs/smaps.ts";
import * as v from "../../../src/kinds/mm/vma.ts";

function vma(line: string, flags: string, pageKb = 4): SmapsFacts {
	const text = `${line}\nKernelPageSize: ${String(pageKb).padStart(8)} kB\nVmFlags: ${flags} \n`;
	const [facts] = parseSmaps(new TextEncoder().encode(text));
	if (facts === undefined) throw new Error("no vma");
	return facts;
}

const entryOf = (facts: SmapsFacts) => v.encodeVma(facts, v.classifyVma(facts), undefined);

describe("encodeVma", () => {
	test.each([
		["[heap]", "1000-2000 rw-p 00000000 00:00 0     [heap]", "rd wr mr mw me ac", 0x221, 0x22],
		["[stack]", "1000-2000 rw-p 00000000 00:00 0     [stack]", "rd wr mr mw me gd ac", 0x201, 0x122],
		["vdso", "1000-3000 r-xp 00000000 00:00 0     [vdso]", "rd ex mr mw me de", 0x209, 0x22],
		["vvar", "1000-3000 r--p 00000000 00:00 0     [vvar]", "rd mr pf io de dd", 0x1201, 0x22],
		["vsyscall", "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0   [vsyscall]", "xe", 0x204, 0x22],
		["a private file", "1000-2000 r-xp 00001000 08:01 77    /bin/x", "rd ex mr mw me", 0x41, 0x2],
		["a shared file", "1000-2000 rw-s 00001000 08:01 77    /tmp/x", "rd wr sh mr mw me ms", 0x81, 0x1],
		["shared memory", "1000-2000 rw-s 00000000 00:01 77    /dev/zero (deleted)", "rd wr sh mr mw me ms", 0x4081, 0x1],
		["System V memory", "1000-2000 rw-s 00000000 00:01 0  /SYSV00000000 (deleted)", "rd wr sh mr mw me", 0x501, 0x21],
		[
			"a packet socket's ring",
			"1000-3000 rw-s 00000000 00:09 77    socket:[77]",
			"rd wr sh mr mw me ms mm",
			0x801,
			0x1,
		],
		["the zero device, private", "1000-2000 rw-p 00000000 fe:07 77   /dev/zero (deleted)", "rd wr mr mw me", 0x41, 0x2],
		["a ring of AIO", "1000-2000 rw-s 00000000 00:0e 9  /[aio] (deleted)", "rd wr sh mr mw me ms de", 0x2000, 0x1],
		["a memfd, private", "1000-2000 rw-p 00000000 00:01 77    /memfd:a (deleted)", "rd wr mr mw me ac", 0x4041, 0x2],
	])("gives %s the status and flags of CRIU", (_, line, flags, status, mapFlags) => {
		const entry = entryOf(vma(line, flags));
		expect(entry.status).toBe(status);
		expect(entry.flags).toBe(mapFlags);
		expect(entry.fd).toBe(-1n);
	});

	test("keeps locking, reservation and advice", () => {
		const entry = entryOf(vma("1000-2000 rw-p 00000000 00:00 0", "rd wr mr mw me lo nr dc hg"));
		expect(entry.flags).toBe(0x22 | mman.MAP_LOCKED | mman.MAP_NORESERVE);
		expect(entry.madv).toBe((1n << 10n) | (1n << 14n));
	});

	test("keeps the size of huge pages", () => {
		const entry = entryOf(
			vma("200000-400000 rw-p 00000000 00:0f 9  /anon_hugepage (deleted)", "rd wr mr mw me ht", 2048),
		);
		expect(entry.flags >>> 0).toBe((0x22 | mman.MAP_HUGETLB | (21 << 26)) >>> 0);
		expect(entry.status).toBe(0x201);
	});
});

describe("findVmaBlockers", () => {
	test.each([
		["device memory", "1000-2000 rw-s 00000000 00:05 9  /dev/fb0", "rd wr sh io pf"],
		["io_uring", "1000-2000 rw-s 00000000 00:0e 9  anon_inode:[io_uring]", "rd wr sh"],
		["a userfaultfd", "1000-2000 rw-p 00000000 00:00 0", "rd wr um"],
	])("names %s with the reason and a remedy", (_, line, flags) => {
		const [blocker] = v.findVmaBlockers(42, [vma(line, flags)]);
		expect(blocker?.code).toBe("UNSUPPORTED_MAPPING");
		expect(blocker?.message).toContain("pid 42: mapping 1000-2000");
		expect(blocker?.remedy).toBeTruthy();
	});

	test("names uprobes unless they are allowed", () => {
		const page = vma("7fffffffe000-7ffffffff000 --xp 00000000 00:00 0  [uprobes]", "ex mr dc");
		expect(v.findVmaBlockers(1, [page])[0]?.remedy).toContain("--allow-uprobes");
		expect(v.findVmaBlockers(1, [page], true)).toEqual([]);
	});

	test("names memory under a protection key, but for that which can only be executed", () => {
		const under = { ...vma("1000-2000 rw-p 00000000 00:00 0", "rd wr mr"), protectionKey: 3 };
		expect(v.findVmaBlockers(1, [under])[0]?.message).toContain("is under protection key 3");
		expect(v.findVmaBlockers(1, [{ ...under, prot: 4 }])).toEqual([]);
	});

	test("names memory above 47 bits of addresses, but for [vsyscall]", () => {
		const high = vma("1000000000000-1000000001000 rw-p 00000000 00:00 0", "rd wr mr");
		expect(v.findVmaBlockers(1, [high])[0]?.message).toContain("lies above the first 47 bits");
		const others = [
			vma("7fffffffe000-7ffffffff000 rw-p 00000000 00:00 0", "rd wr mr"),
			vma("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0  [vsyscall]", "ex"),
		];
		expect(v.findVmaBlockers(1, others)).toEqual([]);
	});

	test("has nothing against ordinary memory, all of it is looked at", () => {
		const good = vma("1000-2000 rw-p 00000000 00:00 0", "rd wr mr");
		const bad = vma("3000-4000 rw-p 00000000 00:00 0", "rd wr um");
		expect(v.findVmaBlockers(1, [good, bad, good, bad])).toHaveLength(2);
	});
});

describe("listPrivateRanges", () => {
	test("sets the pages of stack pointers apart and leaves shared memory out", () => {
		const stack = entryOf(vma("10000-20000 rw-p 00000000 00:00 0     [stack]", "rd wr gd"));
		const shared = entryOf(vma("30000-40000 rw-s 00000000 00:01 7    /dev/zero (deleted)", "rd wr sh"));
		const file = entryOf(vma("50000-60000 r--p 00000000 08:01 7    /bin/x", "rd mr"));
		expect(v.listPrivateRanges([stack, shared, file], [0x12345n])).toEqual([
			{ start: 0x10000n, end: 0x12000n, lazy: true, whole: false },
			{ start: 0x12000n, end: 0x13000n, lazy: false, whole: false },
			{ start: 0x13000n, end: 0x20000n, lazy: true, whole: false },
			{ start: 0x50000n, end: 0x60000n, lazy: false, whole: false },
		]);
	});

	test("takes the vdso whole and vvar not at all", () => {
		const vvar = entryOf(vma("1000-3000 r--p 00000000 00:00 0     [vvar]", "rd mr pf io de dd"));
		const vdso = entryOf(vma("3000-5000 r-xp 00000000 00:00 0     [vdso]", "rd ex mr"));
		expect(v.listPrivateRanges([vvar, vdso], [])).toEqual([{ start: 0x3000n, end: 0x5000n, lazy: false, whole: true }]);
	});
});
