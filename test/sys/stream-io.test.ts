// SPDX-License-Identifier: GPL-2.0-only
// Streams of bytes: pipes that somebody else has made non-blocking, ends that come too early, copies that stay as they were.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KernelError } from "../../src/errors.ts";
import { F_SETFL, O_NONBLOCK, O_RDONLY, O_WRONLY } from "../../src/kernel/abi/fcntl.ts";
import { SYS_fcntl } from "../../src/kernel/abi/syscalls.x86_64.ts";
import { loadHost, syscall } from "../../src/sys/host.ts";
import { makePipe } from "../../src/sys/pipe.ts";
import * as io from "../../src/sys/stream-io.ts";

let dir = "";
beforeAll(() => {
	loadHost();
	dir = mkdtempSync(join(tmpdir(), "stream-io-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function fileOf(bytes: Uint8Array): number {
	writeFileSync(join(dir, "file"), bytes);
	return openSync(join(dir, "file"), "r+");
}

const numbers = Uint8Array.from({ length: 5000 }, (_, i) => i % 251);

describe("a stream", () => {
	test("that is taken blocks, whatever others have set, and they don't notice", () => {
		const [reader, writer] = makePipe();
		for (const fd of [reader, writer]) syscall(SYS_fcntl, fd, F_SETFL, O_NONBLOCK);
		const [from, to] = [io.takeStream(reader, O_RDONLY, 65536), io.takeStream(writer, O_WRONLY, 65536)];
		expect([io.isNonBlocking(from), io.isNonBlocking(to)]).toEqual([false, false]);
		expect([io.isNonBlocking(reader), io.isNonBlocking(writer)]).toEqual([true, true]);
		io.writeStream(to, numbers);
		expect([io.countWaiting(from), io.countWaiting(to)]).toEqual([5000, 5000]);
		for (const fd of [to, writer]) closeSync(fd);
		const room = new Uint8Array(6000);
		expect(io.readStream(from, room)).toBe(5000);
		expect(room.subarray(0, 5000)).toEqual(numbers);
		for (const fd of [from, reader]) closeSync(fd);
	});

	test.each([["a pipe"], ["a file"]])("is moved from %s into a file, as far as it goes", (what) => {
		const [reader, writer] = makePipe();
		io.writeStream(writer, numbers);
		closeSync(writer);
		const from = what === "a pipe" ? reader : fileOf(numbers);
		expect(io.isPipe(from)).toBe(what === "a pipe");
		const to = io.makeMemoryFile("test");
		expect(io.moveToFile(from, to, 4000)).toBe(4000);
		expect(io.moveToFile(from, to, 4000)).toBe(1000);
		expect(new Uint8Array(readFileSync(`/proc/self/fd/${to}`))).toEqual(numbers);
		for (const fd of new Set([from, reader, to])) closeSync(fd);
	});

	test("keeps what it was given of a file that changes", () => {
		const [reader, writer] = makePipe();
		const file = fileOf(numbers);
		io.copyToStream(file, 1000n, writer, 2000n);
		writeSync(file, new Uint8Array(5000), 0, 5000, 0);
		const room = new Uint8Array(2000);
		io.readStream(reader, room);
		expect(room).toEqual(numbers.subarray(1000, 3000));
		expect(() => io.copyToStream(file, 4000n, writer, 2000n)).toThrow(KernelError);
		for (const fd of [reader, writer, file]) closeSync(fd);
	});
});
