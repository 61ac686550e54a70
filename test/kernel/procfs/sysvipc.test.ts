// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { parseSysvSem, parseSysvShm, readSysvSem, readSysvShm } from "../../../src/kernel/procfs/sysvipc.ts";
import { bytes, expectParseError } from "./samples.ts";

const SHM_HEAD = "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid\n";
const SEM_HEAD = "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n";

describe("parseSysvShm", () => {
	test("gives each segment, keys as signed numbers", () => {
		const lines =
			"         0          3  1600                  8192   100   101      2     0     0     0     0\n" +
			"-1412567278      32774   640 18446744073709551615     0     0      0     0     0     0     0\n";
		expect(parseSysvShm(bytes(SHM_HEAD + lines))).toEqual([
			{ key: 0, id: 3, size: 8192n, creator: 100, attached: 2 },
			{ key: -1412567278, id: 32774, size: 18446744073709551615n, creator: 0, attached: 0 },
		]);
		expect(parseSysvShm(bytes(SHM_HEAD))).toEqual([]);
	});

	test("refuses other text", () => {
		expectParseError(() => parseSysvShm(bytes(`${SHM_HEAD} 1 2 3\n`), "a"), "a");
		expectParseError(() => parseSysvShm(bytes(`${SHM_HEAD} 1 2 3 x 5 6 7 8\n`), "b"), "b");
	});

	test("reads what this kernel tells", () => expect(Array.isArray(readSysvShm())).toBe(true));
});

describe("parseSysvSem", () => {
	test("gives each set", () => {
		const line = "     24122          5   777         10     0     0     0     0          0 1700000000\n";
		expect(parseSysvSem(bytes(SEM_HEAD + line))).toEqual([{ key: 24122, id: 5, count: 10, operated: 0n }]);
	});

	test("reads what this kernel tells", () => expect(Array.isArray(readSysvSem())).toBe(true));
});
