// SPDX-License-Identifier: GPL-2.0-only
// The program as a whole, as a child process: texts, streams and exit codes of what goes wrong before an engine runs.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MAIN = join(import.meta.dir, "../../src/main.ts");
let dir: string;
beforeEach(() => {
	dir = mkdtempSync(join(tmpdir(), "criu-main-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

function criu(args: string[], env: Record<string, string> = {}) {
	const child = Bun.spawnSync([process.execPath, MAIN, ...args], {
		cwd: dir,
		env: { HOME: dir, PATH: "/usr/bin:/bin", ...env },
	});
	return { code: child.exitCode, out: child.stdout.toString(), err: child.stderr.toString() };
}

describe("criu", () => {
	test("without a command prints usage on stdout and fails", () => {
		const { code, out, err } = criu([]);
		expect({ code, err }).toEqual({ code: 1, err: "" });
		expect(out).toContain("Usage:\n  criu dump -t PID");
	});

	test.each<[string[]]>([[["-V"]], [["--version"]], [["dump", "-V"]], [["--vers"]]])(
		"answers %j with the version",
		(args) => {
			const { code, out } = criu(args);
			expect(code).toBe(0);
			expect(out).toStartWith("Version: 4.2\n");
		},
	);

	test.each<[string[]]>([[["-h"]], [["dump", "--nope", "--help"]]])("answers %j with help", (args) => {
		const { code, out, err } = criu(args);
		expect({ code, err }).toEqual({ code: 0, err: "" });
		expect(out).toContain("--leave-running");
		expect(out).toContain("clone3_set_tid");
	});

	test.each<[string[], string, boolean]>([
		[["--nope"], "criu: unrecognized option '--nope'\n", true],
		[["dump", "--tcp"], "criu: option '--tcp' is ambiguous; possibilities: '--tcp-established' '--tcp-close'\n", true],
		[["dump", "-t"], "criu: option requires an argument -- 't'\n", true],
		[["melt"], "error: unknown command: melt; remedy: ", true],
		[["restore", "a", "b"], "error: excessive parameter(s) for command restore: a b; remedy: ", true],
		[["dump", "-t", "0"], "error: invalid argument for -t: 0; remedy: ", false],
		[["dump", "--file-validation", "x"], "error: unknown file validation method: x; remedy: ", true],
		[["dump", "--exec-cmd", "--", "true"], "error: --exec-cmd is for the restore command only; remedy: ", true],
		[["restore", "--exec-cmd"], "error: --exec-cmd requires a command; remedy: ", true],
		[["restore", "-S"], "error: --restore-sibling works only together with --restore-detached; remedy: ", false],
		[["restore", "-d", "--exec-cmd", "--", "true"], "error: --exec-cmd cannot be used together with", true],
		[["check", "--stream"], "error: --stream cannot be used with the check command; remedy: ", true],
		[["dump", "-t", "5", "--inherit-fd", "fd[1]:x"], "error: --inherit-fd is restore-only option; remedy: ", false],
		[["cpuinfo", "check", "--stream"], "error: --stream cannot be used with the cpuinfo check command; remedy", true],
		[["dump", "-t", "5", "-L", "/x"], "error: this version of criu cannot do --libdir=/x yet; remedy: ", false],
		[["swrk"], "Usage: criu swrk <fd>\n", false],
		[["swrk", "3"], "error: descriptor 3 is no connected unix socket of type SOCK_SEQPACKET; remedy: ", false],
		[["service", "--address", "/nonexistent/s"], "error: the service socket can't be made at /nonexistent/s", false],
		[["compel", "x"], "error: compel is not built into this version of criu\n", false],
		[["dump", "-D", "/nonexistent"], "error: Couldn't open image dir /nonexistent: ENOENT", false],
		[["dump", "-D", "/proc/self/stat"], "error: Couldn't open image dir /proc/self/stat: it is not a dir", false],
		[["dump", "-W", "/nonexistent"], "error: Couldn't open work dir /nonexistent: ENOENT", false],
		[["dump", "-o", "no/such.log"], "error: Can't create log file ", false],
	])("refuses %j", (args, text, usage) => {
		const { code, out, err } = criu(args);
		expect(code).toBe(1);
		expect(err).toStartWith(text);
		expect(out.includes("Usage:")).toBe(usage);
	});

	test.each([["exec"], ["show"]])("says that %s is gone", (word) => {
		const { code, err } = criu([word]);
		expect(code).toBe(255);
		expect(err).toContain("is gone");
	});

	test("writes a private log into the work directory, the same line to stderr", () => {
		mkdirSync(join(dir, "images"));
		mkdirSync(join(dir, "work"));
		const { code, err } = criu(["dump", "-D", "images", "-W", "work", "-o", "d.log", "-v4", "-t", "5", "-L", "/x"]);
		expect(code).toBe(1);
		expect(err).toBe(
			"error: this version of criu cannot do --libdir=/x yet; remedy: leave --libdir out, or use a version that has it " +
				"[OPTION_NOT_IN_VERSION]\n",
		);
		const logFile = join(dir, "work/d.log");
		expect(statSync(logFile).mode & 0o777).toBe(0o600);
		const lines = readFileSync(logFile, "utf8").trimEnd().split("\n");
		expect(lines[0]).toMatch(/^\(00\.\d{6}\) Version: 4\.2/);
		expect(lines.at(-2)).toMatch(
			/^\(\d\d\.\d{6}\) Error \(command-line\.ts:\d+\): this version of criu cannot do .*\[OPTION_NOT_IN_VERSION\]$/,
		);
		expect(lines.at(-1)).toMatch(/Error \(run\.ts:\d+\): Dumping FAILED\.$/);
	});

	test("says an error once when the log is on stderr too", () => {
		const { err } = criu(["restore", "-J", "net:5"]);
		expect(err.match(/cannot do --join-ns/g)).toHaveLength(1);
		expect(err).toMatch(/Error \(run\.ts:\d+\): Restoring FAILED\.\n$/);
	});

	test("names the configuration file when that asks for too much", () => {
		writeFileSync(join(dir, "c"), "libdir /x\n");
		expect(criu(["dump", "--config", "c"]).err).toContain("cannot do --libdir=/x yet (set by a configuration file)");
		writeFileSync(join(dir, "c"), 'log-file "x\n');
		expect(criu(["dump"], { CRIU_CONFIG_FILE: join(dir, "c") }).err).toContain("Unsupported configuration file format");
	});

	test("creates nothing when the call is wrong", () => {
		criu(["dump", "-o", "x.log", "extra"]);
		expect(existsSync(join(dir, "x.log"))).toBe(false);
	});

	test("checks this host", () => {
		expect(criu(["check", "--feature", "external_net_ns"])).toMatchObject({
			code: 0,
			out: "external_net_ns is supported\n",
		});
		const unknown = criu(["check", "--feature", "list"]);
		expect(unknown).toMatchObject({ code: 1, out: "" });
		expect(unknown.err).toContain("error: Unknown feature list; remedy: ");
	});

	test("closes an inherited descriptor only", () => {
		const { code, err } = criu(["--close", "5", "-V"]);
		expect(code).toBe(0);
		expect(err).toContain("no such inherited descriptor");
	});
});
