// SPDX-License-Identifier: GPL-2.0-only
// dist/criu is run by root anywhere: neither files in the working directory nor variables may steer its runtime.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundleExecutable } from "../../scripts/build/bundle.ts";
import { findBlobSymbol, runTool } from "../../scripts/build/c-parts.ts";
import { hardenExecutable } from "../../scripts/build/harden.ts";

const ROOT = join(import.meta.dir, "../..");
const CRIU = join(ROOT, "dist/criu");

/** Asked for by the runtime and left to the user: they choose places, languages and colours, and run no foreign code. */
const HARMLESS =
	/^(?:HOME|PATH|TZ|TZDIR|LANG|LANGUAGE|LC_[A-Z]+|TERM|COLORTERM|NO_COLOR|FORCE_COLOR|TMPDIR|TEMP|TMP|GCONV_PATH|LOCPATH|NLSPATH|RES_OPTIONS|LOCALDOMAIN|HOSTALIASES|MALLOC_[A-Z_]+)$/;

const dir = mkdtempSync(join(tmpdir(), "criu-environment-"));
const hostile = join(dir, "hostile");
const marker = join(dir, "foreign-code-ran");
const probe = join(dir, "probe");
const unhardened = join(dir, "probe-unhardened");

interface ProbeReport {
	environment: string[];
	argv: string[];
	execArgv: string[];
	agentBytes: number;
	hostMagic: string;
}

/** A folder with everything that bun would read from a working directory or home, each trying to run foreign code. */
function writeHostileFiles(): void {
	const evil = join(hostile, "evil.ts");
	mkdirSync(join(hostile, "node_modules/bun"), { recursive: true });
	writeFileSync(evil, `require("node:fs").writeFileSync(${JSON.stringify(marker)}, "");`);
	for (const name of [".env", ".env.local", ".env.production", ".env.development"]) {
		writeFileSync(join(hostile, name), `FROM_DOTENV=1\nBUN_OPTIONS=--preload=${evil}\n`);
	}
	for (const name of ["bunfig.toml", ".bunfig.toml"]) {
		writeFileSync(join(hostile, name), `preload = [${JSON.stringify(evil)}]\n[run]\nbun = true\n`);
	}
	writeFileSync(join(hostile, "package.json"), JSON.stringify({ name: "x", main: evil, imports: { "#*": evil } }));
	writeFileSync(join(hostile, "tsconfig.json"), JSON.stringify({ compilerOptions: { paths: { "*": [evil] } } }));
	writeFileSync(join(hostile, "node_modules/bun/package.json"), JSON.stringify({ name: "bun", main: evil }));
}

/** Ours, from cparts/entry: they come last. */
const SETTINGS = [
	...["numberOfGCMarkers", "thresholdForJITAfterWarmUp", "thresholdForJITSoon", "thresholdForOptimizeAfterLongWarmUp"],
	...["thresholdForOptimizeAfterWarmUp", "thresholdForOptimizeSoon", "useConcurrentGC"],
]
	.map((name) => `BUN_JSC_${name}`)
	.concat("MIMALLOC_ALLOW_THP", "MIMALLOC_PURGE_DELAY");

/** Variables that change what an unhardened program does, or try to. */
function hostileVariables(): Record<string, string> {
	const evil = join(hostile, "evil.ts");
	return {
		BUN_BE_BUN: "1",
		BUN_OPTIONS: `--preload=${evil}`,
		BUN_INSPECT: "ws://127.0.0.1:0/x?wait=1",
		BUN_INSPECT_PRELOAD: evil,
		BUN_INSPECT_NOTIFY: `unix://${join(dir, "notify")}`,
		BUN_JSC_dumpOptions: "2",
		BUN_JSC_useJIT: "0",
		BUN_CRASH_REPORT_URL: "http://127.0.0.1:9/",
		NODE_OPTIONS: `--require=${evil}`,
		NODE_PATH: hostile,
		NODE_CHANNEL_FD: "0",
		NODE_ENV: "development",
		NODE_EXTRA_CA_CERTS: join(hostile, "package.json"),
		JSC_dumpOptions: "2",
		WTF_numberOfProcessorCores: "1",
		Malloc: "1",
		MallocLogFile: marker,
		mimalloc_verbose: "1",
		MIMALLOC_SHOW_STATS: "1",
		ICU_DATA: hostile,
		UV_THREADPOOL_SIZE: "1",
		OPENSSL_CONF: join(hostile, "bunfig.toml"),
		SSLKEYLOGFILE: marker,
		XDG_CONFIG_HOME: hostile,
		HOME: hostile,
	};
}

function run(executable: string, args: string[], cwd: string, env: Record<string, string>, argv0 = "criu") {
	const result = spawnSync(executable, args, { cwd, env, argv0, encoding: "utf8", timeout: 20_000 });
	if (result.error) throw result.error;
	return { status: result.status, stdout: result.stdout, stderr: result.stderr };
}

function runProbe(args: string[], env: Record<string, string>, executable = probe): ProbeReport {
	const { status, stdout, stderr } = run(executable, args, hostile, env);
	expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
	return JSON.parse(stdout) as ProbeReport;
}

