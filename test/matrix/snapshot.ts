// SPDX-License-Identifier: GPL-2.0-only
// What the kernel tells about a process, taken apart into one flat table of named fields, for comparing before and after.
// Keys look like `stat/utime`, `maps/7f00…-7f01…`, `smaps/7f00…/VmFlags`, `fd/3/pos`, for threads besides the leader
// `task/12/stat/utime`; values are text (bytes as latin1).

import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";

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
	"timers",
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
function otherThreads(procPath: string): string[] {
	try {
		const leader = procPath.slice(procPath.lastIndexOf("/") + 1);
		return readdirSync(`${procPath}/task`).filter((tid) => tid !== leader);
	} catch {
		return []; // it's gone, or is going right now
	}
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

const mapLine = /^([0-9a-f]+)-([0-9a-f]+) (\S+) ([0-9a-f]+) ([0-9a-f:]+) (\d+) *(.*)$/;

function addSmaps(into: Snapshot, text: string): void {
	let at = "";
	for (const line of text.split("\n")) {
		const map = mapLine.exec(line);
		if (map !== null) {
			at = `${map[1]}-${map[2]}`;
			into.set(`maps/${at}/perms`, map[3] ?? "");
			into.set(`maps/${at}/offset`, map[4] ?? "");
			into.set(`maps/${at}/dev`, map[5] ?? "");
			into.set(`maps/${at}/inode`, map[6] ?? "");
			into.set(`maps/${at}/path`, map[7] ?? "");
			continue;
		}
		const colon = line.indexOf(":");
		const name = line.slice(0, colon);
		if (smapsFields.has(name)) into.set(`smaps/${at}/${name}`, line.slice(colon + 1).trim());
	}
}

/** Inode numbers of pipes and the like are the kernel's choice: number them by first appearance, which keeps who shares what. */
function addFds(into: Snapshot, procPath: string): void {
	const fds = existsSync(`${procPath}/fd/.`) ? readdirSync(`${procPath}/fd`).map(Number) : [];
	const names = new Map<string, string>();
	for (const fd of fds.sort((a, b) => a - b)) {
		const link = readLink(`${procPath}/fd/${fd}`);
		const anonymous = /^([a-z_]+):\[(\d+)\]$/.exec(link);
		let shown = link;
		if (anonymous !== null) {
			if (!names.has(link)) names.set(link, `${anonymous[1]}:[#${names.size + 1}]`);
			shown = names.get(link) ?? link;
		}
		into.set(`fd/${fd}/link`, shown);
		addColonLines(into, `fd/${fd}`, readText(`${procPath}/fdinfo/${fd}`));
	}
}

/** Reads everything that is compared. `procPath` is the process's folder in /proc; the process should be asleep or stopped. */
export function takeSnapshot(procPath: string): Snapshot {
	const into: Snapshot = new Map();
	addStat(into, "stat", readText(`${procPath}/stat`));
	addColonLines(into, "status", readText(`${procPath}/status`));
	addSmaps(into, readText(`${procPath}/smaps`));
	for (const file of wholeFiles) into.set(file, readText(`${procPath}/${file}`));
	for (const link of ["exe", "cwd", "root"]) into.set(link, readLink(`${procPath}/${link}`));
	for (const ns of readdirSync(`${procPath}/ns`)) into.set(`ns/${ns}`, readLink(`${procPath}/ns/${ns}`));
	const threads = otherThreads(procPath);
	into.set("tasks", threads.join(" "));
	for (const tid of threads) {
		addStat(into, `task/${tid}/stat`, readText(`${procPath}/task/${tid}/stat`));
		addColonLines(into, `task/${tid}/status`, readText(`${procPath}/task/${tid}/status`));
	}
	addFds(into, procPath);
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
	const keys = [...new Set([...before.keys(), ...after.keys()])].sort();
	return keys
		.filter((key) => before.get(key) !== after.get(key))
		.map((key) => ({ key, before: before.get(key), after: after.get(key) }));
}
