// SPDX-License-Identifier: GPL-2.0-only
// What a process gives back to semaphores: found by probes on a model of the kernel's rules, and what a restore takes again.

import { describe, expect, test } from "bun:test";
import { CriuError, ImageError } from "../../../src/errors.ts";
import { sem_undo_entrySchema } from "../../../src/images/gen/core_pb.ts";
import { create } from "../../../src/images/index.ts";
import { SEM_UNDO, Sembuf } from "../../../src/kernel/abi/ipc.ts";
import { viewOf } from "../../../src/kernel/abi/struct.ts";
import { findAdjustments, type Probe, type Reply } from "../../../src/kinds/task/sem-probe.ts";
import { semUndo } from "../../../src/kinds/task/sem-undo.ts";
import { makeRandom } from "../../images/random-message.ts";
import { emptyDraft, emptyPlan, imageOf, planKind, restoreContext } from "./fixtures.ts";

interface Modelled {
	value: number;
	adjustment: number;
}

function decode(bytes: Uint8Array): Sembuf[] {
	const view = viewOf(bytes);
	return Array.from({ length: bytes.length / Sembuf.size }, (_, i) => Sembuf.read(view, i * Sembuf.size));
}

/** One set as the kernel keeps it: operations in turn, all or none. */
class ModelledSet {
	calls = 0;

	constructor(readonly all: Modelled[]) {}

	/** @throws Error when the operations would succeed: a probe must not */
	operate(bytes: Uint8Array): Reply {
		this.calls++;
		const copy = this.all.map((one) => ({ ...one }));
		for (const { sem_num, sem_op, sem_flg } of decode(bytes)) {
			const one = copy[sem_num];
			if (one === undefined) throw new Error(`semaphore ${sem_num}`);
			if (sem_op === 0 && one.value !== 0) return "other";
			if (one.value + sem_op < 0) return "other";
			if (one.value + sem_op > 32767) return "range";
			if ((sem_flg & SEM_UNDO) !== 0) {
				one.adjustment -= sem_op;
				if (one.adjustment > 32767 || one.adjustment < -32768) return "range";
			}
			one.value += sem_op;
		}
		throw new Error("a probe has succeeded");
	}
}

function search(set: ModelledSet, beforeProbe = () => {}) {
	return findAdjustments(
		set.all.map((_, number) => ({ set: 7, number })),
		() => Uint16Array.from(set.all.map(({ value }) => value)),
		(probes: readonly Probe[]) =>
			probes.map(({ operations }) => {
				beforeProbe();
				return set.operate(operations);
			}),
	);
}

describe("a search", () => {
	test("finds any adjustment beside any value", () => {
		const random = makeRandom(4);
		const some = (low: number, high: number) => low + (random() % (high - low + 1));
		const ends = [-32768, -32767, -1, 0, 1, 32766, 32767];
		const all = Array.from({ length: 120 }, (_, i) => ({
			value: i % 3 === 0 ? ([0, 1, 32766, 32767, 16383, 16384][i % 6] ?? 0) : some(0, 32767),
			adjustment: ends[i] ?? (i % 2 === 0 ? 0 : some(-32768, 32767)),
		}));
		const found = search(new ModelledSet(all));
		const wanted = all.flatMap(({ adjustment }, number) => (adjustment === 0 ? [] : [{ set: 7, number, adjustment }]));
		expect([...found].sort((a, b) => a.number - b.number)).toEqual(wanted);
	});

	test("asks twice where there is nothing", () => {
		const set = new ModelledSet([{ value: 3, adjustment: 0 }]);
		expect(search(set)).toEqual([]);
		expect(set.calls).toBe(2);
	});

	test("isn't misled by a value that changes meanwhile", () => {
		const random = makeRandom(5);
		const one = { value: 9, adjustment: 4 };
		const found = search(new ModelledSet([one]), () => {
			if (random() % 5 < 3) one.value = random() % 32768;
		});
		expect(found).toEqual([{ set: 7, number: 0, adjustment: 4 }]);
	});

	test("gives up when the value never stays", () => {
		const one = { value: 9, adjustment: 4 };
		const changing = () => {
			one.value = (one.value + 1) % 100;
		};
		expect(() => search(new ModelledSet([one]), changing)).toThrow(CriuError);
	});

	test("leaves out what may not be asked", () => {
		const found = findAdjustments(
			[{ set: 1, number: 0 }],
			() => Uint16Array.of(1),
			(probes) => probes.map(() => "closed"),
		);
		expect(found).toEqual([]);
		expect(
			findAdjustments(
				[{ set: 1, number: 0 }],
				() => undefined,
				() => [],
			),
		).toEqual([]);
	});
});

describe("a restore", () => {
	const planFor = (numbers: number[], adjustments: number[], more: { id?: number; semUndoOfParent?: boolean } = {}) => {
		const draft = emptyDraft();
		const { id = 0x7ffffffe, ...rest } = more;
		const entry = create(sem_undo_entrySchema, { id, key: 1, numbers, adjustments });
		Object.assign(draft.core.tc ?? {}, { semUndo: [entry], ...rest });
		planKind(semUndo, imageOf(1, draft), emptyPlan(), restoreContext());
	};

	test("refuses a set that isn't there", () => {
		expect(() => planFor([0, 1], [3, -2])).toThrow("set 2147483646, key 0x1, isn't there any more");
	});

	test("refuses what no dump writes", () => {
		const bad: [number[], number[], { id?: number; semUndoOfParent?: boolean }?][] = [
			[[], []],
			[[0], [1, 2]],
			[
				[1, 1],
				[1, 1],
			],
			[
				[2, 1],
				[1, 1],
			],
			[[0x10000], [1]],
			[[0], [0]],
			[[0], [32768]],
			[[0], [-32769]],
			[[0], [1], { id: 0xffffffff }],
			[[0], [1], { semUndoOfParent: true }],
		];
		for (const args of bad) expect(() => planFor(...args)).toThrow(ImageError);
	});
});
