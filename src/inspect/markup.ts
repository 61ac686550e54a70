// SPDX-License-Identifier: GPL-2.0-only
// HTML in which nothing from an image can become markup: texts are escaped wherever they are put in, only what `html`
// made goes in as it is.

import { safe } from "./words.ts";

/** Markup that is safe as it is. */
export class Markup {
	constructor(readonly text: string) {}
}

export type Part = string | number | Markup | readonly Part[] | undefined;

const ENTITIES: Readonly<Record<string, string>> = {
	"&": "&amp;",
	"<": "&lt;",
	">": "&gt;",
	'"': "&quot;",
	"'": "&#39;",
};

function toText(part: Part): string {
	if (part === undefined) return "";
	if (part instanceof Markup) return part.text;
	if (typeof part === "object") return part.map(toText).join("");
	return safe(String(part)).replace(/[&<>"']/g, (c) => ENTITIES[c] ?? c);
}

/** A template whose parts are escaped unless they are markup. Attributes have to be in double quotes. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Markup {
	return new Markup(strings.map((text, at) => text + (at < parts.length ? toText(parts[at]) : "")).join(""));
}
