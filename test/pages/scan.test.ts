// SPDX-License-Identifier: GPL-2.0-only
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readMaps } from "../../src/kernel/procfs/maps.ts";
import { scanByPagemap } from "../../src/pages/pagemap-walk.ts";
import type { Ranges } from "../../src/pages/ranges.ts";
import { scanMemory } from "../../src/pages/scan.ts";
import { openAt, scopedFd } from "../../src/sys/file.ts";

// A child that sleeps: its memory doesn't change between the two scans.
let child: ReturnType<typeof Bun.spawn>;
beforeAll(async () => {
	const program =
		"import mmap; x=bytearray(1<<20); m=mmap.mmap(-1, 32<<20, mmap.MAP_PRIVATE|mmap.MAP_ANONYMOUS)\n" +
		"for i in range(1200): m[i*3*4096]=1; m[(i*3+1)*4096]\n" +
		"print('up', flush=True); input()";
	child = Bun.spawn(["python3", "-c", program], {
		stdin: "pipe",
		stdout: "pipe",
		stderr: "inherit",
	});
	const reader = (child.stdout as ReadableStream<Uint8Array>).getReader();
	await reader.read();
	reader.releaseLock();
});
afterAll(async () => {
	child.kill("SIGKILL");
	await child.exited;
});

function within(ranges: Ranges, vmas: ReadonlyArray<{ start: bigint; end: bigint }>): string[] {
	const found: string[] = [];
	for (const { start, end } of ranges)
		for (let at = start; at < end; at += 4096n)
			if (vmas.some((vma) => at >= vma.start && at < vma.end)) found.push(at.toString(16));
	return found;
}

test("both ways of scanning find the same pages", () => {
	const vmas = readMaps(child.pid).filter((vma) => !vma.shared && vma.end < 1n << 47n && !isSpecial(vma.name));
	using pagemap = scopedFd(openAt(`/proc/${child.pid}/pagemap`, 0));
	const byIoctl = within(scanMemory(child.pid, vmas).data, vmas);
	const byPagemap = within(scanByPagemap(pagemap.fd, vmas).data, vmas);
	expect(byIoctl.length).toBeGreaterThan(1200 + 256);
	expect(byPagemap).toEqual(byIoctl);
});

function isSpecial(name: Uint8Array): boolean {
	return /^\[v/.test(Buffer.from(name).toString("latin1"));
}
