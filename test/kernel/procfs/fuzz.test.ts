// SPDX-License-Identifier: GPL-2.0-only
// Whatever bytes come, a parser gives a value or a CriuError of code PROC_PARSE. The generator is seeded: failures repeat.

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { CriuError } from "../../../src/errors.ts";
import { parseAuxv } from "../../../src/kernel/procfs/auxv.ts";
import { parseCgroup } from "../../../src/kernel/procfs/cgroup.ts";
import { parseFdinfo } from "../../../src/kernel/procfs/fdinfo.ts";
import { parseLimits } from "../../../src/kernel/procfs/limits.ts";
import { parseNamespaceLink } from "../../../src/kernel/procfs/links.ts";
import { parseLocks } from "../../../src/kernel/procfs/locks.ts";
import { parseMaps } from "../../../src/kernel/procfs/maps.ts";
import { parseMountinfo } from "../../../src/kernel/procfs/mountinfo.ts";
import { parseSmaps } from "../../../src/kernel/procfs/smaps.ts";
import { parseStat } from "../../../src/kernel/procfs/stat.ts";
import { parseStatus } from "../../../src/kernel/procfs/status.ts";
import { parseIdMap, parseSyscall, parseTimensOffsets } from "../../../src/kernel/procfs/task-files.ts";
import { parseChildren } from "../../../src/kernel/procfs/tasks.ts";
import { parseTimers } from "../../../src/kernel/procfs/timers.ts";
import { bytes } from "./samples.ts";

const FDINFO = `pos:\t0\nflags:\t02\nmnt_id:\t17\nino:\t1038
lock:\t1: POSIX  ADVISORY  WRITE 123 fe:0a:5 0 EOF
eventfd-count:                5
tfd:        0 events:       19 data:     7fd000000000  pos:0 ino:1ff2b sdev:f
sigmask:\t0000000000000a00
clockid: 7\nticks: 1\nsettime flags: 01\nit_value: (3, 999999999)\nit_interval: (0, 1)
inotify wd:2 ino:3f7e8 sdev:fe00000 mask:fff ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:e8f7030000000000
fanotify flags:10 event-flags:8000
fanotify mnt_id:1b mflags:0 mask:20 ignored_mask:40
Pid:\t31\nNSpid:\t31\t2
`;

const own = (name: string): Uint8Array => new Uint8Array(readFileSync(`/proc/self/${name}`));

/** The first lines of a file. */
function head(from: Uint8Array, lines: number): Uint8Array {
	return bytes(
		Buffer.from(from)
			.toString("latin1")
			.split("\n")
			.slice(0, lines)
			.map((line) => `${line}\n`)
			.join(""),
	);
}

/** Each parser with a sample that it takes. */
const PARSERS: readonly (readonly [string, (from: Uint8Array) => unknown, Uint8Array])[] = [
	["maps", parseMaps, head(own("maps"), 20)],
	["smaps", parseSmaps, head(own("smaps"), 100)],
	["stat", parseStat, own("stat")],
	["status", parseStatus, own("status")],
	["limits", parseLimits, own("limits")],
	["fdinfo", parseFdinfo, bytes(FDINFO)],
	["locks", parseLocks, bytes("1: POSIX  ADVISORY  WRITE 123 fe:0a:5 0 EOF\n2: -> FLOCK X READ 1 <none>:0 1 2\n")],
	["timers", parseTimers, bytes("ID: 1\nsignal: 60/00007fff86e452a8\nnotify: signal/pid.2634\nClockID: 0\n")],
	["mountinfo", parseMountinfo, own("mountinfo")],
	["auxv", parseAuxv, own("auxv")],
	["cgroup", parseCgroup, own("cgroup")],
	["children", parseChildren, bytes("1 2 3 ")],
	["syscall", parseSyscall, bytes("34 0x1 0x2 0x3 0x4 0x5 0xffffffffffffffff 0x7 0x8\n")],
	["uid_map", parseIdMap, own("uid_map")],
	["timens_offsets", parseTimensOffsets, own("timens_offsets")],
	["ns", parseNamespaceLink, bytes("net:[4026531840]")],
];

/** xorshift32: numbers from 0 to limit - 1. */
function makeRandom(seed: number): (limit: number) => number {
	let state = seed | 1;
	return (limit) => {
		state ^= state << 13;
		state ^= state >>> 17;
		state ^= state << 5;
		return (state >>> 0) % limit;
	};
}

const SPICE = bytes(" \n\t:-()\\/0123456789abcdefxEOF<>[].,\0\xff");

/** The sample with a few bytes changed, cut out, doubled or made of what parsers look for. */
function mutate(sample: Uint8Array, random: (limit: number) => number): Uint8Array {
	let out = sample.slice();
	for (let n = 1 + random(6); n > 0; n--) {
		const at = random(out.length + 1);
		const how = random(5);
		if (how === 0) out[at] = random(256);
		else if (how === 1) out[at] = SPICE[random(SPICE.length)] ?? 0;
		else if (how === 2) out = out.slice(0, at);
		else if (how === 3)
			out = Uint8Array.from([...out.subarray(0, at), ...out.subarray(Math.min(at + random(20), out.length))]);
		else out = Uint8Array.from([...out.subarray(0, at), ...out.subarray(at, at + random(40)), ...out.subarray(at)]);
	}
	return out;
}

/** Runs a parser; anything but a value or PROC_PARSE is a failure that shows the input. */
function check(name: string, parse: (from: Uint8Array) => unknown, input: Uint8Array): void {
	try {
		parse(input);
	} catch (error) {
		if (error instanceof CriuError && error.code === "PROC_PARSE") return;
		expect.unreachable(`${name} threw ${error} for ${JSON.stringify(Buffer.from(input).toString("latin1"))}`);
	}
}

describe("parsers meet hostile bytes with a value or a typed error", () => {
	test.each(PARSERS)("%s takes its sample", (_name, parse, sample) => {
		expect(() => parse(sample)).not.toThrow();
	});

	test.each(PARSERS)("%s, cut at every byte", (name, parse, sample) => {
		for (let length = 0; length < Math.min(sample.length, 1500); length++)
			check(name, parse, sample.subarray(0, length));
	});

	test.each(PARSERS)("%s, changed at random", (name, parse, sample) => {
		const random = makeRandom(20240607);
		for (let i = 0; i < 1500; i++) check(name, parse, mutate(sample, random));
	});

	test.each(PARSERS)("%s, random bytes and random words", (name, parse) => {
		const random = makeRandom(7);
		for (let i = 0; i < 500; i++) {
			check(
				name,
				parse,
				Uint8Array.from({ length: random(300) }, () => random(256)),
			);
			check(
				name,
				parse,
				Uint8Array.from({ length: random(300) }, () => SPICE[random(SPICE.length)] ?? 0),
			);
		}
	});

	test.each(PARSERS)("%s, a megabyte of one byte", (name, parse) => {
		for (const byte of [0x20, 0x0a, 0x30, 0x66, 0x28, 0x3a, 0x5c, 0xff])
			check(name, parse, new Uint8Array(1 << 20).fill(byte));
		const lines = new Uint8Array(1 << 18).fill(0x0a);
		for (let i = 0; i < lines.length; i += 2) lines[i] = 0x31;
		check(name, parse, lines);
	});
});
