// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { orderCandidates } from "../../src/agent/gadgets.x86_64.ts";
import { parseMaps } from "../../src/kernel/procfs/maps.ts";

const MAPS = `
000055f000000000-000055f00a000000 r-xp 00001000 fe:00 11 /opt/browser/browser
00007f0000000000-00007f0000004000 rwxp 00000000 00:00 0
00007f0000010000-00007f0000020000 r-xs 00000000 fe:00 12 /tmp/libc.so.cache
00007f0000100000-00007f0000150000 r-xp 00001000 fe:00 13 /usr/lib/libm.so.6
00007f0000200000-00007f0000300000 r--p 00001000 fe:00 14 /usr/lib/libcairo.so.2
00007f0000400000-00007f0000500000 r-xp 00028000 fe:00 15 /usr/lib/x86_64-linux-gnu/libc.so.6
00007f0000600000-00007f0000602000 r-xp 00000000 00:00 0 [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]
`.trimStart();

describe("code that is looked through for what injection needs", () => {
	test("begins with the C library, and comes to what is large, or somebody's to change, late", () => {
		const ordered = orderCandidates(parseMaps(Buffer.from(MAPS)));
		const names = ordered.map(({ name }) => Buffer.from(name).toString("latin1"));
		expect(names).toEqual([
			"/usr/lib/x86_64-linux-gnu/libc.so.6",
			"/usr/lib/libm.so.6",
			"/opt/browser/browser",
			"[vdso]",
			"",
			"/tmp/libc.so.cache",
		]);
	});
});
