// SPDX-License-Identifier: GPL-2.0-only
// From the samples of all rounds to the tables that are printed and the JSON that is kept.

import type { Load } from "./loads/load.ts";
import type { Round, Sample } from "./measure.ts";
import { median, mediansByName, type Summary, summarise } from "./statistics.ts";
import { type Column, formatTable, showMiB, showMs, showRatio } from "./table.ts";

const OPERATIONS = ["dump", "restore"] as const;
export type Operation = (typeof OPERATIONS)[number];

/** What came of one criu on one load. */
export interface SideResult {
	readonly rounds: readonly Round[];
	/** Why there are no more rounds, where that's a failure. */
	readonly failure: string | undefined;
}

/** What came of one load; without `peer` there was none to compare with. */
export interface LoadResult {
	readonly load: Pick<Load, "name" | "title">;
	readonly ours: SideResult;
	readonly peer: SideResult | undefined;
}

type Figure = (sample: Sample) => number | undefined;

function summariseFigure(side: SideResult | undefined, operation: Operation, figure: Figure): Summary | undefined {
	const values = (side?.rounds ?? []).map((round) => figure(round[operation]));
	return summarise(values.filter((value) => value !== undefined));
}

const right = (head: string): Column => ({ head, align: "right" });
const left = (head: string): Column => ({ head, align: "left" });

/** The main table: medians of both sides, and how they compare. */
export function formatComparison(results: readonly LoadResult[]): string {
	const columns = [
		...[left("load"), left(""), right("ours ms"), right("peer ms"), right("ratio")],
		...[right("ours best"), right("peer best"), right("ratio")],
		...[right("frozen ours"), right("frozen peer"), right("memory ours"), right("memory peer"), right("rounds")],
	];
	const rows = results.flatMap((result) =>
		OPERATIONS.map((operation) => {
			const pick = (side: SideResult | undefined, figure: Figure) => summariseFigure(side, operation, figure);
			const [ours, peer] = [result.ours, result.peer].map((side) => pick(side, (sample) => sample.wallUs));
			const frozen = [result.ours, result.peer].map((side) => pick(side, (sample) => sample.frozenUs)?.median);
			const memory = [result.ours, result.peer].map((side) => pick(side, (sample) => sample.maxRssKib)?.max);
			return [
				operation === "dump" ? result.load.title : "",
				operation,
				showMs(ours?.median),
				showMs(peer?.median),
				showRatio(ours?.median, peer?.median),
				...[showMs(ours?.min), showMs(peer?.min), showRatio(ours?.min, peer?.min)],
				...frozen.map(showMs),
				...memory.map(showMiB),
				operation === "dump" ? String(Math.max(result.ours.rounds.length, result.peer?.rounds.length ?? 0)) : "",
			];
		}),
	);
	return formatTable(columns, rows);
}

/** How long programs stood still for a snapshot. */
export function formatSnapshots(results: readonly LoadResult[]): string {
	return results
		.flatMap(({ load, ours }) => {
			const times = ours.rounds.map(({ snapshot }) => snapshot?.frozenUs).filter((us) => us !== undefined);
			const us = summarise(times);
			return us === undefined ? [] : [`${load.title}: ${showMs(us.median)} (best ${showMs(us.min)})`];
		})
		.join("\n");
}

/** What fraction of the machine's own speed our moving of memory reaches: the copy's time by that of the stage "memory". */
export function formatCopies(results: readonly LoadResult[]): string {
	return results
		.flatMap(({ load, ours }) => {
			const copy = summarise(ours.rounds.map(({ copyUs }) => copyUs).filter((us) => us !== undefined));
			if (copy === undefined) return [];
			const told = OPERATIONS.flatMap((operation) => {
				const times = ours.rounds.flatMap((round) => round[operation].stages.filter(({ name }) => name === "memory"));
				const own = summarise(times.map(({ us }) => us));
				if (own === undefined || own.median === 0) return [];
				return [`${operation} ${showMs(own.median)} (${Math.round((100 * copy.median) / own.median)} %)`];
			});
			return [`${load.title}: copy ${showMs(copy.median)} | ${told.join(" | ")}`];
		})
		.join("\n");
}

/** Where our time went: the stages that criu told, and what lies outside of them (start, reading options, end). */
export function formatStages(results: readonly LoadResult[]): string {
	const lines: string[] = [];
	for (const { load, ours } of results) {
		for (const operation of OPERATIONS) {
			const samples = ours.rounds.map((round) => round[operation]).filter((sample) => sample.stages.length > 0);
			if (samples.length === 0) continue;
			const outside = median(
				samples.map((sample) => sample.wallUs - sample.stages.reduce((sum, { us }) => sum + us, 0)),
			);
			const parts = mediansByName(samples.map(({ stages }) => stages));
			const told = [{ name: "(outside)", us: outside }, ...parts].map(({ name, us }) => `${name} ${showMs(us)}`);
			lines.push(`${load.title}, ${operation}: ${told.join(" | ")}`);
		}
	}
	return lines.join("\n");
}

/** Failures, one line each. */
export function formatFailures(results: readonly LoadResult[]): string {
	const tell = (side: string, result: LoadResult, failure: string | undefined): string[] =>
		failure === undefined ? [] : [`${result.load.title}, ${side}: ${failure}`];
	return results
		.flatMap((result) => [...tell("ours", result, result.ours.failure), ...tell("peer", result, result.peer?.failure)])
		.join("\n");
}

/** All figures, for programs: every sample, and the medians of wall times. */
export function toJson(results: readonly LoadResult[], about: Record<string, unknown>): string {
	const loads = results.map(({ load, ours, peer }) => {
		const medians = (side: SideResult | undefined) =>
			Object.fromEntries(
				OPERATIONS.map((operation) => [operation, summariseFigure(side, operation, (sample) => sample.wallUs) ?? null]),
			);
		return { load: load.name, wallUs: { ours: medians(ours), peer: medians(peer) }, ours, peer: peer ?? null };
	});
	return `${JSON.stringify({ ...about, loads }, null, "\t")}\n`;
}
