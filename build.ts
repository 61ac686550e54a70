// SPDX-License-Identifier: GPL-2.0-only
// Builds dist/criu: `bun build.ts [--force] [--c-only] [--no-pack] [--entry FILE --out FILE]`. Stages, each skipped when
// nothing that it is made from has changed: host, agent, entry (C) -> layout (structures against headers) -> bundle (one
// executable) -> finish (deaf to a hostile environment; with the build machine's glibc inside, unless --no-pack).

import { createHash } from "node:crypto";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import manifest from "./package.json" with { type: "json" };
import { BUNDLE_FLAGS, bundleExecutable } from "./scripts/build/bundle.ts";
import {
	BLOB_FLAGS,
	blobSize,
	checkAssertions,
	compileBlob,
	compileHostLibrary,
	compilerVersion,
	findBlobSymbol,
	HOST_FLAGS,
	listSources,
	runTool,
} from "./scripts/build/c-parts.ts";
import { hardenExecutable } from "./scripts/build/harden.ts";
import { assertOldEnough, readGlibc } from "./scripts/build/pack.ts";
import { fingerprintInputs, runStage, type Stage, type StageContext, writeAtomically } from "./scripts/build/stage.ts";
import { writeOwnAssertions } from "./scripts/build/struct-check.ts";

const ROOT = import.meta.dir;
const BUILD = join(ROOT, "build");
const at = (...parts: string[]): string => join(ROOT, ...parts);
const built = (...parts: string[]): string => join(BUILD, ...parts);

const HOST_LIBRARY = built("libhost.so");
const AGENT_BLOB = built("agent.bin");
const ENTRY_BLOB = built("entry.bin");
const MAIN = at("src/main.ts");
const BUILD_SCRIPTS = [at("build.ts"), at("scripts/build")];

function cStages(): Stage[] {
	const compiler = compilerVersion();
	const blob = (name: string, output: string): Stage => ({
		name,
		inputs: [at("cparts", name), ...BUILD_SCRIPTS],
		settings: [compiler, BLOB_FLAGS],
		outputs: [output],
		run: () =>
			compileBlob({
				sources: [...listSources(at("cparts", name)), ...listSources(at("cparts", name, "x86_64"))],
				includeDir: at("cparts", name),
				linkerScript: at("cparts", name, `${name}.lds`),
				workDir: built(`${name}.work`),
				output,
			}),
	});
	const host: Stage = {
		name: "host",
		inputs: [at("cparts/host"), ...BUILD_SCRIPTS],
		settings: [compiler, HOST_FLAGS],
		outputs: [HOST_LIBRARY],
		run: () => compileHostLibrary(listSources(at("cparts/host")), HOST_LIBRARY),
	};
	return [host, blob("agent", AGENT_BLOB), blob("entry", ENTRY_BLOB)];
}

/** Structures and constants of ours against C: the kernel's headers, and our own. After the C parts, which it loads. */
function layoutStage(): Stage {
	const sources = ["kernel", "libc", "agent", "host", "entry"].map((name) => built(`check-${name}.c`));
	return {
		name: "layout",
		inputs: [at("src"), at("cparts"), ...BUILD_SCRIPTS],
		settings: compilerVersion(),
		outputs: sources,
		run: async () => {
			const { cStaticAsserts } = await import("./src/kernel/abi/c-check.ts");
			const { CrPack, CrPackLibrary, PACK_LIBRARIES } = await import("./scripts/build/pack-layout.ts");
			const constants = /^(?:OP|CHECK|ARG|CTL|AGENT_MAGIC|AGENT_VERSION)/;
			const texts = [
				cStaticAsserts("kernel"),
				cStaticAsserts("libc"),
				writeOwnAssertions({ header: "agent.h", exports: await import("./src/agent/layout.ts"), constants }),
				writeOwnAssertions({
					header: "host.h",
					exports: await import("./src/sys/host-layout.ts"),
					constants: /^PIECE_/,
				}),
				writeOwnAssertions({
					header: "loader.h",
					exports: { CrPack, CrPackLibrary, PACK_LIBRARIES },
					constants: /^PACK_/,
				}),
			];
			for (const [index, source] of sources.entries()) {
				writeAtomically(source, texts[index] ?? "");
				checkAssertions(source, [at("cparts/agent"), at("cparts/host"), at("cparts/entry")]);
			}
		},
	};
}

