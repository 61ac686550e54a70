// SPDX-License-Identifier: GPL-2.0-only
// Configuration files: which ones are read, in which order, and what a line means (cli.md, section 3).
// A line is `name`, `name value`, `name=value` or `name "quoted value"`; everything from `#` on is a comment.

import { closeSync, openSync, readSync } from "node:fs";
import { UsageError } from "../errors.ts";
import { log } from "../log.ts";
import { type GetoptItem, type OptionSpelling, scanOptions } from "./getopt.ts";

const SYSTEM_CONFIG = "/etc/criu/default.conf";
/** Nobody writes more options than this; a device given by mistake must not fill the memory. */
const MAX_CONFIG_BYTES = 1024 * 1024;

export interface ConfigChoice {
	/** `--config FILE`: replaces the default files. */
	file: string | undefined;
	noDefault: boolean;
}

/** The files to read, in the order in which later ones win. They need not exist. */
export function listConfigFiles(choice: ConfigChoice, env: Readonly<Record<string, string | undefined>>): string[] {
	const files: string[] = [];
	if (!choice.noDefault && choice.file === undefined) {
		files.push(SYSTEM_CONFIG);
		const home = env["HOME"];
		if (home === undefined) log.info("HOME is not set: no user configuration file is read");
		else files.push(`${home}/.criu/default.conf`);
	}
	const named = env["CRIU_CONFIG_FILE"];
	if (named !== undefined && named !== "") files.push(named);
	if (choice.file !== undefined) files.push(choice.file);
	return files;
}

/** The file's text; undefined when it can't be read, which is no error, since every file is optional. */
export function readConfigFile(file: string): string | undefined {
	let fd: number;
	try {
		fd = openSync(file, "r");
	} catch {
		log.debug(`configuration file ${file} is not readable`);
		return undefined;
	}
	try {
		const buffer = Buffer.alloc(MAX_CONFIG_BYTES + 1);
		let length = 0;
		for (let n = -1; n !== 0 && length < buffer.length; length += n) {
			n = readSync(fd, buffer, length, buffer.length - length, null);
		}
		if (length > MAX_CONFIG_BYTES) throw badFormat(file, 0, "the file is too long");
		return buffer.toString("utf8", 0, length);
	} catch (error) {
		if (error instanceof UsageError) throw error;
		log.debug(`configuration file ${file} is not readable`);
		return undefined;
	} finally {
		closeSync(fd);
	}
}

/** The options in a configuration text; words beside options are dropped, as CRIU does. Throws CONFIG_FORMAT. */
export function parseConfig<T>(text: string, file: string, spellings: readonly OptionSpelling<T>[]): GetoptItem<T>[] {
	return text.split("\n").flatMap((line, index) => {
		const words = splitLine(line, file, index + 1);
		return words.length === 0 ? [] : scanOptions(words, spellings).filter((item) => item.kind !== "word");
	});
}

/** A line as getopt words: none, `--name`, or `--name` and its value. */
function splitLine(line: string, file: string, lineNumber: number): string[] {
	const content = (line.split("#", 1)[0] ?? "").trim();
	const [, name, rest] = /^([^ \t]+)[ \t]*(.*)$/s.exec(content) ?? [];
	if (name === undefined || rest === undefined) return [];
	if (rest === "") return [`--${name}`];
	return [`--${name}`, rest.startsWith('"') ? unquote(rest, file, lineNumber) : firstWord(rest)];
}

function firstWord(text: string): string {
	return text.split(/[ \t]/, 1)[0] ?? "";
}

function unquote(text: string, file: string, lineNumber: number): string {
	const [, inside, after] = /^"((?:\\"|\\(?!")|[^"\\])*)"(.*)$/s.exec(text) ?? [];
	if (inside === undefined) throw badFormat(file, lineNumber, "a quote is not closed");
	if (after?.trim() !== "") throw badFormat(file, lineNumber, "there is text after the closing quote");
	return inside.replaceAll('\\"', '"');
}

function badFormat(file: string, lineNumber: number, reason: string): UsageError {
	const place = lineNumber === 0 ? file : `${file}:${lineNumber}`;
	return new UsageError("CONFIG_FORMAT", `Unsupported configuration file format in ${place}: ${reason}`, {
		remedy: 'write one option per line: name, name value, name=value or name "value with spaces"',
	});
}
