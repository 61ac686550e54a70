// SPDX-License-Identifier: GPL-2.0-only
// What a load is: a program that makes it, tells when it's ready, and looks at itself afterwards.

/** One load of the benchmark. A new one is a module like its neighbours and a line in index.ts. */
export interface Load {
	/** For `--loads` and the table. */
	readonly name: string;
	/** What it is, in a few words. */
	readonly title: string;
	/** C source in this folder; it uses target.h. */
	readonly program: string;
	readonly args: readonly string[];
	/** Rounds that are counted, unless told otherwise; as many as give a steady median. */
	readonly rounds: number;
	/** Restored without its memory, which a daemon brings: the restore's time is that until it runs. */
	readonly lazy?: boolean;
	/** Our criu maps the memory from the images. */
	readonly mapped?: boolean;
	/** So much memory, in MiB, is also copied plainly, to see what fraction of the machine's own speed we reach. */
	readonly copyMib?: number;
	/** Our criu makes a snapshot first, whose frozen time is told beside that of the dump. */
	readonly snapshot?: boolean;
}
