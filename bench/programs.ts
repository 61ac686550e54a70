// SPDX-License-Identifier: GPL-2.0-only
// The programs of a benchmark: how each criu is started, and the C programs of stage and loads.

import { closeSync, existsSync, openSync, readFileSync, readSync } from "node:fs";
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
	return (isScript(full) ? unwrapScript(readFileSync(full, "utf8")) : undefined) ?? [full];
}

function isScript(path: string): boolean {
	const magic = Buffer.alloc(2);
	const fd = openSync(path, "r");
	try {
		readSync(fd, magic);
	} finally {
		closeSync(fd);
	}
	return magic.toString("latin1") === "#!";
}

/**
 * Has the page cache read a program's file anew when it starts next, as after a boot. What was copied in small pieces lies in small
 * pages until then: a start of ours takes twice the page faults.
 *
 * @throws Error with what sync or dd said
 */
export async function refreshCache([program = ""]: Command): Promise<void> {
	await runTool("sync", program);
	await runTool("dd", `if=${program}`, "iflag=nocache", "count=0", "status=none");
}

async function runTool(...argv: string[]): Promise<void> {
	const child = Bun.spawn(argv, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
	const complaints = await new Response(child.stderr).text();
	if ((await child.exited) !== 0) throw new Error(`${argv.join(" ")}:\n${complaints}`);
}

/** Compiles one C program of this folder into `dir`; its path. @throws Error with what gcc said */
export async function compileProgram(source: string, dir: string): Promise<string> {
	const output = join(dir, basename(source, ".c"));
	await runTool("gcc", ...C_FLAGS, "-o", output, join(import.meta.dir, source));
	return output;
}
