// SPDX-License-Identifier: GPL-2.0-only
// Mappings of a snapshot as they would be if all neighbours of one kind were one. The kernel merges them or not by what
// happened to them before, which matters to nobody.

import type { Difference, Snapshot } from "./snapshot.ts";

/** Each mapping, as `PREFIX START-END`, to the merged one that it is part of, in words with the prefix; and all of those. */
interface MergedMaps {
	of: Map<string, string>;
	all: Set<string>;
}

interface Span {
	prefix: string;
	start: string;
	end: string;
	/** File offset of what would follow it. */
	next: number;
	offset: string;
	kind: string;
	parts: string[];
}

const mapKey = /^((?:proc\/\d+\/)?)maps\/([0-9a-f]+)-([0-9a-f]+)\/perms$/;
const known = new WeakMap<Snapshot, MergedMaps>();

function readSpan(snapshot: Snapshot, prefix: string, start: string, end: string): Span {
	const field = (name: string) => snapshot.get(`${prefix}maps/${start}-${end}/${name}`) ?? "";
	const flags = snapshot.get(`${prefix}smaps/${start}-${end}/VmFlags`) ?? "";
	const path = field("path").replace(/^\/memfd:/, "");
	// Flags that keep no neighbours apart: what the kernel joins has those of both (gu: seen on Linux 6.18.44).
	const kind = [field("perms"), path, flags.replace(/ ?\b(ac|sd|gu)\b/g, "").trim()].join(" ");
	const size = Number.parseInt(end, 16) - Number.parseInt(start, 16);
	const next = field("inode") === "0" ? 0 : Number.parseInt(field("offset"), 16) + size;
	return { prefix, start, end, next, offset: field("offset"), kind, parts: [`${prefix}${start}-${end}`] };
}

function mergeMaps(snapshot: Snapshot): MergedMaps {
	const spans: Span[] = [];
	for (const key of snapshot.keys()) {
		const [whole, prefix = "", start = "", end = ""] = mapKey.exec(key) ?? [];
		if (whole === undefined) continue;
		const span = readSpan(snapshot, prefix, start, end);
		const last = spans[spans.length - 1];
		const joins = last?.prefix === prefix && last.end === start && last.kind === span.kind;
		if (last === undefined || !joins || last.next !== Number.parseInt(span.offset, 16)) spans.push(span);
		else Object.assign(last, { end, next: span.next, parts: [...last.parts, ...span.parts] });
	}
	const merged = new Map<string, string>();
	for (const { prefix, start, end, offset, kind, parts } of spans)
		for (const part of parts) merged.set(part, `${prefix}${start}-${end} ${offset} ${kind}`);
	return { of: merged, all: new Set(merged.values()) };
}

function mergedMapsOf(snapshot: Snapshot): MergedMaps {
	const found = known.get(snapshot) ?? mergeMaps(snapshot);
	known.set(snapshot, found);
	return found;
}

/** True for a field of a mapping that one side has only, where both sides have the same when merged. */
export function mergesAlike(difference: Difference, before: Snapshot, after: Snapshot): boolean {
	const [, prefix = "", range = ""] = /^((?:proc\/\d+\/)?)s?maps\/([^/]+)\//.exec(difference.key) ?? [];
	if ((difference.before === undefined) === (difference.after === undefined)) return false;
	const [holder, other] = difference.before === undefined ? [after, before] : [before, after];
	const span = mergedMapsOf(holder).of.get(`${prefix}${range}`);
	return span !== undefined && mergedMapsOf(other).all.has(span);
}
