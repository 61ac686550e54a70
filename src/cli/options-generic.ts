// SPDX-License-Identifier: GPL-2.0-only
// Option table, part one: options of all commands (cli.md 2.1) and those of check (2.6).

import { closeSync, readdirSync, readFileSync } from "node:fs";
import { UsageError } from "../errors.ts";
import { log } from "../log.ts";
import { badArgument, flag, leadingNumber, type OptionSpec, type OptionUse, readInteger, text } from "./option-spec.ts";

const MAX_PID = 0x7fff_ffff;
const O_CLOEXEC = 0o2000000n;
const all = { commands: "*", group: "generic" } as const;
const check = { commands: "C", group: "check" } as const;
const inspect = { commands: "I", group: "inspect", ours: true } as const;

/** The level after one more `-v`: bare adds 1, `vv` adds one per letter, a number sets it. */
function raiseLogLevel(level: number, value: string | undefined): number {
	if (value === undefined) return level + 1;
	return value.startsWith("v") ? level + value.length + 1 : leadingNumber(value);
}

/**
 * Closes an inherited descriptor. Ours carry close-on-exec, inherited ones cannot: so a wrong number never takes one of
 * the runtime's own descriptors away.
 */
function closeInherited(use: OptionUse): void {
	const fd = readInteger(use, 0, 0x7fff_ffff, "the number of an open descriptor");
	let fdinfo = "";
	try {
		fdinfo = readFileSync(`/proc/self/fdinfo/${fd}`, "latin1");
	} catch {
		// Told below, together with descriptors that are not the caller's.
	}
	const flags = /^flags:\s*([0-7]+)/m.exec(fdinfo)?.[1];
	if (flags === undefined || (BigInt(`0o${flags}`) & O_CLOEXEC) !== 0n) {
		log.warn(`--close ${fd}: no such inherited descriptor`);
	} else closeSync(fd);
}

/** A folder without plugins asks for nothing. */
function hasNoPlugins(dir: string | undefined): boolean {
	try {
		return !readdirSync(dir ?? "").some((name) => name.endsWith(".so"));
	} catch {
		return false;
	}
}

