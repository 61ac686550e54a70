// SPDX-License-Identifier: GPL-2.0-only
// Restartable sequences: whether a thread is in one.

import { describe, expect, test } from "bun:test";
import { findCriticalSection } from "../../src/agent/rseq-section.ts";

describe("findCriticalSection", () => {
	const memory = (flags: number) => (address: bigint, length: number) => {
		const bytes = new Uint8Array(length);
		const view = new DataView(bytes.buffer);
		if (address === 0x100n) view.setBigUint64(8, 0x200n, true);
		else
			for (const [offset, value] of [
				[8, 0x4000n],
				[16, 0x20n],
				[24, 0x9000n],
			] as const)
				view.setBigUint64(offset, value, true);
		if (address === 0x200n) view.setUint32(4, flags, true);
		return bytes;
	};

	test("knows whether a thread is inside, and what aborts it", () => {
		expect(findCriticalSection(0x100n, 0x4010n, memory(0))).toEqual({
			area: 0x100n,
			pointer: 0x200n,
			abortIp: 0x9000n,
			noRestart: false,
		});
		expect(findCriticalSection(0x100n, 0x4010n, memory(2))?.noRestart).toBe(true);
		expect(findCriticalSection(0x100n, 0x4020n, memory(0))).toBeUndefined();
		expect(findCriticalSection(0x100n, 0x3fffn, memory(0))).toBeUndefined();
	});
});
