// SPDX-License-Identifier: GPL-2.0-only
// Pages that wait: in memory, up to a limit for all together, then in files that have no name, where the user allows it.

import { beforeAll, expect, test } from "bun:test";
import { closeSync, mkdtempSync, readdirSync, readlinkSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KernelError } from "../../src/errors.ts";
import { errnoNumber } from "../../src/kernel/abi/errno.ts";
import { readAt } from "../../src/sys/file.ts";
import { loadHost } from "../../src/sys/host.ts";
import { makePipe } from "../../src/sys/pipe.ts";
import { fillingFile, makeWaitingFile, takeWaitingFile } from "../../src/sys/waiting-file.ts";

const MIB = 1 << 20;

beforeAll(() => {
	loadHost();
});

/** Takes what `seq` prints, cut after so many bytes. */
async function take(bytes: number, places: readonly string[]): Promise<number> {
	const [reader, writer] = makePipe();
	const child = Bun.spawn(["sh", "-c", `seq 1 100000000 | head -c ${bytes}`], { stdin: "ignore", stdout: writer });
	closeSync(writer);
	const fd = takeWaitingFile("pages-1.img", reader, places);
	closeSync(reader);
	await child.exited;
	return fd;
}

const placeOf = (fd: number) => readlinkSync(`/proc/self/fd/${fd}`);

test("little waits in memory, more on disk, whole, in a file that nobody finds", async () => {
	const dir = mkdtempSync(join(tmpdir(), "waiting-"));
	try {
		const small = await take(10 * MIB + 7, [dir]);
		expect(placeOf(small)).toStartWith("/memfd:");
		expect(statSync(`/proc/self/fd/${small}`).size).toBe(10 * MIB + 7);
		const large = await take(100 * MIB + 7, ["/proc", dir]);
		expect(placeOf(large)).toStartWith(`${dir}/`);
		expect(readdirSync(dir)).toEqual([]);
		const { size, mode } = statSync(`/proc/self/fd/${large}`);
		expect([size, mode & 0o777]).toEqual([100 * MIB + 7, 0o600]);
		const hash = new Bun.CryptoHasher("sha256");
		for (let at = 0; at < size; at += MIB) hash.update(readAt(large, Math.min(MIB, size - at), at));
		const wanted = await Bun.$`seq 1 100000000 2>/dev/null | head -c ${size} | sha256sum`.text();
		expect(hash.digest("hex")).toBe(wanted.slice(0, 64));
		// What went to disk left its room in memory to others.
		const fits = makeWaitingFile("pages-2.img", 40 * MIB, [dir]);
		const doesNot = makeWaitingFile("pages-3.img", 40 * MIB, [dir]);
		expect([placeOf(fits).slice(0, 7), placeOf(doesNot).slice(0, dir.length)]).toEqual(["/memfd:", dir]);
		const elsewhere = makeWaitingFile("pages-4.img", 40 * MIB, ["/proc"]);
		expect(placeOf(elsewhere)).toStartWith("/memfd:");
		for (const fd of [small, large, fits, doesNot, elsewhere]) closeSync(fd);
	} finally {
		rmSync(dir, { recursive: true });
	}
}, 60_000);

test("a full disk is told with a remedy, other failures as they are", () => {
	const fail = (errno: string) => () =>
		fillingFile("pages-1.img", () => {
			throw new KernelError("splice", errnoNumber(errno), "of a pipe");
		});
	expect(fail("ENOSPC")).toThrow(expect.objectContaining({ code: "NO_ROOM_FOR_PAGES" }));
	expect(fail("EIO")).toThrow(KernelError);
});