beforeAll(() => {
	writeHostileFiles();
	const workDir = join(ROOT, "build/entry.work");
	bundleExecutable(ROOT, join(import.meta.dir, "probe.ts"), unhardened);
	hardenExecutable({
		executable: unhardened,
		entryBlob: join(ROOT, "build/entry.bin"),
		originalEntryAt: findBlobSymbol(workDir, "cr_entry_original"),
		environAt: findBlobSymbol(workDir, "cr_entry_environ"),
		codeAt: findBlobSymbol(workDir, "cr_entry_code"),
		output: probe,
	});
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Not `--version` alone, which the entry code answers before there's a runtime. */
const ASK = ["check", "--version"];

describe("a hostile environment", () => {
	test("does not change what criu prints", () => {
		const plain = run(CRIU, ASK, "/", { PATH: "/usr/bin:/bin" });
		expect(plain.stdout).toContain("Version: ");
		const attacked = run(CRIU, ASK, hostile, { PATH: "/usr/bin:/bin", ...hostileVariables() });
		expect(attacked).toEqual(plain);
		expect(existsSync(marker)).toBe(false);
	});

	test.each(Object.entries(hostileVariables()))("%s alone changes nothing", (name, value) => {
		const plain = run(CRIU, ASK, "/", {});
		expect(run(CRIU, ASK, hostile, { [name]: value })).toEqual(plain);
		expect(existsSync(marker)).toBe(false);
	});

	test("would turn an unhardened program into bun (so the test can fail)", () => {
		const result = run(unhardened, ["--version"], hostile, { BUN_BE_BUN: "1" });
		expect(result.stdout.trim()).toBe(Bun.version);
	});

	test("leaves command line arguments to the program", () => {
		const args = ["--preload", "./evil.ts", "--inspect", "-e", "1", "run", "--version", "--bun"];
		const report = runProbe(args, hostileVariables());
		expect({ argv: report.argv, execArgv: report.execArgv }).toEqual({ argv: args, execArgv: [] });
	});

	test.each(["bun", "bunx", "node", "crit"])("does not matter when the program is called %s", (argv0) => {
		const plain = run(probe, ["x"], "/", {});
		expect(run(probe, ["x"], hostile, {}, argv0)).toEqual(plain);
	});
});

describe("the entry code", () => {
	test("hides the runtime's variables and leaves all others, in order", () => {
		const kept = { A: "1", BUNNY: "2", NODE: "3", MALLOC_ARENA_MAX: "1", Mallory: "4", bun: "5", Z: "" };
		const { environment } = runProbe([], { ...hostileVariables(), ...kept });
		expect(environment).toEqual([...Object.keys(kept), "HOME", "XDG_CONFIG_HOME", ...SETTINGS].sort());
	});

	test("copes with an empty environment and with nothing but hidden variables", () => {
		expect(runProbe([], {}).environment).toEqual(SETTINGS);
		expect(runProbe([], { BUN_A: "1", BUN_B: "2" }).environment).toEqual(SETTINGS);
	});

	test("knows every variable that the runtime asks for", () => {
		const spy = join(dir, "spy.so");
		const asked = join(dir, "asked");
		runTool(["gcc", "-Wall", "-Werror", "-shared", "-fPIC", "-o", spy, join(import.meta.dir, "getenv-spy.c"), "-ldl"]);
		const log = openSync(asked, "w");
		const env = { LD_PRELOAD: spy };
		const result = spawnSync(unhardened, [], { env, stdio: ["ignore", "ignore", "inherit", log] });
		closeSync(log);
		expect(result.status).toBe(0);
		const names = [...new Set(readFileSync(asked, "utf8").trim().split("\n"))];
		expect(names).toContain("BUN_BE_BUN");
		const steering = names.filter((name) => !HARMLESS.test(name));
		const { environment } = runProbe([], Object.fromEntries(steering.map((name) => [name, "0"])));
		expect(environment).toEqual(SETTINGS);
	});

	test("hides every variable of the runtime's own families that is named anywhere in it", () => {
		const families = /\b(?:BUN|NODE|JSC|WTF|ICU|MIMALLOC|SIMDUTF|UV)_[A-Za-z0-9_]{3,60}/g;
		const names = [...new Set(readFileSync(unhardened, "latin1").match(families) ?? [])];
		expect(names.length).toBeGreaterThan(100);
		const { environment } = runProbe([], Object.fromEntries(names.map((name) => [name, "1"])));
		expect(environment).toEqual(SETTINGS);
	});
});

describe("a working directory that has been deleted", () => {
	const runThere = (...args: string[]) => {
		const script = 'mkdir "$1" && cd "$1" && rmdir "$1" && shift && exec "$@"';
		const { status, stdout, stderr } = spawnSync("sh", ["-c", script, "sh", join(dir, "gone"), CRIU, ...args], {
			encoding: "utf8",
		});
		return { status, stdout, stderr };
	};

	test("keeps criu from nothing that doesn't lie in it", () => {
		const there = runThere("inspect", join(ROOT, "package.json"));
		expect(there.status).toBe(1);
		expect(there.stderr).toContain("package.json");
		expect(runThere("help", "zstd").status).toBe(0);
	});

	test("is none to make or find anything in", () => {
		const there = runThere("restore", "-D", "images");
		expect(there.status).toBe(1);
		expect(there.stderr).toContain("Couldn't open image dir images");
	});
});

describe("embedded C parts", () => {
	test("are read from inside the executable", () => {
		const report = runProbe([], {});
		expect(report.hostMagic).toBe("\x7fELF");
		expect(report.agentBytes).toBe(readFileSync(join(ROOT, "build/agent.bin")).length);
	});
});
