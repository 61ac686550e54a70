// SPDX-License-Identifier: GPL-2.0-only
// Makes the npm package of src/lib, as a folder and as an archive: `bun scripts/pack-lib.ts [--out FOLDER]`. It has one
// module with all that it needs of this repository, the host library, and type declarations; programs bring no dependencies.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import manifest from "../package.json" with { type: "json" };
import settings from "../tsconfig.json" with { type: "json" };
import { runTool } from "./build/c-parts.ts";

const ROOT = join(import.meta.dir, "..");
const DECLARATIONS = ["index", "types", "errors"];

/** What package.json of the package says. */
function describePackage(): object {
	const { version, os, cpu } = manifest;
	return {
		name: "criu",
		version,
		description: "Checkpoint and restore of Linux programs from TypeScript",
		// The library itself may be linked with anything; the module holds parts of the tool, too.
		license: "LGPL-2.1-only AND GPL-2.0-only",
		type: "module",
		os,
		cpu,
		engines: { bun: `>=${manifest.devDependencies.bun}` },
		exports: { ".": { types: "./index.d.ts", bun: "./index.js" }, "./package.json": "./package.json" },
		types: "./index.d.ts",
		files: ["*.js", "*.d.ts", "*.so", "*.bin", "LICENSE*"],
	};
}

function writeDeclarations(folder: string): void {
	const work = mkdtempSync(join(tmpdir(), "criu-declarations-"));
	try {
		const { module, target, moduleResolution } = settings.compilerOptions;
		const how = ["--module", module, "--target", target, "--moduleResolution", moduleResolution, "--types", "bun"];
		const what = ["--declaration", "--emitDeclarationOnly", "--outDir", work, "--rootDir", ROOT];
		const sources = ["src/lib/index.ts", "src/sys/embedded-files.d.ts"].map((path) => join(ROOT, path));
		const flags = ["--ignoreConfig", "--allowImportingTsExtensions", "--skipLibCheck", "--strict"];
		const roots = ["--typeRoots", join(ROOT, "node_modules/@types")];
		runTool([join(ROOT, "node_modules/.bin/tsc"), ...flags, ...how, ...what, ...roots, ...sources]);
		for (const name of DECLARATIONS) {
			const text = readFileSync(join(work, "src/lib", `${name}.d.ts`), "utf8");
			const head = "// SPDX-License-Identifier: LGPL-2.1-only\n";
			writeFileSync(join(folder, `${name}.d.ts`), head + text.replaceAll(/(from "\.\/\w+)\.ts"/g, '$1.js"'));
		}
	} finally {
		rmSync(work, { recursive: true, force: true });
	}
}

/** Makes the package in a folder; gives the path of the archive, which lies beside it. The C parts have to be built. */
export async function packLibrary(out: string): Promise<string> {
	const folder = join(out, "npm");
	rmSync(folder, { recursive: true, force: true });
	mkdirSync(folder, { recursive: true });
	const built = await Bun.build({
		entrypoints: [join(ROOT, "src/lib/index.ts")],
		target: "bun",
		format: "esm",
		outdir: folder,
		naming: { asset: "[name]-[hash].[ext]" },
	});
	if (!built.success) throw new Error(built.logs.join("\n"));
	// Files beside the module are found from wherever a program runs.
	const module = join(folder, "index.js");
	writeFileSync(
		module,
		readFileSync(module, "utf8").replaceAll(/"\.\/((?:libhost|agent)-\w+\.\w+)"/g, 'import.meta.dir + "/$1"'),
	);
	writeDeclarations(folder);
	writeFileSync(join(folder, "package.json"), `${JSON.stringify(describePackage(), undefined, "\t")}\n`);
	cpSync(join(ROOT, "LICENSE"), join(folder, "LICENSE"));
	cpSync(join(ROOT, "LICENSES/LGPL-2.1-only.txt"), join(folder, "LICENSE.LGPL"));
	const archive = join(out, `criu-${manifest.version}.tgz`);
	runTool(["tar", "--transform", "s,^npm,package,", "--owner=0", "--group=0", "-C", out, "-czf", archive, "npm"]);
	return archive;
}

if (import.meta.main) {
	const { values } = parseArgs({ options: { out: { type: "string", default: join(ROOT, "dist") } } });
	console.log(`package: ${await packLibrary(values.out)}`);
}
