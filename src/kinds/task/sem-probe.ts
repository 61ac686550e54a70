// SPDX-License-Identifier: GPL-2.0-only
// What a process's end adds to semaphores (SEM_UNDO). The kernel shows it to nobody, but refuses an operation by which it would
// leave its range. So the process is asked by operations of which none can ever succeed: how they fail is the answer.
// Source: semop(2), ipc/sem.c:perform_atomic_semop_slow.

import { CriuError } from "../../errors.ts";
import { IPC_NOWAIT, SEM_UNDO, Sembuf } from "../../kernel/abi/ipc.ts";

/** Source: linux/sem.h, SEMVMX and SEMAEM. */
export const VALUE_MAX = 32767;
export const ADJUSTMENT_MAX = 32767;
export const ADJUSTMENT_MIN = -32768;

/** Rounds without news, as somebody else changes the value all the time. */
const MAX_IDLE = 200;

/** One semaphore of a set. */
export interface Semaphore {
	readonly set: number;
	readonly number: number;
}

/** Operations of one semop(2). */
export interface Probe {
	readonly set: number;
	readonly operations: Uint8Array;
}

/** How a probe ended: the adjustment would have left its range, or not, or the set can't be asked any more. */
export type Reply = "range" | "other" | "closed";

/** Operations as semop(2) takes them. */
export function encodeSembufs(operations: readonly Sembuf[]): Uint8Array {
	const bytes = new Uint8Array(Sembuf.size * operations.length);
	for (const [i, operation] of operations.entries()) bytes.set(Sembuf.encode(operation), i * Sembuf.size);
	return bytes;
}

/**
 * Operations that fail with ERANGE if the semaphore has that value and its adjustment, `shift` added, would leave its range; with
 * EAGAIN otherwise. They succeed in no case.
 */
export function buildProbe(number: number, value: number, shift: number): Uint8Array {
	const operation = (sem_op: number, flags = 0): Sembuf => ({
		sem_num: number,
		sem_op,
		sem_flg: IPC_NOWAIT | flags,
	});
	// First of all the value has to be what it is believed to be: then only the adjustment can leave its range.
	const operations = value === 0 ? [operation(0)] : [operation(-value), operation(0), operation(value)];
	// What changes the adjustment changes the value, so that goes to and fro, where there's more room.
	const downFirst = value > VALUE_MAX - value;
	const step = downFirst ? value : VALUE_MAX - value;
	for (let left = Math.abs(shift); left > 0; left -= Math.min(step, left)) {
		const size = Math.min(step, left);
		const undone = operation(shift > 0 ? -size : size, SEM_UNDO);
		const back = operation(shift > 0 ? size : -size);
		operations.push(...(downFirst === shift > 0 ? [undone, back] : [back, undone]));
	}
	// No value is that high.
	operations.push(operation(ADJUSTMENT_MIN));
	return encodeSembufs(operations);
}

/** Shows that the adjustment isn't less than `low`, by a reply "range". */
const probeLow = (number: number, value: number, low: number) => buildProbe(number, value, ADJUSTMENT_MAX + 1 - low);
/** Shows that the adjustment isn't more than `high`. */
const probeHigh = (number: number, value: number, high: number) => buildProbe(number, value, ADJUSTMENT_MIN - 1 - high);

interface Search extends Semaphore {
	low: number;
	high: number;
}

/** Between these two the next question divides: not less than the second, or not more than the first. */
function divide({ low, high }: Search): readonly [number, number] {
	if (low < 0 && high > 0) return [0, 0];
	const middle = Math.floor((low + high) / 2);
	return [middle, middle + 1];
}

/**
 * Finds the adjustments of semaphores in rounds of probes; those that are 0 are left out. All that is found is proved: a value
 * that somebody changes meanwhile costs another round.
 *
 * @throws CriuError SEM_UNDO_BUSY
 */
export function findAdjustments(
	semaphores: readonly Semaphore[],
	readValues: (set: number) => Uint16Array | undefined,
	ask: (probes: readonly Probe[]) => readonly Reply[],
): (Semaphore & { adjustment: number })[] {
	let open: Search[] = semaphores.map((one) => ({ ...one, low: ADJUSTMENT_MIN, high: ADJUSTMENT_MAX }));
	const found: Search[] = [];
	for (let idle = 0; open.length > 0; ) {
		const values = new Map([...new Set(open.map(({ set }) => set))].map((set) => [set, readValues(set)]));
		const asked = open.flatMap((search) => {
			const value = values.get(search.set)?.[search.number];
			return value === undefined ? [] : [{ search, value }];
		});
		const replies = ask(
			asked.flatMap(({ search, value }) => {
				const { set, number } = search;
				const [high, low] = divide(search);
				return [
					{ set, operations: probeLow(number, value, low) },
					{ set, operations: probeHigh(number, value, high) },
				];
			}),
		);
		let news = false;
		const closed = new Set<Search>();
		for (const [i, { search }] of asked.entries()) {
			const [high, low] = divide(search);
			const [lowReply, highReply] = [replies[2 * i], replies[2 * i + 1]];
			if (lowReply === "closed" || highReply === "closed") closed.add(search);
			if (lowReply !== "range" && highReply !== "range") continue;
			if (lowReply === "range") search.low = low;
			if (highReply === "range") search.high = high;
			news = true;
		}
		idle = news || closed.size > 0 ? 0 : idle + 1;
		found.push(...asked.flatMap(({ search }) => (search.low === search.high && search.low !== 0 ? [search] : [])));
		open = asked.flatMap(({ search }) => (search.low === search.high || closed.has(search) ? [] : [search]));
		const [busy] = open;
		if (busy !== undefined && idle === MAX_IDLE)
			throw new CriuError(
				"SEM_UNDO_BUSY",
				`System V semaphore ${busy.number} of set ${busy.set} changes too fast to see what is undone on it (SEM_UNDO)`,
				{ remedy: "try again, or dump all of the processes that use it" },
			);
	}
	return found.map(({ set, number, low }) => ({ set, number, adjustment: low }));
}
