// SPDX-License-Identifier: GPL-2.0-only
// The page of `criu inspect --html`: one file without scripts, that loads nothing. All of it comes from images, so
// everything goes through `html`, and the page's own policy forbids whatever isn't style.

import { openSink } from "../crit/byte-sink.ts";
import { html, Markup, type Part } from "./markup.ts";
import { drawMemory } from "./memory-map.ts";
import type { Inspection, Mapping, Process } from "./model.ts";
import { type KIND_COLOURS, STYLE } from "./page-style.ts";
import { commandOf, count, KIND_TEXTS, moment, size, time, treeOf } from "./words.ts";

/** Lists end here, so that a browser can show the page; --json has all. */
const MAX_ROWS = 2000;
const MAX_MAPPINGS = 400;
const MAX_PICTURES = 200;
/** With more processes their details are closed at first. */
const MAX_OPEN = 4;

const KIND_NAMES: Readonly<Record<keyof typeof KIND_COLOURS, string>> = {
	code: "code",
	file: "file, read only",
	data: "data of a file",
	heap: "heap",
	stack: "stack",
	anonymous: "plain memory",
	shared: "shared memory",
	kernel: "of the kernel",
	reserved: "reserved, without access",
};

interface Column {
	name: string;
	/** Class of its cells: n for numbers, m for code, w for what isn't broken into lines. */
	style?: string;
}

/** A table that becomes cards on a narrow screen. */
function table(columns: readonly Column[], rows: readonly (readonly Part[])[], more = 0): Markup {
	const head = columns.map(({ name, style }) => html`<th class="${style ?? ""}">${name}</th>`);
	const body = rows.map((cells) => {
		const shown = cells.map(
			(cell, at) => html`<td class="${columns[at]?.style ?? ""}" data-h="${columns[at]?.name ?? ""}">${cell}</td>`,
		);
		return html`<tr>${shown}</tr>\n`;
	});
	const rest =
		more > 0 ? html`<p class="dim">and ${more} more, which <code>criu inspect --json</code> lists</p>` : undefined;
	return html`<div class="scroll"><table class="cards"><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>${rest}`;
}

/** A name in code's letters; nothing at all for none, so that cards leave it out. */
function code(text: string): Part {
	return text === "" ? undefined : html`<code>${text}</code>`;
}

function facts(inspection: Inspection): Markup {
	const { processes, size: sizes, timing } = inspection;
	const sockets = new Set(inspection.sockets.map(({ id }) => id)).size;
	const threads = processes.reduce((sum, process) => sum + process.threads.length, 0);
	const files = new Set(processes.flatMap((process) => process.files.map(({ id }) => id))).size;
	const list: [string, string][] = [
		[String(processes.length), processes.length === 1 ? "process" : "processes"],
		[String(threads), threads === 1 ? "thread" : "threads"],
		[size(sizes.total), "in the images"],
		[size(sizes.memory), "of it memory"],
		[String(files), files === 1 ? "open file" : "open files"],
		[String(sockets), sockets === 1 ? "socket" : "sockets"],
	];
	if (timing !== null) list.push([time(timing.frozen), "frozen for the dump"]);
	return html`<div class="facts">${list.map(([figure, text]) => html`<div><b>${figure}</b><span>${text}</span></div>`)}</div>`;
}

function hostSection({ host }: Inspection): Markup {
	const problems = host.problems.map(
		({ code, message, remedy }) =>
			html`<li>${message} <span class="dim">(${code})</span>${remedy === "" ? undefined : html`<br><span class="dim">Remedy: ${remedy}</span>`}</li>`,
	);
	const verdict = host.can_restore
		? html`<div class="verdict yes"><b>Can be restored</b> on the host that made this page, as it was then.</div>`
		: html`<div class="verdict no"><b>Cannot be restored as it is</b> on the host that made this page:<ul>${problems}</ul></div>`;
	return html`<h2>Restore</h2>${verdict}<p>Wherever it is restored, it needs:</p><ul>${host.needs.map((need) => html`<li>${need}</li>`)}</ul>`;
}

function damagedSection({ damaged }: Inspection): Markup | undefined {
	if (damaged.length === 0) return undefined;
	const items = damaged.map(({ code, message }) => html`<li>${message} <span class="dim">(${code})</span></li>`);
	return html`<h2>Damaged images</h2><div class="verdict no"><ul>${items}</ul></div>`;
}

