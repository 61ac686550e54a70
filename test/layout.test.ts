// SPDX-License-Identifier: GPL-2.0-only
// The walls of the house: who may import whom, no cycles, licence lines, and that ARCHITECTURE.md knows every folder.

import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";

const ROOT = join(import.meta.dir, "..");
const GENERATED = "src/images/gen/";
const MAX_LINES = 450;

/** A file may import from its own layer and from those below (greater number). First match of a path wins. */
const LAYERS: readonly [prefix: string, layer: number][] = [
	["src/main.ts", 0],
	["src/cli/", 1],
	["src/rpc/", 1],
	["src/crit/", 1],
	["src/inspect/", 1],
	["src/migrate/", 1],
	["src/lib/", 1],
	["src/engine/", 2],
	["src/plan/", 3],
	["src/kinds/", 4],
	["src/kernel/abi/", 8],
	["src/pages/", 5],
	["src/net/", 5],
	["src/agent/", 5],
	["src/kernel/", 5],
	["src/images/", 5],
	["src/sys/", 7],
];
/** Files directly in src/ (errors, log, options) are for all. */
const GROUND_LAYER = 8;

function listFiles(dir: string): string[] {
	if (!existsSync(join(ROOT, dir))) return [];
	return readdirSync(join(ROOT, dir), { withFileTypes: true }).flatMap((entry) => {
		const path = `${dir}/${entry.name}`;
		return entry.isDirectory() ? listFiles(path) : [path];
	});
}

function readSource(path: string): string {
	return readFileSync(join(ROOT, path), "utf8");
}

const sources = listFiles("src").filter((path) => path.endsWith(".ts"));
const ownSources = sources.filter((path) => !path.startsWith(GENERATED));

/** Everything a module names in an import or export, types too. */
function listImports(path: string): string[] {
	const text = readSource(path);
	const statement = /^\s*(?:import|export)\b[^"'`;]*?\bfrom\s*"([^"]+)"/gm;
	const bare = /^\s*import\s+"([^"]+)"/gm;
	const dynamic = /\bimport\(\s*"([^"]+)"\s*\)/g;
	return [statement, bare, dynamic].flatMap((pattern) =>
		[...text.matchAll(pattern)].map((match) => match[1]).filter((name) => name !== undefined),
	);
}

/** The source files that a module imports, as paths from the root. */
function listLocalImports(path: string): string[] {
	return listImports(path)
		.filter((name) => name.startsWith("."))
		.map((name) => relative(ROOT, join(ROOT, dirname(path), name)))
		.filter((name) => name.startsWith("src/"));
}

function layerOf(path: string): number {
	const layer = LAYERS.find(([prefix]) => path.startsWith(prefix))?.[1];
	if (layer === undefined && dirname(path) === "src") return GROUND_LAYER;
	if (layer === undefined) throw new Error(`${path} is in no layer: add its folder to LAYERS`);
	return layer;
}

/** One cycle among the files, as a list that ends where it begins; undefined when there is none. */
function findCycle(imports: ReadonlyMap<string, string[]>): string[] | undefined {
	const done = new Set<string>();
	const path: string[] = [];
	function visit(file: string): string[] | undefined {
		if (done.has(file)) return undefined;
		const start = path.indexOf(file);
		if (start !== -1) return [...path.slice(start), file];
		path.push(file);
		for (const next of imports.get(file) ?? []) {
			const cycle = visit(next);
			if (cycle !== undefined) return cycle;
		}
		path.pop();
		done.add(file);
		return undefined;
	}
	for (const file of imports.keys()) {
		const cycle = visit(file);
		if (cycle !== undefined) return cycle;
	}
	return undefined;
}

