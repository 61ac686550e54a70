// SPDX-License-Identifier: GPL-2.0-only
// crit, the image tool: criu called by that name, or `criu crit`. Exit codes: 0 done, 1 failed, 2 called wrongly.

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describeError, toCriuError } from "../cli/report.ts";
import { COMPATIBLE_VERSION } from "../cli/version.ts";
import { CriuError } from "../errors.ts";
import { toKernelError } from "../images/framing.ts";
import { findKindOfFile } from "../images/kinds.ts";
import { type CritArguments, CritUsage, type CritVerb, helpOf, readArguments, usageOf } from "./arguments.ts";
import { type DisposableSink, folderOf, openSink, ReaderGone } from "./byte-sink.ts";
import { ByteSource } from "./byte-source.ts";
import { VERBS, type VerbName } from "./verbs.ts";

/** Where messages go. */
export interface CritSurroundings {
	print(text: string): void;
	printError(text: string): void;
}

type Run = (args: CritArguments, around: CritSurroundings) => number | Promise<number>;

const USAGE = `usage: crit [-h] [--version] {${Object.keys(VERBS).join(",")}} ...`;

/** Opens the output, has it written and closed. */
async function writeTo(path: string | undefined, write: (sink: DisposableSink) => void): Promise<void> {
	const sink = openSink(path);
	try {
		write(sink);
		sink.close();
	} finally {
		sink[Symbol.dispose]?.();
	}
}

function tellLeftOut(fields: ReadonlySet<string>, around: CritSurroundings): void {
	const own = [...fields].filter((name) => !name.includes("'s field "));
	const unknown = [...fields].filter((name) => name.includes("'s field "));
	if (own.length > 0) {
		around.printError(`note: left out ${own.join(", ")}: CRIU's crit doesn't know them; --extensions shows them\n`);
	}
	if (unknown.length > 0) around.printError(`note: left out ${unknown.join(", ")}: not known to this version\n`);
}

async function runDecode({ options }: CritArguments, around: CritSurroundings): Promise<number> {
	return await decodeTo(options.get("in"), options.get("out"), around, {
		pretty: options.has("pretty"),
		noPayload: false,
		extensions: options.has("extensions"),
	});
}

async function runShow({ options, words }: CritArguments, around: CritSurroundings): Promise<number> {
	const form = { pretty: true, noPayload: options.has("nopl"), extensions: options.has("extensions") };
	return await decodeTo(words[0], undefined, around, form, true);
}

async function decodeTo(
	path: string | undefined,
	out: string | undefined,
	around: CritSurroundings,
	form: { pretty: boolean; noPayload: boolean; extensions: boolean },
	isForPeople = false,
): Promise<number> {
	const { decodeImage } = await import("./decode.ts");
	using source = ByteSource.open(path);
	let leftOut: ReadonlySet<string> = new Set();
	await writeTo(out, (sink) => {
		leftOut = decodeImage(source, sink, form);
		if (out === undefined) sink.text("\n");
	});
	if (!isForPeople || process.stderr.isTTY) tellLeftOut(leftOut, around);
	return 0;
}

async function runEncode({ options }: CritArguments, around: CritSurroundings): Promise<number> {
	const { encodeImage } = await import("./encode.ts");
	using source = ByteSource.open(options.get("in"));
	const out = options.get("out");
	let unknown: ReadonlySet<string> = new Set();
	await writeTo(out, (sink) => {
		unknown = encodeImage(source, sink, folderOf(out));
	});
	if (unknown.size > 0) around.printError(`warning: no such field, left out: ${[...unknown].join(", ")}\n`);
	return 0;
}

async function runInfo({ words }: CritArguments, around: CritSurroundings): Promise<number> {
	const { readInfo } = await import("./info.ts");
	using source = ByteSource.open(words[0]);
	const { magic, count } = readInfo(source);
	around.print(`{\n    "magic": "${magic}",\n    "count": ${count}\n}\n`);
	return 0;
}

async function runExplore({ words }: CritArguments): Promise<number> {
	const { explore } = await import("./explore.ts");
	const [dir = "", what = ""] = words;
	await writeTo(undefined, (sink) => explore(dir, what, sink));
	return 0;
}