function treeSection({ processes }: Inspection): Markup {
	const tree = treeOf(processes);
	const rows = tree
		.slice(0, MAX_ROWS)
		.map(({ process, lines }) => [
			html`<span class="tree m">${lines}</span><a href="#p${process.pid}"><code>${commandOf(process)}</code></a>`,
			process.pid,
			process.state,
			size(process.memory.mapped),
			size(process.memory.in_images),
			process.threads.length,
			process.files.length,
		]);
	const columns = [
		{ name: "Command" },
		{ name: "PID", style: "n" },
		{ name: "State" },
		{ name: "Memory", style: "n" },
		{ name: "In images", style: "n" },
		{ name: "Threads", style: "n" },
		{ name: "Files", style: "n" },
	];
	return html`<h2>Processes</h2>${table(columns, rows, tree.length - MAX_ROWS)}`;
}

function legend(): Markup {
	const items = Object.entries(KIND_NAMES).map(([kind, name]) => html`<li><i class="k-${kind}"></i>${name}</li>`);
	return html`<ul class="legend">${items}<li><span class="dim">dark part: in the images</span></li></ul>`;
}

function mappingTable(mappings: readonly Mapping[]): Markup {
	const rows = mappings
		.slice(0, MAX_MAPPINGS)
		.map((mapping) => [
			html`<code>${mapping.start}</code>`,
			size(mapping.bytes),
			size(mapping.in_images),
			html`<code>${mapping.protection}${mapping.shared ? "s" : "p"}</code>`,
			html`<i class="k k-${mapping.kind}"></i>${KIND_NAMES[mapping.kind]}`,
			mapping.name,
		]);
	const columns = [
		{ name: "Start", style: "w" },
		{ name: "Size", style: "n" },
		{ name: "In images", style: "n" },
		{ name: "Access" },
		{ name: "Kind", style: "w" },
		{ name: "Name" },
	];
	return table(columns, rows, mappings.length - MAX_MAPPINGS);
}

function processFacts(process: Process): Markup {
	const { executable, cwd, root, uid, gid, sid, pgid, threads, memory } = process;
	const names = threads.map(({ tid, name }) => `${name} (${tid})`);
	const rows: [string, string][] = [
		["Program", executable],
		["Directory", cwd],
		["Root", root === "/" ? "" : root],
		["User, group", `${uid}, ${gid}`],
		["Session, process group", `${sid}, ${pgid}`],
		["Threads", threads.length > 1 ? names.slice(0, 50).join(", ") + (names.length > 50 ? ", …" : "") : ""],
		["Reserved addresses", memory.reserved === 0 ? "" : size(memory.reserved)],
		["In older images", memory.in_parent === 0 ? "" : size(memory.in_parent)],
		["Still to be fetched", memory.lazy === 0 ? "" : size(memory.lazy)],
	];
	const shown = rows.filter(([, value]) => value !== "");
	return html`<table class="facts-of"><tbody>${shown.map(([name, value]) => html`<tr><th>${name}</th><td>${value}</td></tr>`)}</tbody></table>`;
}

function fileTable(process: Process): Markup | undefined {
	if (process.files.length === 0) return undefined;
	const rows = process.files.slice(0, MAX_ROWS).map(({ fd, kind, name, access }) => [fd, kind, code(name), access]);
	const columns = [
		{ name: "Descriptor", style: "n" },
		{ name: "Kind", style: "w" },
		{ name: "File" },
		{ name: "Access" },
	];
	return html`<h3>Open files</h3>${table(columns, rows, process.files.length - MAX_ROWS)}`;
}

function processSection({ processes }: Inspection): Markup {
	const isOpen = processes.length <= MAX_OPEN;
	const parts = processes.slice(0, MAX_PICTURES).map((process) => {
		const { pid, mappings } = process;
		const list =
			mappings.length === 0
				? undefined
				: html`<details><summary>${count(mappings.length, "mapping")}</summary>${mappingTable(mappings)}</details>`;
		return html`<details id="p${pid}"${new Markup(isOpen ? " open" : "")}><summary>${pid} <code>${commandOf(process)}</code></summary>
${drawMemory(mappings)}${processFacts(process)}${list}${fileTable(process)}</details>`;
	});
	const more = processes.length - MAX_PICTURES;
	const rest = more > 0 ? html`<p class="dim">and ${more} more processes</p>` : undefined;
	return html`<h2>Memory and files of each process</h2>${legend()}${parts}${rest}`;
}

