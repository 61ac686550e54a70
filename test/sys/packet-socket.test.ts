// SPDX-License-Identifier: GPL-2.0-only

import { describe, expect, test } from "bun:test";
import { closeFd } from "../../src/sys/file.ts";
import { loadHost } from "../../src/sys/host.ts";
import { makePair, peekLength, receivePacket, sendPacket } from "../../src/sys/packet-socket.ts";

loadHost();

describe("receivePacket", () => {
	test("gives what came before the other side went without reading all", () => {
		const [ours, theirs] = makePair();
		try {
			expect(sendPacket(ours, new Uint8Array([1]))).toBe(true);
			expect(sendPacket(theirs, new Uint8Array([2, 3, 4]))).toBe(true);
			closeFd(theirs);
			expect(receivePacket(ours, 100)?.bytes).toEqual(new Uint8Array([2, 3, 4]));
			expect(receivePacket(ours, 100)).toBeUndefined();
		} finally {
			closeFd(ours);
		}
	});

	test("tells when the other side went without a word", () => {
		const [ours, theirs] = makePair();
		try {
			sendPacket(ours, new Uint8Array([1]));
			closeFd(theirs);
			expect(peekLength(ours)).toBe(0);
			expect(receivePacket(ours, 100)).toBeUndefined();
		} finally {
			closeFd(ours);
		}
	});
});
