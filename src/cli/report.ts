// SPDX-License-Identifier: GPL-2.0-only
// What the user reads: errors with cause and remedy, blockers, statistics, as plain lines without a trailing newline.

import type { DumpStats, RestoreStats } from "../engine/types.ts";
import { BlockedError, BugError, CriuError, causesOf, messageOf } from "../errors.ts";
import { makePrintable } from "../log.ts";

/** Anything thrown as one of our errors: what isn't one already is a bug. */
export function toCriuError(error: unknown): CriuError {
	return error instanceof CriuError ? error : new BugError(`unexpected failure: ${messageOf(error)}`, { cause: error });
}

/**
 * The error in one line, the same on stderr, in the log and in answers to requests: what failed, why (each cause once,
 * outermost first), what to do about it, and the stable code. Of a blocked run the first blocker's.
 */
export function describeInOneLine(error: CriuError): string {
	if (!(error instanceof BlockedError)) return oneLine(error, error.message);
	const [first] = error.blockers;
	if (first === undefined) return oneLine(error, error.message);
	const count = error.blockers.length;
	const more = count === 1 ? "" : `, for ${count} reasons; the first`;
	return oneLine(first, `${error.message}${more}: ${first.message}`);
}

function oneLine(error: CriuError, message: string): string {
	const causes = newCauses(error).map((cause) => `: ${cause}`);
	const remedy = error.remedy === undefined ? "" : `; remedy: ${makePrintable(error.remedy)}`;
	return `${makePrintable(message)}${causes.join("")}${remedy} [${error.code}]`;
}

/**
 * `error:` with the one line, then each blocker where there are several, of many the first `most`, then what failed in
 * cleaning up.
 */
export function describeError(error: CriuError, most = Number.POSITIVE_INFINITY): string[] {
	const blockers = error instanceof BlockedError && error.blockers.length > 1 ? error.blockers : [];
	const left = blockers.length - most;
	return [
		`error: ${describeInOneLine(error)}`,
		...describeBlockers(blockers, most),
		...(left > 0 ? [`and ${left} more: criu check --pid PID lists them all`] : []),
		...error.undo.map((undo) => `also: cleaning up failed: ${makePrintable(messageOf(undo))}`),
	];
}

/** One entry for each of the first `most` blockers: what stops the run, then its cause and remedy, indented. */
export function describeBlockers(blockers: readonly CriuError[], most = Number.POSITIVE_INFINITY): string[] {
	return blockers
		.slice(0, most)
		.flatMap((blocker, index) => [
			`blocker ${index + 1} of ${blockers.length} (${blocker.code}): ${makePrintable(blocker.message)}`,
			...describeReasons(blocker).map((line) => `  ${line}`),
		]);
}

/** The causes that the message doesn't tell already. */
function newCauses(error: CriuError): string[] {
	return causesOf(error)
		.map(messageOf)
		.filter((text) => text !== "" && !error.message.includes(text))
		.map(makePrintable);
}

function describeReasons(error: CriuError): string[] {
	const causes = newCauses(error);
	const lines = causes.length === 0 ? [] : [`cause: ${causes.join(": ")}`];
	if (error.remedy !== undefined) lines.push(`remedy: ${makePrintable(error.remedy)}`);
	return lines;
}

/** Where in a run the error happened, for the log; empty when nothing is known. */
export function describeWhere(error: CriuError): string {
	const { op, stage, pid, kind, id } = error.where;
	const parts = [
		op,
		stage === undefined ? undefined : `stage ${stage}`,
		pid === undefined ? undefined : `pid ${pid}`,
		kind,
		id,
	].filter((part) => part !== undefined);
	return parts.join(", ");
}

function pages(label: string, count: bigint): string {
	return `${label}: ${count} (0x${count.toString(16)})`;
}

/** The text of `--display-stats` after a dump; the same labels as CRIU's. */
export function describeDumpStats(stats: DumpStats): string[] {
	return [
		"Displaying dump stats:",
		`Freezing time: ${stats.freezingTime} us`,
		`Frozen time: ${stats.frozenTime} us`,
		`Memory dump time: ${stats.memdumpTime} us`,
		`Memory write time: ${stats.memwriteTime} us`,
		`IRMAP resolve time: ${stats.irmapResolve ?? 0} us`,
		pages("Memory pages scanned", stats.pagesScanned),
		pages("Memory pages skipped from parent", stats.pagesSkippedParent),
		pages("Memory pages written", stats.pagesWritten),
		pages("Lazy memory pages", stats.pagesLazy),
	];
}

/** The text of `--display-stats` after a restore. */
export function describeRestoreStats(stats: RestoreStats): string[] {
	return [
		"Displaying restore stats:",
		pages("Pages compared", stats.pagesCompared),
		pages("Pages skipped COW", stats.pagesSkippedCow),
		pages("Pages restored", stats.pagesRestored ?? 0n),
		`Restore time: ${stats.restoreTime} us`,
		`Forking time: ${stats.forkingTime} us`,
	];
}