/** Sockets, each once, with the descriptors by which processes have it. */
function socketSection({ sockets }: Inspection): Markup | undefined {
	if (sockets.length === 0) return undefined;
	const holders = new Map<number, string[]>();
	for (const { id, pid, fd } of sockets) {
		const known = holders.get(id);
		if (known === undefined) holders.set(id, [`${pid} fd ${fd}`]);
		else known.push(`${pid} fd ${fd}`);
	}
	const distinct = [...new Map(sockets.map((socket) => [socket.id, socket])).values()];
	const rows = distinct.slice(0, MAX_ROWS).map(({ id, family, type, state, local, remote }) => {
		const held = holders.get(id) ?? [];
		const shown = held.slice(0, 8).join(", ") + (held.length > 8 ? `, … ${held.length} in all` : "");
		return [`${family} ${type.toLowerCase()}`, state, code(local), code(remote), shown];
	});
	const columns = [
		{ name: "Kind", style: "w" },
		{ name: "State" },
		{ name: "Local" },
		{ name: "Remote" },
		{ name: "Held by" },
	];
	return html`<h2>Sockets</h2>${table(columns, rows, distinct.length - MAX_ROWS)}`;
}

function timingSection({ timing }: Inspection): Markup | undefined {
	if (timing === null) return undefined;
	const bars =
		timing.stages.length > 0
			? timing.stages.map(({ name, us }) => [name, us] as const)
			: ([
					["freezing", timing.freezing],
					["frozen", timing.frozen],
					["memory", timing.memory_dump],
				] as const);
	const longest = Math.max(1, ...bars.map(([, us]) => us));
	const rows = bars.map(
		([name, us]) =>
			html`<span>${name}</span><i style="width:${((us / longest) * 100).toFixed(2)}%"></i><span>${time(us)}</span>`,
	);
	return html`<h2>Timing of the dump</h2><p>The program stood still for ${time(timing.frozen)}; ${timing.pages_written} of ${timing.pages_scanned} pages were written.</p><div class="time">${rows}</div>`;
}

function imageSection({ size: sizes, ghost_files, shared_memory }: Inspection): Markup {
	const rows = [...sizes.images]
		.sort((a, b) => b.bytes - a.bytes)
		.slice(0, MAX_MAPPINGS)
		.map(({ name, bytes }) => [html`<code>${name}</code>`, size(bytes)]);
	const extra = [
		...ghost_files.map(({ name, bytes }) => html`<li>deleted file <code>${name}</code>: ${size(bytes)}</li>`),
		...shared_memory.map(({ id, in_images }) => html`<li>shared memory ${id}: ${size(in_images)}</li>`),
	];
	const list = extra.length === 0 ? undefined : html`<p>Also in them:</p><ul>${extra}</ul>`;
	const images = table([{ name: "Image" }, { name: "Size", style: "n" }], rows, sizes.images.length - MAX_MAPPINGS);
	return html`<h2>Images</h2>${list}<details><summary>${count(sizes.images.length, "image")}, ${size(sizes.total)}</summary>${images}</details>`;
}

/** The whole page. */
export function toPage(inspection: Inspection): string {
	const { processes, directory, kind, written } = inspection;
	const [root] = processes;
	const name = root === undefined ? "images" : commandOf(root);
	const page = html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>Dump of ${name.slice(0, 200)}</title>
<style>${new Markup(STYLE)}</style>
</head>
<body>
<h1>Dump of <code>${name}</code></h1>
<p class="dim">${KIND_TEXTS[kind]} in ${directory}, written ${moment(written)}${inspection.has_parent ? "; more memory is in older images (parent)" : ""}</p>
${facts(inspection)}
${hostSection(inspection)}
${damagedSection(inspection)}
${treeSection(inspection)}
${socketSection(inspection)}
${processSection(inspection)}
${timingSection(inspection)}
${imageSection(inspection)}
</body>
</html>
`;
	return page.text;
}

/** Writes the page to a file. @throws CriuError CRIT_OUTPUT */
export function writePage(inspection: Inspection, path: string): void {
	const sink = openSink(path);
	try {
		sink.text(toPage(inspection));
		sink.close();
	} finally {
		sink[Symbol.dispose]?.();
	}
}
