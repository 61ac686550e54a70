// SPDX-License-Identifier: GPL-2.0-only
// The log: levels and line form as CRIU's (reference cli.md, section 5.1), so that tools which read logs go on working.

import { closeSync, constants, openSync, writeSync } from "node:fs";

export const LOG_ERROR = 1;
export const LOG_WARN = 2;
export const LOG_INFO = 3;
export const LOG_DEBUG = 4;

/** Levels: 0 nothing, 1 errors, 2 also warnings (default), 3 also info with timestamps on every line, 4 also debug. */
let level = LOG_WARN;
let fd = 2;
let openedAt = performance.now();
/** Lines issued before the log was opened; flushed to it, or to stderr at exit. */
let early: LogLine[] | undefined = [];
/** `text` is CRIU's form; `json` ours, one object per line. */
let format: "text" | "json" = "text";
/** Enough for all that can be said before a log is open; what comes after is dropped. */
const MAX_EARLY_LINES = 256;
/** What could move a terminal's cursor or forge a line; names from a target or an image may hold anything. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNPRINTABLE = /[\0-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]/g;

/** Seconds since the log was opened as `(SS.UUUUUU)`, twelve characters wide with its trailing space. */
function timestamp(ms: number): string {
	const seconds = Math.floor(ms / 1000);
	const micros = Math.floor((ms - seconds * 1000) * 1000);
	const text = `${String(seconds).padStart(2, "0")}.${String(micros).padStart(6, "0")}`;
	return `(${text.slice(0, 9)}) `;
}

/** The text with control characters shown as `\\xNN`, so that it's one line and harmless on a terminal. */
export function makePrintable(text: string): string {
	return text.replace(UNPRINTABLE, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** A line before it gets its form. */
interface LogLine {
	level: number;
	/** `file:line` in our source, of errors and warnings. */
	site?: string;
	/** The stable code of an error. */
	code?: string;
	text: string;
}

function put(line: LogLine): void {
	if (early !== undefined) {
		if (early.length < MAX_EARLY_LINES) early.push(line);
		return;
	}
	if (line.level <= level) write(shape(line, performance.now() - openedAt));
}

const LEVEL_NAMES = ["message", "error", "warning", "info", "debug"];

/** The line as it is written, with its time in milliseconds since the log was opened. */
function shape({ level: lineLevel, site, code, text }: LogLine, ms: number): string {
	if (format === "json") {
		const time = Math.round(ms * 1000) / 1e6;
		return `${JSON.stringify({ time, level: LEVEL_NAMES[lineLevel], message: text, site, code, pid: process.pid })}\n`;
	}
	const prefix = { [LOG_ERROR]: `Error (${site}): `, [LOG_WARN]: `Warn  (${site}): ` }[lineLevel] ?? "";
	return `${level >= LOG_INFO ? timestamp(ms) : ""}${prefix}${makePrintable(text)}\n`;
}

/** Is called before a line goes to stderr: what stands there for a moment gets out of the way. */
let makeRoom: (() => void) | undefined;

export function onStderr(call: (() => void) | undefined): void {
	makeRoom = call;
}

function write(line: string): void {
	if (fd === 2) makeRoom?.();
	writeLines(fd, line);
}

function writeLines(to: number, lines: string): void {
	try {
		writeSync(to, lines);
	} catch {
		// A full disk or a closed stderr must not turn into a failure of the run itself.
	}
}

/** `file:line` of one line of a stack, for the error and warning prefix. */
function siteOf(error: Error, line: number): string {
	const match = /([^/\\(\s]+):(\d+):\d+\)?$/.exec((error.stack ?? "").split("\n")[line] ?? "");
	return match === null ? "criu:0" : `${match[1]}:${match[2]}`;
}

export const log = {
	/** `from`: the error that is told; its origin is then named instead of the caller's line. */
	error(text: string, from?: Error): void {
		const site = from === undefined ? siteOf(new Error(), 2) : siteOf(from, firstFrame(from));
		const code = from !== undefined && "code" in from ? String(from.code) : undefined;
		put({ level: LOG_ERROR, site, text, ...(code === undefined ? {} : { code }) });
	},
	warn(text: string): void {
		put({ level: LOG_WARN, site: siteOf(new Error(), 2), text });
	},
	info(text: string): void {
		put({ level: LOG_INFO, text });
	},
	/** Takes a function where building the text costs something. */
	debug(text: string | (() => string)): void {
		if (level >= LOG_DEBUG) put({ level: LOG_DEBUG, text: typeof text === "string" ? text : text() });
	},
};

/** The stack's text starts with the message, which may span lines. */
function firstFrame(error: Error): number {
	return error.message.split("\n").length;
}

/** Sets the level, 0 to 4 and up. */
export function setLogLevel(value: number): void {
	level = value;
}

/** Sets the form of lines, also of those that wait for the log to be opened. */
export function setLogFormat(value: "text" | "json"): void {
	format = value;
}

export function logLevel(): number {
	return level;
}

/**
 * Opens the log and flushes the early lines to it. `file` undefined means stderr, `-` stdout; a file is created 0600 and
 * truncated. Errors of node:fs pass through.
 */
export function openLog(file: string | undefined): void {
	if (file === undefined) fd = 2;
	else if (file === "-") fd = 1;
	else fd = openSync(file, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_APPEND, 0o600);
	openedAt = performance.now();
	flushEarly();
}

function flushEarly(): void {
	const lines = early ?? [];
	early = undefined;
	for (const line of lines) if (line.level <= level) write(shape(line, 0));
}

/** True when log lines and the program's own error lines meet on the same stream. */
export function isLogOnStderr(): boolean {
	return fd === 2;
}

/** An error as a log line has it, without its time: `Error (file:line): text`. */
export function errorLine(text: string, from: Error): string {
	return `Error (${siteOf(from, firstFrame(from))}): ${makePrintable(text)}`;
}

/** Where log lines go, for what programs that we start have to say. */
export function logDescriptor(): number {
	return fd;
}

/** A log beside the main one, with lines of the same form and of the same clock. */
export class SideLog {
	private readonly own: number;

	/** Creates the file 0600, or empties it. Errors of node:fs pass through. */
	constructor(file: string) {
		this.own = openSync(file, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_APPEND, 0o600);
	}

	/** Writes lines of level debug. */
	debug(texts: readonly string[]): void {
		const ms = performance.now() - openedAt;
		writeLines(this.own, texts.map((text) => shape({ level: LOG_DEBUG, text }, ms)).join(""));
	}

	[Symbol.dispose](): void {
		closeSync(this.own);
	}
}

/** Flushes what is left and closes a log file. */
export function closeLog(): void {
	flushEarly();
	if (fd > 2) closeSync(fd);
	fd = 2;
}
