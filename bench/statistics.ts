// SPDX-License-Identifier: GPL-2.0-only
// Statistics of small samples: what a table of timings needs, nothing that assumes a distribution.

/** Order statistics of one quantity, in its own unit. */
export interface Summary {
	readonly count: number;
	readonly min: number;
	/** A quarter of the values is at most this. */
	readonly low: number;
	readonly median: number;
	/** A quarter of the values is at least this. */
	readonly high: number;
	readonly max: number;
}

function quantileOfSorted(sorted: readonly number[], fraction: number): number {
	const place = (sorted.length - 1) * fraction;
	const below = sorted[Math.floor(place)] ?? Number.NaN;
	const above = sorted[Math.ceil(place)] ?? Number.NaN;
	return below + (above - below) * (place - Math.floor(place));
}

/**
 * Quantile with linear interpolation between neighbours; 0.5 is the median.
 *
 * @throws RangeError for no values at all, or a fraction outside of 0…1
 */
export function quantile(values: readonly number[], fraction: number): number {
	if (values.length === 0) throw new RangeError("no values");
	if (!(fraction >= 0 && fraction <= 1)) throw new RangeError(`fraction ${fraction} is not between 0 and 1`);
	return quantileOfSorted(
		values.toSorted((a, b) => a - b),
		fraction,
	);
}

/** @throws RangeError for no values at all */
export function median(values: readonly number[]): number {
	return quantile(values, 0.5);
}

/** Undefined where there are no values. */
export function summarise(values: readonly number[]): Summary | undefined {
	if (values.length === 0) return undefined;
	const sorted = values.toSorted((a, b) => a - b);
	const at = (fraction: number): number => quantileOfSorted(sorted, fraction);
	return { count: sorted.length, min: at(0), low: at(0.25), median: at(0.5), high: at(0.75), max: at(1) };
}

/**
 * Medians of named parts over several runs, in the order in which names first appear. A part that a run lacks counts as
 * 0 there: it took no time.
 */
export function mediansByName(
	runs: ReadonlyArray<ReadonlyArray<{ readonly name: string; readonly us: number }>>,
): { name: string; us: number }[] {
	const names = new Set(runs.flatMap((parts) => parts.map(({ name }) => name)));
	return [...names].map((name) => ({
		name,
		us: median(runs.map((parts) => parts.filter((part) => part.name === name).reduce((sum, part) => sum + part.us, 0))),
	}));
}
