// SPDX-License-Identifier: GPL-2.0-only
// What the kernel tells about a process, taken apart into one flat table of named fields, for comparing before and after.
// Keys look like `stat/utime`, `maps/7f00…-7f01…`, `smaps/7f00…/VmFlags`, `fd/3/pos`, for threads besides the leader
// `task/12/stat/utime`; in a tree those of descendants begin with `proc/PID/`. Values are text (bytes as latin1).

import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Field name to value. */
export type Snapshot = Map<string, string>;

/** Names of the fields of /proc/PID/stat from the third on. Source: proc_pid_stat(5). */
const statFields = (
	"state ppid pgrp session tty_nr tpgid flags minflt cminflt majflt cmajflt utime stime cutime cstime priority nice " +
	"num_threads itrealvalue starttime vsize rss rsslim startcode endcode startstack kstkesp kstkeip signal blocked " +
	"sigignore sigcatch wchan nswap cnswap exit_signal processor rt_priority policy delayacct_blkio_ticks guest_time " +
	"cguest_time start_data end_data start_brk arg_start arg_end env_start env_end exit_code"
).split(" ");

const smapsFields = new Set(["Size", "KernelPageSize", "MMUPageSize", "THPeligible", "ProtectionKey", "VmFlags"]);

/** Files that are compared whole. */
const wholeFiles = [
	"limits",
	"auxv",
	"personality",
	"oom_score_adj",
	"comm",
	"cmdline",
	"environ",
	"cgroup",
	"coredump_filter",
	"timerslack_ns",
	"loginuid",
	"uid_map",
	"gid_map",
];

function readText(path: string): string {
	try {
		return readFileSync(path, "latin1");
	} catch (error) {
		return `(${(error as NodeJS.ErrnoException).code ?? String(error)})`;
	}
}

function readLink(path: string): string {
	try {
		return readlinkSync(path, "latin1");
	} catch (error) {
		return `(${(error as NodeJS.ErrnoException).code ?? String(error)})`;
	}
}

/** Names in a folder; none when the process has ended, or is ending right now. */
function listNames(path: string): string[] {
	try {
		return readdirSync(path);
	} catch {
		return [];
	}
}

/** State letter of a process (`S`, `R`, `T`, …), undefined when there is none of that pid. */
export function stateOf(procPath: string): string | undefined {
	const text = readText(`${procPath}/stat`);
	if (text.startsWith("(")) return undefined;
	return text[text.lastIndexOf(")") + 2];
}

/** State letters of all threads of a process, the leader's left out when it's dead and others go on; empty: no process. */
export function statesOf(procPath: string): string {
	const leader = stateOf(procPath);
	if (leader === undefined) return "";
	const others = otherThreads(procPath).map((tid) => stateOf(`${procPath}/task/${tid}`) ?? "");
	return `${leader === "Z" && others.length > 0 ? "" : leader}${others.join("")}`;
}

/** Ids of the threads besides the leader, in /proc's order. */
export function otherThreads(procPath: string): string[] {
	const leader = procPath.slice(procPath.lastIndexOf("/") + 1);
	return listNames(`${procPath}/task`).filter((tid) => tid !== leader);
}

function addStat(into: Snapshot, prefix: string, text: string): void {
	const close = text.lastIndexOf(")");
	into.set(`${prefix}/comm`, text.slice(text.indexOf("(") + 1, close));
	const rest = text
		.slice(close + 2)
		.trimEnd()
		.split(" ");
	for (const [i, value] of rest.entries()) into.set(`${prefix}/${statFields[i] ?? `field${i + 3}`}`, value);
}

function addColonLines(into: Snapshot, prefix: string, text: string): void {
	for (const line of text.split("\n")) {
		const colon = line.indexOf(":");
		if (colon > 0) into.set(`${prefix}/${line.slice(0, colon)}`, line.slice(colon + 1).trim());
	}
}

const pagesFile = /\/pages-\d+\.img(?: \(deleted\))?$/;
const mapLine = /^([0-9a-f]+)-([0-9a-f]+) (\S+) ([0-9a-f]+) ([0-9a-f:]+) (\d+) *(.*)$/;

/**
 * Numbers things by first appearance: inode numbers of pipes, of shared memory and the like are the kernel's choice, but
 * who shares what is not. One numbering serves all processes of a tree.
 */
export class Numbering {
	private readonly numbers = new Map<string, number>();

	of(thing: string): string {
		const known = this.numbers.get(thing);
		if (known !== undefined) return `#${known}`;
		this.numbers.set(thing, this.numbers.size + 1);
		return `#${this.numbers.size}`;
	}
}

/** A mapping of a pages file as the anonymous one that it stands for: --map-pages has made it. */
function asAnonymous(line: RegExpExecArray): RegExpExecArray {
	line.splice(4, 4, "00000000", "00:00", "0", "");
	return line;
}

