// SPDX-License-Identifier: GPL-2.0-only
// The programs of a benchmark: how each criu is started, and the C programs of stage and loads.

import { existsSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";

const C_FLAGS = ["-pthread", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"];
const SHELL_WORD = /"([^"$`\\]*)"|'([^']*)'|([^\s"'$`\\]+)/y;

/** A command that starts criu, without its arguments. */
export type Command = readonly string[];

/**
 * What a wrapper of one line, `exec PROGRAM WORD… "$@"`, starts: a shell's own start is not what's to be measured.
 * Undefined for anything that is more than that.
 */
export function unwrapScript(text: string): Command | undefined {
	const lines = text.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"));
	const inner = /^\s*exec\s+(.+?)\s+"\$@"\s*$/.exec(lines[0] ?? "")?.[1];
	if (!text.startsWith("#!") || lines.length !== 1 || inner === undefined) return undefined;
	const words: string[] = [];
	for (let at = 0; at < inner.length; ) {
		SHELL_WORD.lastIndex = at;
		const match = SHELL_WORD.exec(inner);
		if (match === null) return undefined;
		words.push(match[1] ?? match[2] ?? match[3] ?? "");
		at = SHELL_WORD.lastIndex;
		const gap = /^\s+/.exec(inner.slice(at))?.[0].length ?? 0;
		if (gap === 0 && at < inner.length) return undefined;
		at += gap;
	}
	return words;
}

/** The command behind a path: the program itself, or what a plain wrapper starts. @throws Error when there is none */
export function findCommand(path: string): Command {
	const full = resolve(path);
	if (!existsSync(full)) throw new Error(`no criu at ${full}`);
	const isScript = readFileSync(full).subarray(0, 2).toString("latin1") === "#!";
	return (isScript ? unwrapScript(readFileSync(full, "utf8")) : undefined) ?? [full];
}

/** Compiles one C program of this folder into `dir`; its path. @throws Error with what gcc said */
export async function compileProgram(source: string, dir: string): Promise<string> {
	const output = join(dir, basename(source, ".c"));
	const child = Bun.spawn(["gcc", ...C_FLAGS, "-o", output, join(import.meta.dir, source)], {
		stdin: "ignore",
		stdout: "ignore",
		stderr: "pipe",
	});
	const complaints = await new Response(child.stderr).text();
	if ((await child.exited) !== 0) throw new Error(`cannot compile ${source}:\n${complaints}`);
	return output;
}