export const genericOptions: readonly OptionSpec[] = [
	{
		name: "tree",
		short: "t",
		arg: "required",
		metavar: "PID",
		commands: "DP",
		rpc: "pid",
		group: "generic",
		since: "foundation",
		help: "the process to dump, with all its descendants",
		apply: (options, use) => {
			options.pid = readInteger({ ...use, name: "-t" }, 1, MAX_PID, "the pid of a running process");
		},
	},
	{
		name: "images-dir",
		short: "D",
		arg: "required",
		metavar: "DIR",
		...all,
		rpc: "images_dir",
		since: "foundation",
		help: "where the images are (default: the current directory); -: standard output or input, see criu help stream",
		apply: (options, use) => {
			options.imagesDir = use.value ?? ".";
		},
	},
	text("work-dir", "workDir", "DIR", "where log, pid file and statistics go (default: the images directory)", {
		...all,
		short: "W",
		rpc: "work_dir_fd",
	}),
	text("log-file", "logFile", "FILE", "write the log to FILE instead of stderr; '-' is stdout", {
		...all,
		short: "o",
		rpc: "log_file",
	}),
	{
		name: "verbosity",
		short: "v",
		arg: "optional",
		metavar: "NUM",
		...all,
		rpc: "log_level",
		// Of this field alone absence has a meaning: the default.
		fromRequest: ({ logLevel }) => [String(logLevel)],
		since: "foundation",
		help: "log level: 0 nothing, 1 errors, 2 warnings (default), 3 progress, 4 details; each -v adds one",
		apply: (options, use) => {
			options.logLevel = raiseLogLevel(options.logLevel, use.value);
		},
	},
	{
		name: "log-format",
		arg: "required",
		metavar: "FORMAT",
		choices: ["text", "json"],
		...all,
		ours: true,
		since: "foundation",
		help: "form of the log: text (default), or json: an object per line",
		apply: (options, use) => {
			if (use.value !== "text" && use.value !== "json") throw badArgument(use, "give text or json");
			options.logFormat = use.value;
		},
	},
	flag("log-pid", "logPid", "one log file per restored process, named after the log (-o) with the pid added", {
		commands: "R",
		group: "generic",
	}),
	flag("display-stats", "displayStats", "print the times and page counts of the run at its end", {
		commands: "DPR",
		group: "generic",
		rpc: "display_stats",
	}),
	text(
		"pidfile",
		"pidfile",
		"FILE",
		"write the pid of the restored root (or of the daemon) to FILE, which must be new",
		{
			commands: "RSLV",
			group: "generic",
		},
	),
	{
		name: "close",
		arg: "required",
		metavar: "FD",
		...all,
		since: "foundation",
		help: "close this inherited descriptor first",
		apply: (_options, use) => closeInherited(use),
	},
	{
		name: "libdir",
		short: "L",
		arg: "required",
		metavar: "DIR",
		commands: "DPR",
		group: "generic",
		since: "later",
		accepts: hasNoPlugins,
		help: "load plugins from DIR; so far it must have none",
		apply: (options, use) => {
			options.libDir = use.value;
		},
	},
	flag("deprecated", "deprecated", "allow image forms that only old versions wrote", {
		commands: "R",
		group: "generic",
	}),
	{
		name: "config",
		arg: "required",
		metavar: "FILE",
		...all,
		rpc: "config_file",
		since: "foundation",
		help: "read options from FILE instead of the default configuration files",
		apply: () => {}, // looked for before any file is read, see command-line.ts
	},
	{
		name: "no-default-config",
		arg: "none",
		...all,
		since: "foundation",
		help: "do not read the default configuration files",
		apply: () => {}, // as --config
	},
	flag("unprivileged", "unprivileged", "run without being root, with what the capabilities allow", {
		...all,
		rpc: "unprivileged",
	}),
	flag("stream", "stream", "send or take the images through criu-image-streamer, which waits in the images directory", {
		commands: "DPRU",
		group: "generic",
	}),
	{
		name: "help",
		short: "h",
		arg: "none",
		...all,
		since: "foundation",
		help: "print this text",
		apply: () => {}, // answered before anything else
	},
	{
		name: "version",
		short: "V",
		arg: "none",
		...all,
		since: "foundation",
		help: "print the version",
		apply: () => {}, // answered in its place, see command-line.ts
	},
];

export const checkOptions: readonly OptionSpec[] = [
	flag("extra", "checkExtra", "check also what only some programs need", check),
	flag("experimental", "checkExperimental", "check also what experimental functions need", check),
	{
		name: "all",
		arg: "none",
		...check,
		since: "foundation",
		help: "both --extra and --experimental",
		apply: (options) => {
			options.checkExtra = true;
			options.checkExperimental = true;
		},
	},
	text("feature", "feature", "NAME", "check this feature only; the names are at the end of this text", check),
	{
		name: "pid",
		arg: "required",
		metavar: "PID",
		...check,
		ours: true,
		since: "foundation",
		help: "list everything that would stop a dump of this process, without touching it",
		apply: (options, use) => {
			// For other commands CRIU's users may mean --pidfile, which `--pid` abbreviates there.
			if (use.command === "check") options.checkPid = readInteger(use, 1, MAX_PID, "the pid of a running process");
			else options.pidfile = use.value;
		},
	},
	{
		name: "ms",
		arg: "none",
		...check,
		since: "foundation",
		help: "gone: use --extra, --experimental or --all",
		apply: () => {
			throw new UsageError("OBSOLETE_OPTION", "option --ms is gone: see --help for --extra, --experimental and --all", {
				remedy: "leave --ms out",
			});
		},
	},
];

export const inspectOptions: readonly OptionSpec[] = [
	flag("json", "json", "print all of it as JSON, in a form that stays", { ...inspect, negatable: false }),
	text("html", "html", "FILE", "write a page that holds all of it, to be opened by any browser", inspect),
];