function addSmaps(into: Snapshot, prefix: string, text: string, objects: Numbering): void {
	let at = "";
	let isMapped = false;
	for (const line of text.split("\n")) {
		const found = mapLine.exec(line);
		if (found !== null) {
			isMapped = pagesFile.test(found[7] ?? "");
			const map = isMapped ? asAnonymous(found) : found;
			at = `${map[1]}-${map[2]}`;
			into.set(`${prefix}maps/${at}/perms`, map[3] ?? "");
			into.set(`${prefix}maps/${at}/offset`, map[4] ?? "");
			into.set(`${prefix}maps/${at}/dev`, map[5] ?? "");
			into.set(`${prefix}maps/${at}/inode`, map[6] ?? "");
			into.set(`${prefix}maps/${at}/path`, map[7] ?? "");
			if (map[6] !== "0") into.set(`${prefix}maps/${at}/object`, objects.of(`${map[5]} ${map[6]}`));
			continue;
		}
		const colon = line.indexOf(":");
		const name = line.slice(0, colon);
		if (!smapsFields.has(name)) continue;
		const value = line.slice(colon + 1).trim();
		into.set(`${prefix}smaps/${at}/${name}`, isMapped && name === "VmFlags" ? value.replace(/ l[of]\b/g, "") : value);
	}
}

/** What an epoll watches has a line for each file, in the order of kernel addresses: number and data name it. */
function addFdinfo(into: Snapshot, prefix: string, text: string): void {
	const rest = text.replace(/^tfd:\s*(\d+) (.*) data:\s*([0-9a-f]+) +(.*)\n/gm, (_, tfd, events, data, file) => {
		into.set(`${prefix}/tfd/${tfd}/${data}`, `${events} ${file}`);
		return "";
	});
	addColonLines(into, prefix, rest);
}

function addFds(into: Snapshot, prefix: string, procPath: string, files: Numbering): void {
	const fds = listNames(`${procPath}/fd`).map(Number);
	for (const fd of fds.sort((a, b) => a - b)) {
		const link = readLink(`${procPath}/fd/${fd}`);
		const anonymous = /^([a-z_]+):\[(\d+)\]$/.exec(link);
		into.set(`${prefix}fd/${fd}/link`, anonymous === null ? link : `${anonymous[1]}:[${files.of(link)}]`);
		addFdinfo(into, `${prefix}fd/${fd}`, readText(`${procPath}/fdinfo/${fd}`));
	}
}

/** By their numbers: the kernel lists them as they came to be, which threads that make them at the same time leave to chance. */
function sortTimers(text: string): string {
	const timers = text.split(/^(?=ID: )/m);
	return timers.sort((a, b) => a.localeCompare(b, "en", { numeric: true })).join("");
}

/** What the processes of one snapshot share, by first appearance. */
export interface Shared {
	objects: Numbering;
	files: Numbering;
}

/** Adds everything about one process, each key with the prefix. */
export function addProcess(into: Snapshot, prefix: string, procPath: string, shared: Shared): void {
	addStat(into, `${prefix}stat`, readText(`${procPath}/stat`));
	addColonLines(into, `${prefix}status`, readText(`${procPath}/status`));
	addSmaps(into, prefix, readText(`${procPath}/smaps`), shared.objects);
	for (const file of wholeFiles) into.set(`${prefix}${file}`, readText(`${procPath}/${file}`));
	into.set(`${prefix}timers`, sortTimers(readText(`${procPath}/timers`)));
	for (const link of ["exe", "cwd", "root"]) into.set(`${prefix}${link}`, readLink(`${procPath}/${link}`));
	for (const ns of listNames(`${procPath}/ns`)) into.set(`${prefix}ns/${ns}`, readLink(`${procPath}/ns/${ns}`));
	const threads = otherThreads(procPath);
	into.set(`${prefix}tasks`, threads.join(" "));
	for (const tid of threads) {
		addStat(into, `${prefix}task/${tid}/stat`, readText(`${procPath}/task/${tid}/stat`));
		addColonLines(into, `${prefix}task/${tid}/status`, readText(`${procPath}/task/${tid}/status`));
	}
	addFds(into, prefix, procPath, shared.files);
}

/** Reads everything that is compared of a process without its children; it should be asleep or stopped. */
export function takeSnapshot(procPath: string): Snapshot {
	const into: Snapshot = new Map();
	addProcess(into, "", procPath, { objects: new Numbering(), files: new Numbering() });
	return into;
}

/** One field that is not the same. */
export interface Difference {
	key: string;
	before: string | undefined;
	after: string | undefined;
}

/** All fields with different values or present on one side only, in order of their keys. */
export function compareSnapshots(before: Snapshot, after: Snapshot): Difference[] {
	const changed = [...before.keys()].filter((key) => before.get(key) !== after.get(key));
	const added = [...after.keys()].filter((key) => !before.has(key));
	return [...changed, ...added].sort().map((key) => ({ key, before: before.get(key), after: after.get(key) }));
}
