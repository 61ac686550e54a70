// SPDX-License-Identifier: GPL-2.0-only
// What the engine offers to its callers (command line, RPC, library): signatures only, so that callers can be tested
// with fakes.

import type { CriuError } from "../errors.ts";
import type { Options } from "../options.ts";
import type { RunControl } from "./control.ts";

/** Figures of a dump; times in microseconds. The fields of `dump_stats_entry` that are shown to users. */
export interface DumpStats {
	freezingTime: number;
	frozenTime: number;
	memdumpTime: number;
	memwriteTime: number;
	irmapResolve?: number | undefined;
	pagesScanned: bigint;
	pagesSkippedParent: bigint;
	pagesWritten: bigint;
	pagesLazy: bigint;
	sharedPagesScanned: bigint;
	sharedPagesWritten: bigint;
}

/** Figures of a restore; times in microseconds. The fields of `restore_stats_entry`. */
export interface RestoreStats {
	pagesCompared: bigint;
	pagesSkippedCow: bigint;
	pagesRestored?: bigint | undefined;
	forkingTime: number;
	restoreTime: number;
}

export interface DumpResult {
	pid: number;
	stats?: DumpStats | undefined;
}

export interface RestoreResult {
	/** The pid of the root task inside its own pid namespace. */
	pid: number;
	/** Its pid as seen by the caller, when that is another one. */
	outsidePid?: number | undefined;
	stats?: RestoreStats | undefined;
	/** Blocks until the restored tree has ended; the root's wait status. Only for a restore that is not detached. */
	wait(): number;
}

/** The verdict of `criu check`: `lines` go to stdout, `problems` are told as errors. */
export interface CheckResult {
	ok: boolean;
	lines: string[];
	problems: CriuError[];
}

/** Which tests `criu check` runs: 1 what every dump needs, 2 also `--extra`, 3 also `--experimental`. */
export interface CheckLevel {
	extra: boolean;
	experimental: boolean;
}

export interface DumpEngine {
	dump(options: Options, control?: RunControl): DumpResult;
	/** Everything that would stop a dump of this tree; empty when nothing would. */
	preflight(pid: number, options: Options): readonly CriuError[];
}

export interface PreDumpEngine {
	/** Writes memory ahead of a dump; the tree runs on. */
	preDump(options: Options, control?: RunControl): DumpResult;
}

export interface RestoreEngine {
	restore(options: Options, control?: RunControl): RestoreResult;
	/** What a restore would do, as text for the user. Throws what a restore would throw before it creates anything. */
	planRestore(options: Options): string;
}

export interface CheckEngine {
	checkHost(feature: string | undefined, level: CheckLevel): CheckResult;
}
