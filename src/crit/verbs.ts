// SPDX-License-Identifier: GPL-2.0-only
// What crit can do: the one table for parsing, help and the manual page.

import type { CritOption, CritVerb } from "./arguments.ts";

const PRETTY: CritOption = {
	name: "pretty",
	help: "in lines, and numbers as names, addresses and the like where the field has such a form",
};
const OUT: CritOption = { name: "out", short: "o", metavar: "OUT", help: "where to write (default: stdout)" };
const EXTENSIONS: CritOption = {
	name: "extensions",
	help: "with the fields that only this criu writes, which CRIU's crit doesn't know",
	ours: true,
};
const IN: CritOption = { name: "in", short: "i", metavar: "IN", help: "the file to read (default: stdin)" };

/** Views of `crit x`. */
export const VIEWS: Readonly<Record<string, string>> = {
	ps: "processes with group, session and command",
	fds: "open files of each process",
	mems: "memory mappings of each process",
	rss: "pages that are in the images, with their mappings",
	sk: "sockets of each process, with state and addresses",
};

export const VERBS = {
	decode: {
		name: "decode",
		help: "convert an image to JSON",
		options: [PRETTY, IN, OUT, EXTENSIONS],
		words: [],
	},
	encode: { name: "encode", help: "convert JSON to an image", options: [IN, OUT], words: [] },
	info: {
		name: "info",
		help: "tell what kind of image a file is, and how many entries it has",
		options: [],
		words: [{ name: "in", help: "the image" }],
	},
	x: {
		name: "x",
		help: "look into a folder of images",
		options: [],
		words: [
			{ name: "dir", help: "the folder" },
			{
				name: "what",
				help: Object.entries(VIEWS)
					.map(([name, text]) => `${name}: ${text}`)
					.join("; "),
				choices: Object.keys(VIEWS),
			},
		],
	},
	show: {
		name: "show",
		help: "show an image in the form for people, the same as decode --pretty",
		options: [{ name: "nopl", help: "tell the size of payloads instead of showing them" }, EXTENSIONS],
		words: [{ name: "in", help: "the image" }],
	},
	recode: {
		name: "recode",
		help: "convert images, or all of a folder, to JSON and back, and tell whether they come out the same",
		options: [PRETTY, { ...OUT, help: "write what comes out of one image here" }],
		words: [{ name: "path", help: "an image or a folder", many: true }],
	},
} as const satisfies Record<string, CritVerb>;

export type VerbName = keyof typeof VERBS;
