// SPDX-License-Identifier: GPL-2.0-only
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ImageDir, KINDS } from "../../src/images/index.ts";
import { SYS_shutdown, SYS_socketpair } from "../../src/kernel/abi/syscalls.x86_64.ts";
import { readChain } from "../../src/pages/chain.ts";
import { dedup } from "../../src/pages/dedup.ts";
import { PageReceiver } from "../../src/pages/page-receiver.ts";
import { PE_PARENT, PE_PRESENT } from "../../src/pages/pagemap.ts";
import * as wire from "../../src/pages/wire.ts";
import { closeFd, readAt, statFd } from "../../src/sys/file.ts";
import { mustSyscall } from "../../src/sys/host.ts";

const root = mkdtempSync(join(tmpdir(), "page-receiver-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const TASK = wire.targetOf(wire.TYPE_TASK, 7);
let made = 0;

function makeDir(parent?: string): string {
	const dir = join(root, String(++made));
	mkdirSync(dir);
	if (parent !== undefined) symlinkSync(parent, join(dir, "parent"));
	return dir;
}

type Part = Partial<wire.Message> & { data?: number };

/** Messages as bytes; `data` fills the pages that follow one. */
function encode(size: wire.HeaderSize, parts: readonly Part[]): Uint8Array {
	const pieces = parts.map(({ data, ...message }) => {
		const bytes = new Uint8Array(size + (data === undefined ? 0 : Number(message.pages ?? 0n) * 4096));
		wire.writeHeader(new DataView(bytes.buffer), 0, size, message);
		bytes.fill(data ?? 0, size);
		return bytes;
	});
	return Uint8Array.from(Buffer.concat(pieces));
}

/** Lets a server in that directory have the bytes and then the end of the stream; its answers. */
function serve(path: string, bytes: Uint8Array, autoDedup = false): Uint8Array {
	const pair = new Int32Array(2);
	mustSyscall("for a test", SYS_socketpair, 1, 1, 0, pair);
	const [here = -1, there = -1] = pair;
	using dir = ImageDir.open(path);
	try {
		wire.send(here, bytes);
		mustSyscall("for a test", SYS_shutdown, here, 1);
		new PageReceiver(there, dir, { autoDedup, shared: false }).run();
		mustSyscall("for a test", SYS_shutdown, there, 2);
		const answers = new Uint8Array(64);
		return answers.subarray(0, wire.receive(here, answers));
	} finally {
		closeFd(here);
		closeFd(there);
	}
}

const add = (address: bigint, pages: bigint, data: number): Part => ({
	command: wire.PS_ADD_F,
	flags: PE_PRESENT,
	address: address * 4096n,
	pages,
	target: TASK,
	data,
});
const hole = (address: bigint, pages: bigint): Part => ({
	command: wire.PS_ADD_F,
	flags: PE_PARENT,
	address: address * 4096n,
	pages,
	target: TASK,
});
const OPEN: Part = { command: wire.PS_OPEN2, target: TASK };
const CLOSE: Part = { command: wire.PS_CLOSE };

describe.each([wire.SHORT_HEADER, wire.LONG_HEADER])("a page server, headers of %d bytes", (size) => {
	test("makes images of what comes, and builds on older ones", () => {
		const base = makeDir();
		expect([...serve(base, encode(size, [OPEN, add(1n, 3n, 1), add(9n, 1n, 2), CLOSE]))]).toEqual([0, 0, 0, 0, 0]);
		expect(readdirSync(base).sort()).toEqual(["pagemap-7.img", "pages-65537.img"]);
		const next = makeDir(base);
		expect([...serve(next, encode(size, [OPEN, hole(1n, 1n), add(2n, 2n, 3), hole(9n, 1n), CLOSE]))]).toEqual([
			1, 0, 0, 0, 0,
		]);
		using dir = ImageDir.open(next);
		const chain = readChain(dir, KINDS.PAGEMAP, 7);
		expect(chain?.runs).toEqual([
			{ address: 4096n, bytes: 4096n, offset: 0n, level: 1 },
			{ address: 8192n, bytes: 8192n, offset: 0n, level: 0 },
			{ address: 9n * 4096n, bytes: 4096n, offset: 3n * 4096n, level: 1 },
		]);
		expect(dedup(dir)).toBe(2n);
		using older = ImageDir.open(base);
		const pages = older.openFile("pages-65537.img") ?? -1;
		expect(statFd(pages).size).toBe(4n * 4096n);
		expect([0, 1, 2, 3].map((page) => readAt(pages, 1, page * 4096)[0])).toEqual([1, 0, 0, 2]);
		closeFd(pages);
	});

	test("leaves nothing of a dump that was cut, wherever", () => {
		const whole = encode(size, [OPEN, add(1n, 1n, 1), { ...OPEN, target: TASK + 256n }, CLOSE]);
		const path = makeDir();
		for (let length = 0; length < whole.length; length += length % 4096 > 100 && length > size * 2 ? 509 : 1) {
			expect(() => serve(path, whole.subarray(0, length))).toThrow(
				expect.objectContaining({ code: "PAGE_CONNECTION" }),
			);
			expect(readdirSync(path)).toEqual([]);
		}
	});

	test.each<[string, readonly Part[]]>([
		["an unknown command", [OPEN, { command: 77 }]],
		["a question for lazy pages", [OPEN, { command: wire.PS_GET, pages: 1n }]],
		["an unknown type", [{ command: wire.PS_OPEN2, target: 5n }]],
		["a pid that can't be", [{ command: wire.PS_OPEN2, target: wire.targetOf(wire.TYPE_TASK, 0xffffffffn) }]],
		["pages going backwards", [OPEN, add(5n, 1n, 1), add(4n, 1n, 1)]],
		["pages beyond user space", [OPEN, { ...hole(1n << 36n, 1n) }]],
		["no pages", [OPEN, add(5n, 0n, 1)]],
		["an odd address", [OPEN, { ...hole(1n, 1n), address: 4097n }]],
		["flags that nobody knows", [OPEN, { ...hole(1n, 1n), flags: 64 }]],
		["pages that are in no parent", [OPEN, hole(1n, 1n)]],
	])("refuses %s", (_, parts) => {
		const path = makeDir();
		expect(() => serve(path, encode(size, parts))).toThrow(expect.objectContaining({ code: "PAGE_STREAM" }));
		expect(readdirSync(path)).toEqual([]);
	});
});

test("a page server that answers too late for its client takes the long headers that follow", () => {
	const question = encode(wire.SHORT_HEADER, [{ command: wire.PS_PARENT, target: wire.NO_TARGET }]);
	const rest = new Uint8Array(BigUint64Array.of(wire.NO_TARGET).buffer);
	const path = makeDir();
	const dump = encode(wire.LONG_HEADER, [OPEN, add(1n, 2n, 1), CLOSE]);
	expect([...serve(path, Uint8Array.from(Buffer.concat([question, rest, dump])))]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0]);
	using dir = ImageDir.open(path);
	expect(readChain(dir, KINDS.PAGEMAP, 7)?.runs).toEqual([{ address: 4096n, bytes: 8192n, offset: 0n, level: 0 }]);
	expect(() => serve(makeDir(), Uint8Array.from(Buffer.concat([question, rest, dump.subarray(0, 9)])))).toThrow(
		expect.objectContaining({ code: "PAGE_CONNECTION" }),
	);
});