function textStage(isPacked: boolean): Stage {
	const glibc = isPacked ? readGlibc().version : undefined;
	const notices = at("dist/NOTICES");
	const page = at("dist/criu.8");
	const folder = at("dist/completions");
	const critPage = at("dist/crit.1");
	return {
		name: "texts",
		inputs: [
			at("src/cli"),
			at("src/engine/features.ts"),
			at("package.json"),
			at("src/crit/verbs.ts"),
			at("scripts/gen-man.ts"),
			at("scripts/gen-crit-man.ts"),
			at("scripts/gen-completions.ts"),
			at("scripts/gen-crit-completions.ts"),
			at("scripts/gen-readme.ts"),
			at("scripts/notices.ts"),
			...BUILD_SCRIPTS,
		],
		settings: glibc ?? null,
		outputs: [
			page,
			critPage,
			notices,
			...["criu.bash", "_criu", "criu.fish", "crit.bash", "_crit", "crit.fish"].map((name) => join(folder, name)),
		],
		run: async () => {
			writeAtomically(page, (await import("./scripts/gen-man.ts")).writeManualPage());
			writeAtomically(critPage, (await import("./scripts/gen-crit-man.ts")).writeCritPage());
			(await import("./scripts/gen-completions.ts")).writeCompletions(folder);
			(await import("./scripts/gen-readme.ts")).refreshReadme(at("README.md"));
			writeAtomically(notices, (await import("./scripts/notices.ts")).writeNotices(glibc));
		},
	};
}

function executableStages(entry: string, output: string, isPacked: boolean): Stage[] {
	const name = createHash("sha256").update(relative(ROOT, output)).digest("hex").slice(0, 8);
	const bundled = built(`bundled-${name}`);
	const runtime = [process.execPath, Bun.version, Bun.revision];
	const glibc = isPacked ? readGlibc() : undefined;
	/** Sources only, so that machines that build the same show the same. */
	const describeBuild = () => {
		const sources = fingerprintInputs(
			{ inputs: [at("src"), at("cparts"), at("package-lock.json")], settings: null },
			ROOT,
		);
		return `${sources.slice(0, 12)}${glibc === undefined ? "" : `, ${glibc.version} inside`}`;
	};
	const bundle: Stage = {
		name: `bundle-${name}`,
		inputs: [at("src"), entry, HOST_LIBRARY, AGENT_BLOB, at("package.json"), at("package-lock.json"), ...BUILD_SCRIPTS],
		settings: [runtime, BUNDLE_FLAGS, glibc?.version ?? null],
		outputs: [bundled],
		run: () => bundleExecutable(ROOT, entry, bundled, describeBuild()),
	};
	const finish: Stage = {
		name: `finish-${name}`,
		inputs: [built("stamps", `bundle-${name}.json`), ENTRY_BLOB, HOST_LIBRARY, ...BUILD_SCRIPTS],
		settings: glibc?.version ?? null,
		outputs: [output],
		run: () => {
			const symbol = (of: string) => findBlobSymbol(built("entry.work"), of);
			const symbols = () => ({
				start: symbol("cr_pack_start"),
				open: symbol("cr_pack_open"),
				table: symbol("cr_pack"),
			});
			// Callers ask for the version before each use: the runtime takes tens of milliseconds for it, the entry code none.
			const version = entry === MAIN ? Buffer.from(runTool([bundled, "--version"])) : Buffer.alloc(0);
			if (glibc !== undefined) assertOldEnough([bundled, HOST_LIBRARY]);
			hardenExecutable({
				executable: bundled,
				entryBlob: ENTRY_BLOB,
				originalEntryAt: symbol("cr_entry_original"),
				environAt: symbol("cr_entry_environ"),
				codeAt: symbol("cr_entry_code"),
				...(glibc === undefined ? {} : { pack: { glibc, symbols: symbols(), version } }),
				output,
			});
		},
	};
	return [bundle, finish];
}

async function build(argv: string[]): Promise<void> {
	const { values } = parseArgs({
		args: argv,
		options: {
			force: { type: "boolean", default: false },
			"c-only": { type: "boolean", default: false },
			"no-pack": { type: "boolean", default: false },
			entry: { type: "string", default: MAIN },
			out: { type: "string", default: at("dist/criu") },
		},
	});
	if (Bun.version !== manifest.devDependencies.bun) {
		throw new Error(`bun ${manifest.devDependencies.bun} is needed, this is ${Bun.version}: use \`npm run build\``);
	}
	const context: StageContext = {
		root: ROOT,
		stampDir: built("stamps"),
		force: values.force,
		report: (line) => console.log(`build: ${line}`),
	};
	for (const stage of [...cStages(), layoutStage()]) await runStage(stage, context);
	if (values["c-only"]) return;
	await runStage(textStage(!values["no-pack"]), context);
	let state = "up to date";
	for (const stage of executableStages(values.entry, values.out, !values["no-pack"])) {
		if (await runStage(stage, context)) state = "built";
	}
	console.log(`build: ${values.out} ${state} (agent ${blobSize(AGENT_BLOB)} bytes)`);
}

try {
	await build(Bun.argv.slice(2));
} catch (error) {
	console.error(`build failed: ${error instanceof Error ? error.message : String(error)}`);
	process.exit(1);
}
