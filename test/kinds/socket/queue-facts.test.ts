// SPDX-License-Identifier: GPL-2.0-only
// Looking at what waits in real sockets: all of it shows, nothing is taken, and the place of looks stays.

import { describe, expect, test } from "bun:test";
import { writeSync } from "node:fs";
import * as so from "../../../src/kernel/abi/socket.ts";
import { SYS_sendto, SYS_setsockopt, SYS_socketpair } from "../../../src/kernel/abi/syscalls.x86_64.ts";
import { PEEK_SIZE } from "../../../src/kinds/socket/peek.ts";
import { type QueueFacts, readQueue } from "../../../src/kinds/socket/queue-facts.ts";
import { closeFd } from "../../../src/sys/file.ts";
import { mustSyscall } from "../../../src/sys/host.ts";
import { getIntOption } from "../../../src/sys/socket.ts";
import { bytesOf, fileDump } from "../file/fixtures.ts";

function makePair(type: number): { a: number; b: number; [Symbol.dispose](): void } {
	const ends = new Int32Array(2);
	mustSyscall("for a test", SYS_socketpair, so.AF_UNIX, type | so.SOCK_CLOEXEC, 0, ends);
	const [a = -1, b = -1] = ends;
	return {
		a,
		b,
		[Symbol.dispose]() {
			closeFd(a);
			closeFd(b);
		},
	};
}

function send(fd: number, text: string): void {
	const bytes = bytesOf(text);
	mustSyscall("of a test", SYS_sendto, fd, bytes, bytes.length, 0, 0, 0);
}

function textsOf({ messages }: QueueFacts): string[] {
	return messages.map(({ data }) => new TextDecoder().decode(data));
}

const look = (fd: number, type: number, bytes: number) =>
	readQueue({ fd, type, bytes, shutdown: 0 }, fileDump(undefined));

describe("the queue of a socket", () => {
	test.each([
		["datagrams", so.SOCK_DGRAM, 3],
		["packets", so.SOCK_SEQPACKET, 14],
	])("shows each message, empty ones too: %s", (_, type, bytes) => {
		using pair = makePair(type);
		const texts = ["one", "", "second", "", "third"];
		for (const text of texts) send(pair.a, text);
		const seen = look(pair.b, type, bytes);
		expect(textsOf(seen)).toEqual(texts);
		expect(seen.messages.map(({ offset }) => offset)).toEqual([0, 3, 3, 9, 9]);
		expect(getIntOption(pair.b, so.SOL_SOCKET, so.SO_PEEK_OFF)).toBe(-1);
	});

	test("of an empty datagram socket is empty, one with an empty message isn't", () => {
		using pair = makePair(so.SOCK_DGRAM);
		expect(look(pair.b, so.SOCK_DGRAM, 0).messages).toEqual([]);
		send(pair.a, "");
		expect(look(pair.b, so.SOCK_DGRAM, 0).messages.length).toBe(1);
		// Also when it has been looked at before.
		expect(look(pair.b, so.SOCK_DGRAM, 0).messages.length).toBe(1);
	});

	test("of a stream is seen whole, and again, wherever the program looks", () => {
		using pair = makePair(so.SOCK_STREAM);
		for (const text of ["one", "second"]) send(pair.a, text);
		expect(textsOf(look(pair.b, so.SOCK_STREAM, 9))).toEqual(["onesecond"]);
		mustSyscall("of a test", SYS_setsockopt, pair.b, so.SOL_SOCKET, so.SO_PEEK_OFF, new Int32Array([2]), 4);
		const seen = look(pair.b, so.SOCK_STREAM, 9);
		expect(textsOf(seen)).toEqual(["onesecond"]);
		expect(seen.peekOffset).toBe(2);
		expect(getIntOption(pair.b, so.SOL_SOCKET, so.SO_PEEK_OFF)).toBe(2);
	});

	test("of a stream comes in pieces when it's long", () => {
		using pair = makePair(so.SOCK_STREAM);
		const bytes = Buffer.alloc(PEEK_SIZE + 1000, 0x61);
		const room = new Int32Array([bytes.length]);
		mustSyscall("of a test", SYS_setsockopt, pair.a, so.SOL_SOCKET, so.SO_SNDBUFFORCE, room, 4);
		expect(writeSync(pair.a, bytes)).toBe(bytes.length);
		const seen = look(pair.b, so.SOCK_STREAM, bytes.length);
		expect(seen.messages.map(({ length }) => length)).toEqual([PEEK_SIZE, 1000]);
	});
});
