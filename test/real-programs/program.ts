// SPDX-License-Identifier: GPL-2.0-only
// What a real program is to the tests: how it's started, when it's in the middle of its work.

/** A program that computes a result. */
export interface RealProgram {
	name: string;
	/** The binary that has to exist. */
	needs: string;
	/** Shell command run in an empty folder by `sh -c 'exec …'`; writes its result to the file `result`. */
	command: string;
	/** Files that it reads. */
	files?: Record<string, string>;
	/** Shell command that makes more of them. */
	prepare?: string;
	/** Cycles of dump and restore; 2 where nothing is said. */
	cycles?: number;
	/** Options of the dump. */
	options?: string[];
	/** A file whose appearance tells that the interesting part has begun. */
	begun?: string;
	/** It waits in the middle for the file `finish`, which comes with its last restore: there's no hurry. */
	waits?: boolean;
	/** Link of an open descriptor that has to be there at the dump. */
	holds?: RegExp;
	/** The result, where it's known; otherwise that of a run that nobody interrupts. */
	result?: string;
}