describe("imports", () => {
	test("form no cycle", () => {
		const imports = new Map(sources.map((path) => [path, listLocalImports(path)]));
		expect(findCycle(imports)).toBeUndefined();
	});

	test("a cycle would be found", () => {
		const imports = new Map([
			["a", ["b"]],
			["b", ["c"]],
			["c", ["b"]],
		]);
		expect(findCycle(imports)).toEqual(["b", "c", "b"]);
	});

	test("point downwards: cli, engine, plan, kinds, (images, pages, agent, kernel), sys, (abi, errors, log)", () => {
		const wrong = sources.flatMap((path) =>
			listLocalImports(path)
				.filter((imported) => layerOf(imported) < layerOf(path))
				.map((imported) => `${path} -> ${imported}`),
		);
		expect(wrong).toEqual([]);
	});

	test("src/images touches no kernel: it works on any machine", () => {
		const allowed = /^src\/(?:images\/|kernel\/abi\/|errors\.ts$|log\.ts$)/;
		const images = ownSources.filter((path) => path.startsWith("src/images/"));
		const wrong = images.flatMap((path) =>
			listLocalImports(path)
				.filter((imported) => !allowed.test(imported))
				.map((imported) => `${path} -> ${imported}`),
		);
		expect(wrong).toEqual([]);
	});

	test("bun:ffi is used in src/sys only", () => {
		const wrong = sources.filter((path) => !path.startsWith("src/sys/") && listImports(path).includes("bun:ffi"));
		expect(wrong).toEqual([]);
	});
});

describe("source files", () => {
	const withLicence = [
		"build.ts",
		...["src", "test", "scripts", "bench", "cparts"]
			.flatMap(listFiles)
			.filter((path) => /\.(?:ts|c|h|S|lds|proto)$/.test(path) || path === "scripts/setup")
			.filter((path) => !path.startsWith(GENERATED)),
	];

	test("begin with their licence; what others link to is LGPL", () => {
		const wrong = withLicence.filter((path) => {
			const [first = "", second = ""] = readSource(path).split("\n", 2);
			const line = first.startsWith("#!") ? second : first;
			const licence = path.startsWith("src/lib/") ? "LGPL-2.1-only" : "GPL-2.0-only";
			return !line.includes(`SPDX-License-Identifier: ${licence}`);
		});
		expect(wrong).toEqual([]);
	});

	test(`have at most ${MAX_LINES} lines, tables of kernel numbers aside`, () => {
		const long = ownSources.filter((path) => !path.startsWith("src/kernel/abi/"));
		expect(long.filter((path) => readSource(path).split("\n").length > MAX_LINES + 1)).toEqual([]);
	});

	test("leave nothing for later and are named after what they own", () => {
		expect(ownSources.filter((path) => /\b(?:TODO|FIXME|XXX)\b/.test(readSource(path)))).toEqual([]);
		expect(ownSources.filter((path) => /^util(?:s|ities)?\b/.test(basename(path)))).toEqual([]);
		expect(ownSources.filter((path) => !/^[a-z0-9][a-z0-9_.-]*$/.test(basename(path)))).toEqual([]);
	});

	test("end the process in src/main.ts only", () => {
		const wrong = ownSources.filter((path) => path !== "src/main.ts" && /\bprocess\.exit\(/.test(readSource(path)));
		expect(wrong).toEqual([]);
	});
});

describe("ARCHITECTURE.md", () => {
	test("names every folder under src", () => {
		const folders = new Set(sources.map((path) => dirname(path)));
		folders.delete("src");
		const text = readSource("ARCHITECTURE.md");
		expect([...folders].filter((folder) => !text.includes(`\`${folder}\``))).toEqual([]);
	});

	test("names no folder or file that is not there", () => {
		const named = [...readSource("ARCHITECTURE.md").matchAll(/`((?:src|cparts|test|scripts|bench)\/[^`*{<\s]+)`/g)];
		const missing = named
			.map((match) => match[1])
			.filter((path) => path !== undefined)
			.filter((path) => statSync(join(ROOT, path), { throwIfNoEntry: false }) === undefined);
		expect(missing).toEqual([]);
	});
});