/** The images that a path stands for: itself, or those of a folder. */
function listImages(path: string): string[] {
	try {
		if (!statSync(path).isDirectory()) return [path];
		const names = readdirSync(path).sort();
		return names.filter((name) => findKindOfFile(name) !== undefined).map((name) => join(path, name));
	} catch (error) {
		throw new CriuError("CRIT_INPUT", `cannot open ${path}`, {
			cause: toKernelError(error, path),
			remedy: "name an image or a folder of images",
		});
	}
}

function isRaw(path: string): boolean {
	return findKindOfFile(path.slice(path.lastIndexOf("/") + 1))?.kind.framing === "raw";
}

async function runRecode({ options, words }: CritArguments, around: CritSurroundings): Promise<number> {
	const { recodeImage } = await import("./recode.ts");
	const paths = words.flatMap(listImages);
	const out = options.get("out");
	if (out !== undefined && paths.length !== 1) throw new CritUsage("argument --out: only for one image");
	let failures = 0;
	for (const path of paths) {
		if (isRaw(path)) {
			around.print(`${path}: raw, nothing to recode\n`);
			continue;
		}
		try {
			let at: number | undefined;
			if (out === undefined) at = recodeImage(path, options.has("pretty"));
			else
				await writeTo(out, (sink) => {
					at = recodeImage(path, options.has("pretty"), sink);
				});
			if (at !== undefined) failures++;
			around.print(`${path}: ${at === undefined ? "same" : `differs from byte ${at} on`}\n`);
		} catch (error) {
			failures++;
			around.printError(`${describeError(toCriuError(error)).join("\n")}\n`);
		}
	}
	return failures === 0 ? 0 : 1;
}

const RUNS: Readonly<Record<VerbName, Run>> = {
	decode: runDecode,
	encode: runEncode,
	info: runInfo,
	x: runExplore,
	show: runShow,
	recode: runRecode,
};

function helpText(): string {
	const verbs = Object.values(VERBS).map(({ name, help }) => `  ${name.padEnd(10)}${help}`);
	return [
		USAGE,
		"",
		"The tool for images of criu.",
		"",
		"commands:",
		...verbs,
		"",
		"options:",
		"  -h, --help  show this text; after a command, its own",
		"  --version   show the version of CRIU that it is compatible with",
		"",
	].join("\n");
}

function usageError(usage: string, program: string, message: string, around: CritSurroundings): number {
	around.printError(`usage: ${usage.replace(/^usage: /, "")}\n${program}: error: ${message}\n`);
	return 2;
}

async function runVerb(verb: CritVerb & { name: VerbName }, args: readonly string[], around: CritSurroundings) {
	const read = readArguments(verb, args);
	if (read.options.has("help")) {
		around.print(helpOf(verb));
		return 0;
	}
	return await RUNS[verb.name](read, around);
}

/** Runs crit with the words after its name; the exit code. Never throws. */
export async function runCrit(args: readonly string[], around: CritSurroundings): Promise<number> {
	const [first, ...rest] = args;
	if (first === undefined) {
		around.printError(`${USAGE}\ncrit: error: too few arguments\n`);
		return 1;
	}
	if (first === "-h" || (first.length > 2 && "--help".startsWith(first))) {
		around.print(helpText());
		return 0;
	}
	if (first.length > 2 && "--version".startsWith(first)) {
		around.print(`${COMPATIBLE_VERSION}\n`);
		return 0;
	}
	if (!Object.hasOwn(VERBS, first)) {
		const names = Object.keys(VERBS);
		const message = first.startsWith("-")
			? `unrecognized arguments: ${first}`
			: `invalid choice: '${first}' (choose from ${names.join(", ")})`;
		return usageError(USAGE, "crit", message, around);
	}
	const verb = VERBS[first as VerbName];
	try {
		return await runVerb(verb, rest, around);
	} catch (error) {
		if (error instanceof ReaderGone) return 0;
		if (error instanceof CritUsage) return usageError(usageOf(verb), `crit ${verb.name}`, error.message, around);
		around.printError(`${describeError(toCriuError(error)).join("\n")}\n`);
		return 1;
	}
}
