// SPDX-License-Identifier: GPL-2.0-only
// The command words: what each is for, what it needs before it runs, and the module that does it, loaded when asked for.

import type { RunCommand } from "./command-context.ts";

export interface CommandSpec {
	name: string;
	/** Its letter in the option table; dedup and swrk share others' letters or have none. */
	letter: string;
	/** Form of the words after `criu`, for help. */
	usage: string;
	help: string;
	/** How many words may follow the command word. */
	maxWords: number;
	/** Images directory, work directory and log are opened for it. */
	usesDirectories: boolean;
	/** Absent: known, but not in this version. */
	load?: () => Promise<RunCommand>;
	/** Last log line after a failure. */
	failure?: string;
	/** Gone for good: the text, told with exit code 255 as CRIU does. */
	removed?: string;
}

const plain = { maxWords: 0, usesDirectories: true };

export const commandTable: readonly CommandSpec[] = [
	{
		...plain,
		name: "dump",
		letter: "D",
		usage: "dump -t PID [options]",
		help: "write a process with its descendants to images",
		load: async () => (await import("./dump.ts")).runDump,
		failure: "Dumping FAILED.",
	},
	{
		...plain,
		name: "pre-dump",
		letter: "P",
		usage: "pre-dump -t PID [options]",
		help: "write memory ahead of a dump while the processes run on",
		load: async () => (await import("./pre-dump.ts")).runPreDump,
		failure: "Pre-dumping FAILED.",
	},
	{
		...plain,
		name: "restore",
		letter: "R",
		usage: "restore [options] [--exec-cmd -- COMMAND...]",
		help: "bring processes back from images",
		load: async () => (await import("./restore.ts")).runRestore,
		failure: "Restoring FAILED.",
	},
	{
		...plain,
		name: "check",
		letter: "C",
		usage: "check [--feature NAME | --pid PID] [options]",
		help: "tell whether this host, or this very process, is fit for a dump",
		load: async () => (await import("./check.ts")).runCheck,
	},
	{
		...plain,
		name: "page-server",
		letter: "S",
		usage: "page-server [options]",
		help: "receive memory pages from a dump elsewhere",
		load: async () => (await import("./page-server.ts")).runPageServer,
	},
	{
		...plain,
		name: "lazy-pages",
		letter: "L",
		usage: "lazy-pages [options]",
		help: "bring memory pages to restored processes when they need them",
		load: async () => (await import("./lazy-pages.ts")).runLazyPages,
	},
	{
		...plain,
		usesDirectories: false,
		name: "service",
		letter: "V",
		usage: "service [options]",
		help: "answer requests on a socket",
		load: async () => (await import("./service.ts")).runService,
	},
	{
		maxWords: 1,
		usesDirectories: false,
		name: "swrk",
		letter: "V",
		usage: "swrk FD",
		help: "answer requests of the one program that started it",
		load: async () => (await import("./swrk.ts")).runSwrk,
	},
	{
		...plain,
		name: "dedup",
		letter: "-",
		usage: "dedup [options]",
		help: "free memory pages that newer images hold as well",
		load: async () => (await import("./dedup.ts")).runDedup,
	},
	{
		...plain,
		maxWords: 1,
		name: "cpuinfo",
		letter: "U",
		usage: "cpuinfo dump|check [options]",
		help: "write the CPU's properties to an image, or compare them with it",
		load: async () => (await import("./cpuinfo.ts")).runCpuinfo,
	},
	{
		maxWords: 1,
		usesDirectories: false,
		name: "inspect",
		letter: "I",
		usage: "inspect [DIR] [--json | --html FILE]",
		help: "show what is in the images of DIR, and whether they can be restored here",
		load: async () => (await import("./inspect.ts")).runInspect,
	},
	{
		maxWords: 1,
		usesDirectories: false,
		name: "help",
		letter: "-",
		usage: "help [TOPIC]",
		help: "explain a frequent failure, or an error by its code; without a topic, list them",
		load: async () => (await import("./topics.ts")).runHelp,
	},
	{
		...plain,
		name: "exec",
		letter: "-",
		usage: "",
		help: "",
		removed: "the exec command is gone: Compel does this now",
	},
	{
		...plain,
		name: "show",
		letter: "-",
		usage: "",
		help: "",
		removed: "the show command is gone: use crit decode -i FILE --pretty",
	},
];

/** Words by which criu starts itself; not for users, and in no text for them. */
const innerCommands: readonly CommandSpec[] = [
	{
		maxWords: 1,
		usesDirectories: false,
		name: "service-worker",
		letter: "V",
		usage: "",
		help: "",
		load: async () => (await import("./swrk.ts")).runServiceWorker,
	},
	{
		maxWords: 0,
		usesDirectories: false,
		name: "tls-relay",
		letter: "-",
		usage: "",
		help: "",
		load: async () => (await import("./tls-relay.ts")).runTlsRelay,
	},
];

/** The command of this name; undefined for an unknown word. */
export function findCommand(name: string): CommandSpec | undefined {
	return [...commandTable, ...innerCommands].find((command) => command.name === name);
}
