// SPDX-License-Identifier: GPL-2.0-only

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readCommandLine, refuseLaterOptions } from "../../src/cli/command-line.ts";
import { defaultOptions, type Options } from "../../src/options.ts";

let dir: string;
beforeAll(() => {
	dir = mkdtempSync(join(tmpdir(), "criu-cmdline-"));
	mkdirSync(join(dir, ".criu"));
});
afterAll(() => rmSync(dir, { recursive: true }));

function read(line: string, env: Record<string, string> = {}) {
	return readCommandLine(["--no-default-config", ...line.split(" ").filter((word) => word !== "")], env);
}

/** Options that differ from the defaults. */
function changed(line: string): Partial<Options> {
	const defaults = defaultOptions();
	return Object.fromEntries(
		Object.entries(read(line).options).filter(([key, value]) => !Bun.deepEquals(value, defaults[key as keyof Options])),
	);
}

describe("readCommandLine", () => {
	test.each<[string, Partial<Options>]>([
		["dump", {}],
		["dump -t 5 -D /x -W /y -o l", { pid: 5, imagesDir: "/x", workDir: "/y", logFile: "l" }],
		["dump -v", { logLevel: 3 }],
		["dump -vvv", { logLevel: 5 }],
		["dump -v4", { logLevel: 4 }],
		["dump -v4 -v", { logLevel: 5 }],
		["dump -vx", { logLevel: 0 }],
		["dump --verbosity=0", { logLevel: 0 }],
		["dump -R -s", { leaveStopped: true }],
		["dump -s -R", { leaveRunning: true }],
		["dump -j --no-shell-job", {}],
		["restore -d --no-daemon", {}],
		["dump --ghost-limit 5M", { ghostLimit: 5 * 1024 * 1024 }],
		["dump --ghost-limit 2G", { ghostLimit: 2 ** 31 }],
		["dump --ghost-limit 5k", { ghostLimit: 5 }],
		["dump --timeout -1", { timeoutSec: -1 }],
		["dump --no-ghost-fiemap", { ghostFiemap: false }],
		["dump --network-lock none", { networkLock: "skip" }],
		["dump --file-validation filesize", { fileValidation: "filesize" }],
		["dump --cpu-cap", { cpuCap: { fpu: true, ins: true, cpu: true, image: true } }],
		["dump --cpu-cap=none", { cpuCap: { fpu: false, ins: false, cpu: false, image: false } }],
		["dump --cpu-cap=^fpu,cpu", { cpuCap: { fpu: false, ins: true, cpu: true, image: true } }],
		["dump -x12,34", { extUnixSk: true, external: ["unix[12]", "unix[34]"] }],
		["dump -M a:b:c", { external: ["mnt[a]:b:c"] }],
		["dump --external mnt[]:m", { autoExtMnt: true, extMasters: true }],
		["restore --veth-pair a=b@br", { external: ["veth[a]:b@br"] }],
		["restore --inherit-fd fd[1]:pipe:[5]", { inheritFds: [{ fd: 1, key: "pipe:[5]" }] }],
		["restore -J user:/proc,1,2", { joinNamespaces: [{ kind: "user", target: "/proc", uid: 1, gid: 2 }] }],
		["dump --manage-cgroups=ignore", { manageCgroups: "ignore" }],
		["dump --cgroup-root cpu:/a --cgroup-root cpu:/b", { cgroupRoots: [{ controllers: "cpu", path: "/b" }] }],
		["check --all", { checkExtra: true, checkExperimental: true }],
		["check --pid 7", { checkPid: 7 }],
		["restore --pid f", { pidfile: "f" }],
		["restore --exec-cmd -- sh -c true", { execCmd: ["sh", "-c", "true"] }],
	])("reads: %s", (line, expected) => {
		expect(changed(line)).toEqual(expected);
	});

	test.each([
		["dump -t 0", "invalid argument for -t: 0"],
		["dump --tree abc", "invalid argument for -t: abc"],
		["dump -t 99999999999", "invalid argument for -t: 99999999999"],
		["dump -t 5x", "invalid argument for -t: 5x"],
		["dump --port 0", "invalid argument for --port: 0"],
		["dump --port x", "invalid argument for --port: x"],
		["dump -x0", "invalid argument for --ext-unix-sk: 0"],
		["dump --empty-ns pid", "invalid argument for --empty-ns: pid"],
		["restore -J pid:5", "invalid argument for --join-ns: pid:5"],
		["restore -J net:/f,1,2", "invalid argument for --join-ns: net:/f,1,2"],
		["restore -J net:70000", "invalid argument for --join-ns: net:70000"],
		["dump --cpu-cap=foo", "Unknown FPU mode `foo' selected"],
		["dump --manage-cgroups=foo", "unknown cgroup mode: foo"],
		["dump --file-validation x", "unknown file validation method: x"],
		["dump --ms", "--ms is gone"],
		["dump --nope", "unrecognized option '--nope'"],
	])("refuses: %s", (line, text) => {
		expect(() => read(line)).toThrow(text);
	});

	test("tells the first mistake", () => {
		expect(() => read("dump -t 0 --nope")).toThrow("for -t");
		expect(() => read("dump --nope -t 0")).toThrow("--nope");
	});

	test("sees help before any mistake, version in its place", () => {
		expect(read("dump --nope -h").answer).toBe("help");
		expect(read("dump -V --nope").answer).toBe("version");
		expect(() => read("dump --nope -V")).toThrow();
	});

	test("lets the command line win over files, and collects lists", () => {
		const conf = join(dir, "a.conf");
		writeFileSync(conf, "log-file from-file\nshell-job\nskip-mnt /a\n");
		const { options } = readCommandLine(["dump", "--config", conf, "-o", "typed", "--skip-mnt", "/b"], {});
		expect(options).toMatchObject({ logFile: "typed", shellJob: true, skipMnt: ["/a", "/b"] });
	});

	test("reads the user's file, and not when told not to", () => {
		writeFileSync(join(dir, ".criu/default.conf"), "tcp-close\n");
		expect(readCommandLine(["dump"], { HOME: dir }).options.tcpClose).toBe(true);
		expect(read("dump", { HOME: dir }).options.tcpClose).toBe(false);
		expect(readCommandLine(["dump", "--config", "/missing"], { HOME: dir }).options.tcpClose).toBe(false);
	});

	test("shows help although a file is broken", () => {
		const conf = join(dir, "broken.conf");
		writeFileSync(conf, 'log-file "\n');
		expect(readCommandLine(["--config", conf, "-h"], {}).answer).toBe("help");
		expect(() => readCommandLine(["--config", conf, "dump"], {})).toThrow("Unsupported configuration file format");
	});

	test("takes CRIU_DEPRECATED for --deprecated", () => {
		expect(read("restore", { CRIU_DEPRECATED: "" }).options.deprecated).toBe(true);
	});
});

