// SPDX-License-Identifier: GPL-2.0-only
// Plain-text tables, and numbers as a table shows them.

/** A column: its head and the side on which its cells stand. */
export interface Column {
	readonly head: string;
	readonly align: "left" | "right";
}

const ABSENT = "-";

/**
 * Lays out a table: a line of heads, a rule, a line for each row; cells that are missing are empty, surplus ones an error.
 *
 * @throws RangeError for a row with more cells than there are columns
 */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
	for (const row of rows) {
		if (row.length > columns.length) throw new RangeError(`a row has ${row.length} cells of ${columns.length}`);
	}
	const widths = columns.map(({ head }, i) => Math.max(head.length, ...rows.map((row) => row[i]?.length ?? 0)));
	const lay = (cells: readonly string[]): string =>
		columns
			.map(({ align }, i) => {
				const cell = cells[i] ?? "";
				const width = widths[i] ?? 0;
				return align === "left" ? cell.padEnd(width) : cell.padStart(width);
			})
			.join("  ")
			.trimEnd();
	const rule = widths.map((width) => "-".repeat(width)).join("  ");
	return [lay(columns.map(({ head }) => head)), rule, ...rows.map(lay)].join("\n");
}

/** Microseconds as milliseconds, with as many digits as mean something. */
export function showMs(us: number | undefined): string {
	if (us === undefined) return ABSENT;
	const ms = us / 1000;
	return ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0);
}

/** KiB as MiB. */
export function showMiB(kib: number | undefined): string {
	return kib === undefined ? ABSENT : (kib / 1024).toFixed(1);
}

/** One quantity by another; absent where either is, or where there is nothing to divide by. */
export function showRatio(ours: number | undefined, peer: number | undefined): string {
	return ours === undefined || peer === undefined || peer === 0 ? ABSENT : (ours / peer).toFixed(2);
}
