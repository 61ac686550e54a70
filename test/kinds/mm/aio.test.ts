// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { type aio_ring_entry, aio_ring_entrySchema, vma_entrySchema } from "../../../src/images/gen/mm_pb.ts";
import { create } from "../../../src/images/index.ts";
import { AIO_RING_MAGIC, AioRing } from "../../../src/kernel/abi/aio.ts";
import type { DumpContext, DumpedTask, TaskDraft } from "../../../src/kinds/kind.ts";
import {
	checkRings,
	checkRingsStill,
	leastRequestsOf,
	parseRing,
	planTurns,
	readWhenQuiet,
	requestsOf,
} from "../../../src/kinds/mm/aio.ts";
import { mapPrivate } from "../../../src/sys/memory.ts";

const PLACE = { start: 0x10000n, end: 0x11000n };
const GOOD = { nr: 127, head: 3, tail: 5, magic: AIO_RING_MAGIC, header_length: 32 };

describe("parseRing", () => {
	test("reads the head of a ring", () => {
		expect(parseRing(AioRing.encode(GOOD), PLACE)).toMatchObject({ nr: 127, head: 3, tail: 5 });
	});

	test.each([
		["another magic", { magic: 1 }],
		["a longer head", { header_length: 64 }],
		["features that nobody knows", { incompat_features: 1 }],
		["a place outside", { head: 127 }],
		["an end outside", { tail: 0xffffffff }],
		["another size", { nr: 255 }],
		["no events", { nr: 0, head: 0, tail: 0 }],
	])("refuses %s", (_, fields) => {
		expect(typeof parseRing(AioRing.encode({ ...GOOD, ...fields }), PLACE)).toBe("string");
	});
});

describe("requests of a ring", () => {
	test.each([
		[1n, 1, 62],
		[2n, 63, 126],
		[5n, 255, 318],
		[16n, 959, 1022],
	])("of %d pages", (pages, least, most) => {
		expect(leastRequestsOf(pages * 4096n)).toBe(least);
		expect(requestsOf(pages * 4096n)).toBe(most);
	});
});

describe("planTurns", () => {
	/** What the kernel's ring is like after the turns; fails where more is submitted than there's room for. */
	function play(nr: number, turns: ReturnType<typeof planTurns>) {
		let head = 0;
		let submitted = 0;
		for (const { count, headAfter } of turns) {
			submitted += count;
			expect((submitted % nr) + (submitted >= nr ? nr : 0) - head).toBeLessThan(nr);
			if (headAfter !== undefined) head = headAfter;
		}
		return { head, tail: submitted % nr, waiting: submitted - head };
	}

	test.each([
		[0, 0],
		[5, 5],
		[126, 126],
		[3, 120],
		[120, 3],
		[0, 90],
		[1, 0],
	])("brings a new ring to %d and %d", (head, tail) => {
		const turns = planTurns({ nr: 127, head, tail });
		expect(play(127, turns)).toEqual({ head, tail, waiting: (tail - head + 127) % 127 });
	});
});

describe("checkRings", () => {
	const vma = (fields = {}) =>
		create(vma_entrySchema, { ...PLACE, pgoff: 0n, shmid: 0n, prot: 3, flags: 1, status: 0x2000, fd: -1n, ...fields });
	const entry = (fields: Partial<aio_ring_entry> = {}) => {
		const { $typeName: _, ...rest } = fields;
		return create(aio_ring_entrySchema, { id: PLACE.start, ringLen: 4096, nrReq: 62, ...rest });
	};

	test("takes rings with their mappings, and mappings that came by fork", () => {
		checkRings("mm-1.img", [entry()], [vma()]);
		checkRings("mm-1.img", [], [vma()]);
	});

	test.each([
		["without a mapping", [entry({ id: 0n })], [vma()]],
		["of another length", [entry({ ringLen: 8192 })], [vma()]],
		["on other memory", [entry()], [vma({ status: 0x201 })]],
		["twice", [entry(), entry()], [vma()]],
		["as private memory", [entry()], [vma({ flags: 2 })]],
		["of two kinds", [entry()], [vma({ status: 0x2201 })]],
	])("refuses a ring %s", (_, aios, vmas) => {
		expect(() => checkRings("mm-1.img", aios, vmas)).toThrow("mm-1.img: ring 0x");
	});
});

describe("checkRingsStill", () => {
	test.each([
		["passes a ring that is as it was", 3, undefined],
		["tells of a request that ended meanwhile", 4, /ended while the memory was copied/],
	])("%s", (_, before, refused) => {
		const here = mapPrivate(4096);
		here.bytes.set(AioRing.encode({ ...GOOD, tail: 3 }));
		const id = BigInt(here.address);
		const draft = { mm: { aios: [create(aio_ring_entrySchema, { id, ringLen: 4096 })] } } as TaskDraft;
		// What was seen when the task was asked.
		const context = { once: () => AioRing.encode({ ...GOOD, tail: before }) } as unknown as DumpContext;
		const check = () => checkRingsStill({ pid: process.pid } as DumpedTask, draft, context);
		if (refused === undefined) check();
		else expect(check).toThrow(refused);
		here.unmap();
	});
});

describe("rings are read when nothing has changed for a while", () => {
	/** What is read at a time, of a ring that changes at these times. */
	function readAt(changes: readonly number[]): { value: number; ms: number } {
		let ms = 0;
		const read = () => Uint8Array.of(changes.filter((at) => at <= ms).length);
		const [value = -1] = readWhenQuiet(
			read,
			(pause) => {
				ms += pause;
			},
			() => ms,
		);
		return { value, ms };
	}

	test.each([
		["at once", [], 0, 20],
		["after the last request", [3, 4, 19, 30], 4, 50],
		["not for a late one", [60], 0, 20],
	])("%s", (_, changes, value, ms) => {
		expect(readAt(changes)).toEqual({ value, ms });
	});

	test("within half a second", () => {
		expect(readAt(Array.from({ length: 1000 }, (_, i) => i * 5)).ms).toBe(500);
	});
});
