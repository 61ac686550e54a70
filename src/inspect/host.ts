// SPDX-License-Identifier: GPL-2.0-only
// Whether these images can be restored here: what `restore --dry-run` says, and all files and pids at once, of which that
// names the first that is in the way.

import { existsSync, type Stats, statSync } from "node:fs";
import type { DumpFolder } from "../crit/dump-folder.ts";
import { textOfName } from "../crit/text-forms.ts";
import { planRestore } from "../engine/restore.ts";
import { BlockedError, CriuError } from "../errors.ts";
import { KINDS } from "../images/index.ts";
import { defaultOptions } from "../options.ts";
import type { FileNames } from "./file-text.ts";
import type { Host, Inspection, Problem } from "./model.ts";

/** More of one sort aren't told one by one. */
const MAX_OF_A_SORT = 50;
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;

function toProblems(error: unknown): Problem[] {
	if (error instanceof BlockedError) return error.blockers.flatMap(toProblems);
	if (error instanceof CriuError) {
		const message = error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
		return [{ code: error.code, message, remedy: error.remedy ?? "" }];
	}
	return [{ code: "BUG", message: error instanceof Error ? error.message : String(error), remedy: "" }];
}

function tryPlan(path: string): Problem[] {
	try {
		planRestore({ ...defaultOptions(), imagesDir: path, dryRun: true });
		return [];
	} catch (error) {
		return toProblems(error);
	}
}

/** Numbers of files that the restore makes itself, whatever is at their paths: names of terminals, content that goes along. */
function findMadeFiles(folder: DumpFolder): Set<number> {
	const made = new Set<number>();
	for (const { tty } of folder.files().values()) if (tty !== undefined) made.add(tty.regfId);
	for (const { path } of folder.dir.readEntries(KINDS.TMPFS_FILES)) {
		for (const { id, reg } of folder.files().values()) {
			if (reg !== undefined && Buffer.compare(reg.name, path) === 0) made.add(id);
		}
	}
	return made;
}

/** Regular files that aren't here, or have changed. */
function* findFileProblems(folder: DumpFolder, names: FileNames): Generator<Problem, void, undefined> {
	const made = findMadeFiles(folder);
	for (const { id, reg } of folder.files().values()) {
		if (reg === undefined || reg.ext || made.has(id) || names.isRemapped(id) || reg.name[0] !== 0x2f) continue;
		const path = textOfName(reg.name);
		if (path.startsWith("/proc/")) continue;
		const stat = statOf(reg.name);
		if (stat === undefined) {
			yield { code: "FILE_MISSING", message: `${path} is missing here`, remedy: "copy it from the host of the dump" };
		} else if (Object.hasOwn(reg, "size") && (stat.mode & S_IFMT) === S_IFREG && BigInt(stat.size) !== reg.size) {
			const message = `${path} has ${stat.size} bytes here, ${reg.size} at the dump`;
			yield { code: "FILE_CHANGED", message, remedy: "bring back the file as it was at the dump" };
		}
	}
}

function statOf(path: Uint8Array): Stats | undefined {
	try {
		return statSync(Buffer.from(path), { throwIfNoEntry: false });
	} catch {
		return undefined;
	}
}

/** Processes and threads here that have a number of the dump's. */
function* findPidProblems(folder: DumpFolder): Generator<Problem, void, undefined> {
	for (const { pid, threads } of folder.pstree()) {
		for (const tid of new Set([pid, ...threads])) {
			if (tid === 0 || !existsSync(`/proc/${tid}`)) continue;
			const remedy = "let that process end, or restore with --new-pidns";
			yield { code: "PID_IN_USE", message: `pid ${tid} is in use here`, remedy };
		}
	}
}

/** The first problems of a sort, and how many more there are. */
function limit(problems: Iterable<Problem>): Problem[] {
	const first: Problem[] = [];
	let more = 0;
	try {
		for (const problem of problems) {
			if (first.length < MAX_OF_A_SORT) first.push(problem);
			else more++;
		}
	} catch {
		// Images that can't be read are told elsewhere.
	}
	const [sample] = first;
	if (more > 0 && sample !== undefined) first.push({ ...sample, message: `${more} more of this sort` });
	return first;
}

function listNeeds(folder: DumpFolder): string[] {
	const needs = ["Linux 5.10 or later on x86-64", "root, or CAP_CHECKPOINT_RESTORE with CAP_SYS_PTRACE"];
	const files = [...folder.files().values()];
	if (files.some(({ reg }) => reg?.ext)) needs.push("files from outside: give them by --inherit-fd");
	const hasNet = files.some(({ isk }) => isk !== undefined && isk.state === 1);
	if (hasNet) needs.push("the addresses of its network connections");
	if (folder.inventory?.tcpClose) needs.push("--tcp-close, as at the dump");
	if (folder.dir.exists(KINDS.CPUINFO)) needs.push("a CPU with what cpuinfo.img lists");
	return needs;
}

/** What a restore of these images would find on this host. */
export function inspectHost(path: string, kind: Inspection["kind"], folder: DumpFolder, names: FileNames): Host {
	let needs: string[] = [];
	try {
		needs = listNeeds(folder);
	} catch {
		// As above.
	}
	if (kind !== "dump") {
		const what = kind === "pre-dump" ? "these are the images of a pre-dump" : "the dump did not finish";
		const remedy = kind === "pre-dump" ? "restore from the dump that followed it" : "dump again";
		return { can_restore: false, problems: [{ code: "NOT_A_DUMP", message: what, remedy }], needs };
	}
	const planned = tryPlan(path);
	const files = limit(findFileProblems(folder, names));
	const pids = limit(findPidProblems(folder));
	const problems = [...planned, ...pids, ...files];
	return { can_restore: problems.length === 0, problems, needs };
}
