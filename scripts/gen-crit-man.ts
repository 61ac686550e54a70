// SPDX-License-Identifier: GPL-2.0-only
// Writes crit's manual page from the table of its verbs: `bun scripts/gen-crit-man.ts [FILE]`; dist/crit.1 in a build.

import { join } from "node:path";
import manifest from "../package.json" with { type: "json" };
import type { CritVerb } from "../src/crit/arguments.ts";
import { VERBS, VIEWS } from "../src/crit/verbs.ts";
import { writeAtomically } from "./build/stage.ts";
import { bold, escapeRoff, item, paragraph, section } from "./gen-man.ts";

const DESCRIPTION = [
	"crit shows and changes the images that criu writes. It is criu itself, called by that name (a link will do) or as",
	"criu crit. Images become JSON and JSON becomes images again, of the same bytes. Large images take little memory.",
];

const FORM = [
	"The JSON is an object with magic, the name of the kind of image, and entries, a list of messages. Fields stand in the",
	"order of their numbers and only as far as they are set. Bytes are base64, in lines of 76 characters; names are text, in",
	"which bytes that are no UTF-8 stand as \\udc80 to \\udcff. What follows a message, such as the data of a pipe, is its",
	"extra. With --pretty numbers become names, addresses, devices or hexadecimal where the field is of that sort; encode",
	"reads both forms.",
];

const DIFFERENCES = [
	"The JSON equals that of CRIU's crit byte for byte. Fields that only this criu writes are left out unless --extensions",
	"asks for them, with a note on standard error; recode always takes them along. info counts entries rightly where",
	"payloads follow them, and ghost files too. --nopl works for all kinds. encode refuses a payload whose length isn't the",
	"one that its message tells. recode and the view sk are additions.",
];

function describeVerb(verb: CritVerb): string {
	const options = verb.options.map(({ name, short, metavar, help, ours }) => {
		const argument = metavar === undefined ? "" : ` ${metavar}`;
		const names = [...(short === undefined ? [] : [`-${short}${argument}`]), `--${name}${argument}`];
		return item(names.map(bold).join(", "), `${help}.${ours === true ? " CRIU doesn't have it." : ""}`);
	});
	const words = verb.words.map(({ name }) =>
		name === "what" ? `{${Object.keys(VIEWS).join("|")}}` : name.toUpperCase(),
	);
	const usage = [verb.name, ...(verb.options.length > 0 ? ["[options]"] : []), ...words].join(" ");
	return [
		section(`crit ${usage}`, paragraph([`${verb.help}.`.replace(/^./, (c) => c.toUpperCase())]), ...options),
	].join("\n");
}

/** The whole page in roff (man(7) macros), ending with a newline. */
export function writeCritPage(): string {
	const verbs: readonly CritVerb[] = Object.values(VERBS);
	const page = [
		`.\\" SPDX-License-Identifier: GPL-2.0-only\n.TH CRIT 1 "" "criu ${escapeRoff(manifest.version)}"`,
		section("Name", escapeRoff("crit - look into images of criu, and change them")),
		section("Synopsis", `${bold("crit")} ${escapeRoff(`{${verbs.map(({ name }) => name).join("|")}} ...`)}`),
		section("Description", paragraph(DESCRIPTION)),
		...verbs.map(describeVerb),
		section("Views", ...Object.entries(VIEWS).map(([name, text]) => item(bold(name), `${text}.`))),
		section("The form of the JSON", paragraph(FORM)),
		section("Differences from CRIU's", paragraph(DIFFERENCES)),
		section(
			"Exit status",
			item("0", "Done."),
			item("1", "Failed; standard error says why. For recode also: an image came out differently."),
			item("2", "Called wrongly."),
		),
		section("See also", `${bold("criu")}(8)`),
		section("Copyright", escapeRoff("GNU General Public License, version 2 only.")),
	];
	return `${page.join("\n")}\n`;
}

if (import.meta.main) {
	writeAtomically(Bun.argv[2] ?? join(import.meta.dir, "../dist/crit.1"), writeCritPage());
}
