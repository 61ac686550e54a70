// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { PE_PARENT, PE_PRESENT } from "../../src/pages/pagemap.ts";
import { Framer, type Speech } from "../../src/pages/tls/framer.ts";
import { RecordWatch } from "../../src/pages/tls/records.ts";
import * as wire from "../../src/pages/wire.ts";

const RECORD = 16384;

function header(size: wire.HeaderSize, message: Partial<wire.Message>): Uint8Array {
	const bytes = new Uint8Array(size);
	wire.writeHeader(new DataView(bytes.buffer), 0, size, message);
	return bytes;
}

/** The first question of a dump, with what follows it where the server has the long form. */
function firstQuestion(size: wire.HeaderSize): Uint8Array {
	const question = header(wire.SHORT_HEADER, { command: wire.PS_PARENT, target: wire.NO_TARGET });
	const rest =
		size === wire.LONG_HEADER ? new Uint8Array(new BigUint64Array([wire.NO_TARGET]).buffer) : new Uint8Array(0);
	return Uint8Array.from([...question, ...rest]);
}

/** Lengths of the records of a text that comes in pieces of so many bytes. */
function lengths(speech: Speech, text: Uint8Array, piece: number): number[] {
	const framer = new Framer(speech);
	const records: Uint8Array[] = [];
	for (let at = 0; at < text.length; at += piece) records.push(...framer.split(text.subarray(at, at + piece)));
	expect(Buffer.concat(records).equals(text)).toBe(true);
	return records.map(({ length }) => length);
}

/** Where each record ends. */
function sums(of: readonly number[]): number[] {
	let end = 0;
	return of.map((length) => {
		end += length;
		return end;
	});
}

describe("records of TLS", () => {
	test.each([wire.SHORT_HEADER, wire.LONG_HEADER])(
		"of a dump: headers of %i bytes stand alone, pages go by 16 KiB",
		(size) => {
			const text = Buffer.concat([
				firstQuestion(size),
				header(size, { command: wire.PS_OPEN2, target: wire.targetOf(wire.TYPE_TASK, 7) }),
				header(size, { command: wire.PS_ADD_F, flags: PE_PRESENT, pages: 9n, address: 4096n, target: 1n }),
				new Uint8Array(9 * 4096).fill(6),
				header(size, { command: wire.PS_ADD_F, flags: PE_PARENT, pages: 9n, address: 1n << 40n, target: 1n }),
				header(size, { command: wire.PS_ADD_F, flags: PE_PRESENT, pages: 1n, target: 1n }),
				new Uint8Array(4096).fill(0xff),
				header(size, { command: wire.PS_CLOSE }),
			]);
			const rest = size === wire.LONG_HEADER ? [8] : [];
			const expected = [24, ...rest, size, size, RECORD, RECORD, 4096, size, size, 4096, size];
			expect(lengths("questions", text, text.length)).toEqual(expected);
			// However it comes, a record holds a header or pages of one run, and ends where those end.
			for (const piece of [1, 7, 1000, 20_000]) {
				const ends = new Set(sums(lengths("questions", text, piece)));
				expect(sums(expected).filter((end) => !ends.has(end))).toEqual([]);
			}
		},
	);

	test.each([wire.SHORT_HEADER, wire.LONG_HEADER])("of one who gives lazy pages, headers of %i bytes", (size) => {
		const text = Buffer.concat([
			new Uint8Array(4),
			header(size, { command: wire.PS_ADD_F, flags: PE_PRESENT, pages: 5n, address: 4096n, target: 7n }),
			new Uint8Array(5 * 4096).fill(6),
			header(size, { command: wire.PS_ADD_F, flags: PE_PRESENT, pages: 1n, address: 4096n, target: 7n }),
			new Uint8Array(4096),
			new Uint8Array(4),
		]);
		expect(lengths("pages", text, text.length)).toEqual([4, size, RECORD, 4096, size, 4096, 4]);
		expect(lengths("pages", text, 5).length).toBeGreaterThan(4);
	});

	test("of answers are as they come", () => {
		expect(lengths("answers", Uint8Array.of(1), 1)).toEqual([1]);
	});

	test("show a farewell by the length of the last one", () => {
		const record = (type: number, length: number) =>
			Uint8Array.from([type, 3, 3, length >> 8, length & 255, ...new Uint8Array(length)]);
		const ends = (...records: Uint8Array[]) => {
			const watch = new RecordWatch();
			for (const byte of Buffer.concat(records)) watch.take(Uint8Array.of(byte));
			return watch.endsWithAlert;
		};
		expect(ends()).toBe(false);
		expect(ends(record(23, 4000))).toBe(false);
		expect(ends(record(23, 4000), record(23, 19))).toBe(true);
		expect(ends(record(23, 4000), record(21, 26))).toBe(true);
		expect(ends(record(23, 4000), record(23, 19).subarray(0, 10))).toBe(false);
		expect(ends(record(23, 19), record(23, 300))).toBe(false);
	});
});