describe("refuseLaterOptions", () => {
	const refuse = (line: string, letter: string) => () => refuseLaterOptions(read(line), letter);

	test.each([
		["dump -L /nonexistent", "D"],
		["dump --manage-cgroups", "D"],
		["dump --cgroup-root /x", "D"],
		["dump --manage-cgroups=full", "D"],
		["dump --external net[12]:key", "D"],
		["dump --external net[12]:key --external mnt[/a]:b", "D"],
		["restore -J net:5", "R"],
	])("refuses: %s", (line, letter) => {
		expect(refuse(line, letter)).toThrow("this version of criu cannot do --");
	});

	test.each([
		["dump --tcp-established --file-locks -x --tls-cacert f", "D"],
		["dump --manage-cgroups=ignore", "D"],
		["dump --manage-cgroups=full --manage-cgroups=none", "D"],
		["restore --log-pid", "R"],
		["restore --log-pid --no-log-pid", "R"],
		["dump --stream", "D"],
		["dump --cgroup-root /x --manage-cgroups=ignore", "D"],
		["restore --cgroup-root /x --manage-cgroups=soft -D /nonexistent", "R"],
		["dump --external mnt[/a]:b", "D"],
		["check --lazy-pages", "C"],
		["dump -J net:5", "D"],
		["dump -L /proc", "D"],
	])("lets pass: %s", (line, letter) => {
		expect(refuse(line, letter)).not.toThrow();
	});
});
