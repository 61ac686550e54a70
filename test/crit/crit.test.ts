// SPDX-License-Identifier: GPL-2.0-only
// crit from its words to its exit code: forms of the command line, JSON of any shape, damaged images.

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemorySink } from "../../src/crit/byte-sink.ts";
import { ByteSource } from "../../src/crit/byte-source.ts";
import { decodeImage } from "../../src/crit/decode.ts";
import { encodeImage } from "../../src/crit/encode.ts";
import { readInfo } from "../../src/crit/info.ts";
import { runCrit } from "../../src/crit/main.ts";
import { CriuError } from "../../src/errors.ts";
import { type ImageKind, KINDS } from "../../src/images/index.ts";
import { makeRandom } from "../images/random-message.ts";
import { makeImage } from "./random-images.ts";

const dir = mkdtempSync(join(tmpdir(), "crit-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const path = (name: string): string => join(dir, name);

async function crit(...args: string[]) {
	let out = "";
	let err = "";
	const code = await runCrit(args, { print: (text) => (out += text), printError: (text) => (err += text) });
	return { code, out, err };
}

function write(name: string, bytes: Uint8Array | string): string {
	writeFileSync(path(name), bytes);
	return path(name);
}

function decode(file: string, form: Partial<Parameters<typeof decodeImage>[2]> = {}): string {
	using source = ByteSource.open(file);
	const sink = new MemorySink();
	decodeImage(source, sink, { pretty: false, noPayload: false, extensions: true, ...form });
	return new TextDecoder().decode(sink.bytes());
}

function encode(json: string): Uint8Array {
	using source = ByteSource.open(write("in.json", json), 16);
	const sink = new MemorySink();
	encodeImage(source, sink, dir);
	return sink.bytes();
}

function image(kind: ImageKind, seed: number): Uint8Array {
	return makeImage(kind, makeRandom(seed));
}

const KINDS_WITH_PAYLOADS = [
	KINDS.PIPES_DATA,
	KINDS.TCP_STREAM,
	KINDS.IPCNS_MSG,
	KINDS.IPCNS_SEM,
	KINDS.GHOST_FILE,
] as unknown as ImageKind[];

describe("the command line", () => {
	test.each<[string[], number, string]>([
		[[], 1, "crit: error: too few arguments"],
		[["melt"], 2, "invalid choice: 'melt'"],
		[["show"], 2, "crit show: error: the following arguments are required: in"],
		[["decode", "a"], 2, "unrecognized arguments: a"],
		[["decode", "--nope"], 2, "unrecognized arguments: --nope"],
		[["decode", "-i"], 2, "expected one argument"],
		[["x", ".", "all"], 2, "invalid choice: 'all'"],
		[["decode", "-i", "/nonexistent"], 1, "cannot open /nonexistent"],
		[["decode", "-i", "/"], 1, "cannot read /"],
		[["x", "/nonexistent", "ps"], 1, "/nonexistent"],
		[["x", "/proc/self/fdinfo", "ps"], 1, "pstree.img is missing"],
	])("%j fails with its reason", async (args, code, text) => {
		const answer = await crit(...args);
		expect({ ...answer, err: answer.err.includes(text) }).toEqual({ code, out: "", err: true });
	});

	test("has options in all of argparse's forms", async () => {
		const file = write("seccomp.img", image(KINDS.SECCOMP as unknown as ImageKind, 1));
		for (const [at, form] of [["--in", file], [`--in=${file}`], [`-i${file}`], ["-i", file]].entries()) {
			expect((await crit("decode", ...form, "--pre", `--out=${path(`form${at}`)}`)).code).toBe(0);
			expect(readFileSync(path(`form${at}`), "utf8")).toBe(decode(file, { pretty: true, extensions: false }));
		}
	});

	test("answers --version and --help, also of each command", async () => {
		expect(await crit("--version")).toEqual({ code: 0, out: "4.2\n", err: "" });
		for (const verb of ["decode", "encode", "info", "x", "show", "recode"]) {
			expect((await crit("--help")).out).toContain(`  ${verb}`);
			expect((await crit(verb, "-h")).out).toContain(`usage: crit ${verb} [-h]`);
		}
	});

	test("the file's name decides which program it is", () => {
		symlinkSync(join(import.meta.dir, "../../dist/criu"), path("crit"));
		const run = (...argv: string[]) => Bun.spawnSync(argv).stdout.toString();
		expect(run(path("crit"), "--version")).toBe("4.2\n");
		expect(run(join(import.meta.dir, "../../dist/criu"), "crit", "--version")).toBe("4.2\n");
	});
});

describe("encode", () => {
	test.each(KINDS_WITH_PAYLOADS.map((kind) => [kind.name, kind] as const))(
		"gives %s back from sorted keys",
		(_, kind) => {
			for (let seed = 1; seed < 6; seed++) {
				const bytes = image(kind, seed);
				const value = decode(write("image", bytes));
				const { magic, entries } = JSON.parse(value) as { magic: string; entries: Record<string, unknown>[] };
				const flipped = entries.map((entry) => Object.fromEntries(Object.entries(entry).reverse()));
				// Numbers beyond 2^53 don't survive JSON.parse.
				if (/\d{16}/.test(value)) continue;
				expect(Buffer.from(encode(JSON.stringify({ entries: flipped, magic }))).equals(bytes)).toBe(true);
			}
		},
	);

	test("puts large payloads aside, whatever stands behind them", () => {
		const data = Buffer.alloc(20_000_000, "criu");
		const json = `{"entries": [{"extra": "${data.toString("base64")}", "bytes": 20000000, "pipe_id": 7}], "magic": "PIPES_DATA"}`;
		const bytes = encode(json);
		expect(bytes.length).toBe(8 + 4 + 7 + data.length);
		expect(Buffer.compare(bytes.subarray(19), data)).toBe(0);
	});

	test.each<[string, string]>([
		["", "Cannot read JSON"],
		["\x7fELF", "Cannot read JSON"],
		["[]", "Cannot read JSON"],
		['{"magic": "CORE"}', 'no "entries"'],
		['{"entries": []}', 'no "magic"'],
		['{"magic": "CORE", "entries": []} x', "something follows"],
		['{"magic": "PAGES", "entries": []}', "unknown magic PAGES"],
		['{"magic": "__proto__", "entries": []}', "unknown magic __proto__"],
		['{"magic": "PSTREE", "entries": [1]}', "1 where { is wanted"],
		['{"magic": "PSTREE", "entries": [{"pid": 1}]}', "pstree_entry.ppid is missing"],
		[
			'{"magic": "PSTREE", "entries": [{"pid": 4294967296, "ppid":1,"pgid":1,"sid":1}]}',
			"pid: 4294967296 does not fit",
		],
		['{"magic": "PSTREE", "entries": [{"pid": -1, "ppid":1,"pgid":1,"sid":1}]}', "pid: -1 does not fit"],
		['{"magic": "PSTREE", "entries": [{"pid": 1.5, "ppid":1,"pgid":1,"sid":1}]}', "pid: 1.5 is no whole number"],
		['{"magic": "PSTREE", "entries": [{"pid": {}, "ppid":1,"pgid":1,"sid":1}]}', "pid: an object is no whole"],
		['{"magic": "PIPES_DATA", "entries": [{"pipe_id": 1, "bytes": 4, "extra": "... <4B>"}]}', "extra is no base64"],
		['{"magic": "PIPES_DATA", "entries": [{"pipe_id": 1, "bytes": 4, "extra": "YWI=\\n"}]}', "extra has 2 bytes"],
		['{"magic": "PIPES_DATA", "entries": [{"pipe_id": 1, "bytes": 4}]}', "extra has 0 bytes"],
		['{"magic": "GHOST_FILE", "entries": []}', "the first entry is missing"],
		[`{"magic": ${"[".repeat(5000)}`, "nested deeper"],
		['{"magic": "FS", "entries": ["\\ud', "Cannot read JSON"],
	])("refuses %j", (json, text) => {
		let message = "";
		try {
			encode(json);
		} catch (error) {
			message = error instanceof CriuError && error.code !== "BUG" ? error.message : `wrong sort: ${error}`;
		}
		expect(message).toContain(text);
	});

	test("leaves an older file alone when it fails, and may write over its input", async () => {
		const old = write("old.img", "precious");
		const bad = write("bad.json", '{"magic": "PSTREE", "entries": [{}]}');
		expect((await crit("encode", "-i", bad, "-o", old)).code).toBe(1);
		expect(readFileSync(old, "latin1")).toBe("precious");
		const bytes = image(KINDS.SECCOMP as unknown as ImageKind, 3);
		const file = write("same", bytes);
		const { mode } = statSync(file);
		expect((await crit("decode", "-i", file, "-o", file)).code).toBe(0);
		expect((await crit("encode", "-i", file, "-o", file)).code).toBe(0);
		expect(readFileSync(file).equals(bytes)).toBe(true);
		expect(statSync(file).mode).toBe(mode);
	});

	test("warns of keys that are no fields", async () => {
		const json = write("keys.json", '{"magic": "FS", "entries": [{"cwd_id": 1, "root_id": 2, "umaks": 3}]}');
		const { code, err } = await crit("encode", "-i", json, "-o", path("keys.img"));
		expect({ code, err }).toEqual({ code: 0, err: "warning: no such field, left out: fs_entry.umaks\n" });
	});

	test("keeps names that are no UTF-8", () => {
		const json =
			'{"magic": "MEMFD_INODE", "entries": [{"name": "a\\udcffb\\u00e9", "uid": 0, "gid": 0, "size": 0, "shmid": 0, "seals": 0, "inode_id": 1}]}';
		const bytes = encode(json);
		expect(Buffer.from(bytes).includes(Buffer.from([0x61, 0xff, 0x62, 0xc3, 0xa9]))).toBe(true);
		expect(decode(write("memfd.img", bytes))).toBe(json);
	});
});

/** What a reader of a damaged image may do: succeed, or say so. */
function survives(read: () => unknown): boolean {
	try {
		read();
		return true;
	} catch (error) {
		if (error instanceof CriuError && error.code !== "BUG") return true;
		throw error;
	}
}

describe("damaged images", () => {
	test("cut off at any byte are told as such", () => {
		for (const kind of [...KINDS_WITH_PAYLOADS, KINDS.CORE, KINDS.PAGEMAP] as ImageKind[]) {
			const bytes = image(kind, 2);
			const step = Math.max(1, Math.floor(bytes.length / 40));
			for (let length = 0; length < bytes.length; length += step) {
				const file = write("cut", bytes.subarray(0, length));
				expect(survives(() => decode(file, { pretty: true }))).toBe(true);
				expect(survives(() => decode(file, { noPayload: true }))).toBe(true);
				using source = ByteSource.open(file);
				expect(survives(() => readInfo(source))).toBe(true);
			}
		}
	});

	test("with random bytes in them are read or refused", () => {
		const random = makeRandom(77);
		for (const kind of Object.values(KINDS) as unknown as ImageKind[]) {
			if (kind.framing === "raw") continue;
			const bytes = Buffer.from(image(kind, 4));
			for (let turn = 0; turn < 3; turn++) {
				const copy = Buffer.from(bytes);
				for (let left = 1 + (random() % 4); left > 0; left--)
					copy[8 + (random() % Math.max(1, copy.length - 8))] = random();
				const file = write("mutated", copy);
				let json: string | undefined;
				expect(survives(() => (json = decode(file, { pretty: turn % 2 === 0 })))).toBe(true);
				if (json !== undefined) expect(survives(() => encode(json as string))).toBe(true);
			}
		}
	});
});

test("JSON with random bytes in it is encoded or refused", () => {
	const random = makeRandom(78);
	for (const kind of [...KINDS_WITH_PAYLOADS, KINDS.CORE, KINDS.FILES, KINDS.INETSK] as ImageKind[]) {
		const json = Buffer.from(decode(write("sane", image(kind, 9)), { pretty: true }));
		for (let turn = 0; turn < 6; turn++) {
			const copy = Buffer.from(json);
			for (let left = 1 + (random() % 3); left > 0; left--) copy[random() % copy.length] = random() % 128;
			expect(survives(() => encode(copy.toString("latin1")))).toBe(true);
		}
	}
});
