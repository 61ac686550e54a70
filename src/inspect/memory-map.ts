// SPDX-License-Identifier: GPL-2.0-only
// An address space as a picture to scale: width is size. What lies between mappings, and what's only reserved, is left out
// and drawn as a gap; the dark part at the bottom of a mapping is what of it is in the images.

import { html, type Markup } from "./markup.ts";
import type { Mapping } from "./model.ts";
import { size } from "./words.ts";

const WIDTH = 1000;
const HEIGHT = 60;
/** Width of what is left out. */
const GAP = 6;
/** Narrower ones can't be seen; what they have too much is little. */
const MIN_WIDTH = 0.6;
/** More mappings than this are drawn as runs of one kind. */
const MAX_BARS = 1500;

interface Bar {
	kind: Mapping["kind"] | "gap";
	bytes: number;
	held: number;
	title: string;
}

function isGap({ kind, name }: Mapping): boolean {
	return kind === "reserved" || name === "[vsyscall]";
}

/** Mappings with the gaps between them; neighbours of a kind come together when there are very many. */
function listBars(mappings: readonly Mapping[]): Bar[] {
	const bars: Bar[] = [];
	let end = "";
	let gap = 0;
	for (const mapping of mappings) {
		if (isGap(mapping)) {
			gap += mapping.bytes;
			continue;
		}
		const { kind, bytes, in_images: held, name } = mapping;
		if (bars.length > 0 && (gap > 0 || end !== mapping.start)) {
			bars.push({ kind: "gap", bytes: 0, held: 0, title: gap > 0 ? `${size(gap)} reserved` : "unused addresses" });
		}
		gap = 0;
		end = mapping.end;
		const last = bars.at(-1);
		if (mappings.length > MAX_BARS && last?.kind === kind) {
			last.bytes += bytes;
			last.held += held;
		} else {
			const title = `${mapping.start}-${mapping.end} ${mapping.protection} ${size(bytes)}, ${size(held)} in the images ${name}`;
			bars.push({ kind, bytes, held, title });
		}
	}
	if (bars.length <= MAX_BARS) return bars;
	return bars.filter(({ kind }) => kind !== "gap").slice(0, MAX_BARS);
}

/** The picture of an address space, with what it stands for below it; undefined when there are no mappings. */
export function drawMemory(mappings: readonly Mapping[]): Markup | undefined {
	const bars = listBars(mappings);
	const total = bars.reduce((sum, { bytes }) => sum + bytes, 0);
	if (total === 0) return undefined;
	const gaps = bars.filter(({ kind }) => kind === "gap").length;
	const gap = Math.min(GAP, (WIDTH * 0.3) / Math.max(gaps, 1));
	const room = WIDTH - gaps * gap;
	let at = 0;
	const drawn = bars.map(({ kind, bytes, held, title }) => {
		const width = kind === "gap" ? gap : (bytes / total) * room;
		const x = at.toFixed(2);
		at += width;
		if (kind === "gap") {
			return html`<path class="gap" d="M${(at - gap / 2).toFixed(2)} 0V${HEIGHT}"><title>${title}</title></path>`;
		}
		const shown = Math.max(width, MIN_WIDTH).toFixed(2);
		const height = (HEIGHT * Math.min(held / bytes, 1)).toFixed(2);
		const dark =
			held === 0
				? undefined
				: html`<rect class="held" x="${x}" y="${(HEIGHT - Number(height)).toFixed(2)}" width="${shown}" height="${height}"/>`;
		return html`<g><title>${title}</title><rect class="k-${kind}" x="${x}" y="0" width="${shown}" height="${HEIGHT}"/>${dark}</g>`;
	});
	const first = mappings.find((mapping) => !isGap(mapping))?.start;
	const last = mappings.findLast((mapping) => !isGap(mapping))?.end;
	return html`<div class="mapbox"><svg class="map" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="Memory map, ${size(total)} in all">${drawn}</svg>
<div class="ruler m"><span>${first}</span><span>${size(total)} to scale</span><span>${last}</span></div></div>`;
}
