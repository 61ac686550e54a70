// SPDX-License-Identifier: GPL-2.0-only
// `criu inspect` on a terminal.

import type { Inspection, Problem, Process } from "./model.ts";
import { commandOf, count, KIND_TEXTS, moment, safe, size, time, treeOf } from "./words.ts";

/** More descriptors of a process aren't listed one by one. */
const MAX_FILES = 40;

function pad(text: string | number, width: number): string {
	return String(text).padStart(width);
}

function overview({ directory, kind, written, size: sizes, processes, has_parent }: Inspection): string[] {
	const threads = processes.reduce((sum, process) => sum + process.threads.length, 0);
	return [
		`${KIND_TEXTS[kind]} in ${safe(directory)}, written ${moment(written)}`,
		`${size(sizes.total)} in ${count(sizes.images.length, "image")}, of which memory ${size(sizes.memory)}${has_parent ? "; more memory is in parent" : ""}`,
		`${count(processes.length, "process", "processes")}, ${count(threads, "thread")}`,
	];
}

function processTable(processes: readonly Process[]): string[] {
	const head = `${pad("PID", 7)} ${"STATE".padEnd(8)}${pad("MEMORY", 9)}${pad("IN IMAGES", 11)}${pad("THREADS", 9)}${pad("FILES", 7)}  COMMAND`;
	const rows = treeOf(processes).map(({ process, lines }) => {
		const { pid, state, memory, threads, files } = process;
		const figures = `${pad(size(memory.mapped), 9)}${pad(size(memory.in_images), 11)}${pad(threads.length, 9)}${pad(files.length, 7)}`;
		return `${pad(pid, 7)} ${state.padEnd(8)}${figures}  ${lines}${safe(commandOf(process))}`;
	});
	return [head, ...rows];
}

function fileList(processes: readonly Process[]): string[] {
	return processes.flatMap(({ pid, files, cwd, root }) => {
		if (files.length === 0 && cwd === "") return [];
		const shown = files.slice(0, MAX_FILES).map(({ fd, kind, name, access }) => {
			return `  ${pad(fd, 5)} ${kind.padEnd(9)} ${safe(name)}${access === "" ? "" : ` (${access})`}`;
		});
		const rest = files.length > MAX_FILES ? [`        and ${files.length - MAX_FILES} more (--json lists them)`] : [];
		const where = root === "/" || root === "" ? [] : [`   root           ${safe(root)}`];
		return [`pid ${pid}`, ...shown, ...rest, `    cwd           ${safe(cwd)}`, ...where];
	});
}

function problemLines({ code, message, remedy }: Problem): string[] {
	return [`  ${code}: ${safe(message)}`, ...(remedy === "" ? [] : [`    remedy: ${safe(remedy)}`])];
}

function timing({ timing: times }: Inspection): string[] {
	if (times === null) return [];
	const stages = times.stages.map(({ name, us }) => `${safe(name)} ${time(us)}`).join(", ");
	return [
		"",
		"TIMING OF THE DUMP",
		`  frozen ${time(times.frozen)}, of which memory ${time(times.memory_dump)}; freezing took ${time(times.freezing)}`,
		...(stages === "" ? [] : [`  stages: ${stages}`]),
	];
}

function sharedParts({ ghost_files, shared_memory }: Inspection): string[] {
	const ghosts = ghost_files.map(({ name, bytes }) => `  deleted file ${safe(name)}: ${size(bytes)}`);
	const shared = shared_memory.map(({ id, in_images }) => `  shared memory ${id}: ${size(in_images)}`);
	return ghosts.length + shared.length === 0 ? [] : ["", "ALSO IN THE IMAGES", ...ghosts, ...shared];
}

function hostPart({ host }: Inspection): string[] {
	const verdict = host.can_restore
		? "  nothing stands in the way of a restore on this host, as it is now"
		: `  ${count(host.problems.length, "thing stands", "things stand")} in the way of a restore on this host, as it is now:`;
	return [
		"",
		"RESTORE",
		verdict,
		...host.problems.flatMap(problemLines).map((line) => `  ${line}`),
		"  wherever it is restored, it needs:",
		...host.needs.map((need) => `    ${need}`),
	];
}

/** The whole report, ending with a newline. */
export function toText(inspection: Inspection): string {
	const { processes, damaged } = inspection;
	const lines = [
		...overview(inspection),
		...(processes.length === 0 ? [] : ["", ...processTable(processes)]),
		...(processes.length === 0 ? [] : ["", "OPEN FILES", ...fileList(processes)]),
		...sharedParts(inspection),
		...timing(inspection),
		...(damaged.length === 0 ? [] : ["", "DAMAGED IMAGES", ...damaged.flatMap(problemLines)]),
		...hostPart(inspection),
	];
	return `${lines.join("\n")}\n`;
}

/** The JSON form, ending with a newline; ASCII only, so that any bytes of names come through. */
export function toJson(inspection: Inspection): string {
	const text = JSON.stringify(inspection, null, "\t");
	return `${text.replace(/[^\n\t -~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)}\n`;
}
