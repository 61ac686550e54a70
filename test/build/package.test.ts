// SPDX-License-Identifier: GPL-2.0-only
// What is delivered beside the executable: completions, notices, and a Debian package that installs and removes cleanly.

import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runTool } from "../../scripts/build/c-parts.ts";
import { bashCompletion, completions, fishCompletion, zshCompletion } from "../../scripts/gen-completions.ts";
import { writeNotices } from "../../scripts/notices.ts";
import { buildPackage, PACKAGE_VERSION, sumsOf } from "../../scripts/package.ts";
import { optionTable } from "../../src/cli/option-table.ts";

const dir = mkdtempSync(join(tmpdir(), "criu-package-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** What bash offers for the last of these words. */
function completeInBash(...words: string[]): string[] {
	const script = `
		source /dev/stdin
		COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
		_criu 2>/dev/null
		printf '%s\\n' "\${COMPREPLY[@]}"`;
	const run = Bun.spawnSync(["bash", "-c", script, "bash", "criu", ...words], { stdin: Buffer.from(bashCompletion()) });
	return run.stdout
		.toString()
		.split("\n")
		.filter((word) => word !== "");
}

describe("completion", () => {
	test.each<[string[], string[]]>([
		[["du"], ["dump"]],
		[
			["cpuinfo", ""],
			["dump", "check"],
		],
		[
			["dump", "--tcp"],
			["--tcp-established", "--tcp-close"],
		],
		[["restore", "--ghost"], []],
		[
			["dump", "--network-lock", ""],
			["iptables", "nftables", "skip"],
		],
		[["dump", "--network-lock", "=", "n"], ["nftables"]],
		[["check", "--feature", "mnt_"], ["mnt_id"]],
		[["restore", "--no-shell"], ["--no-shell-job"]],
		[["restore", "-D", "/et"], ["/etc"]],
	])("in bash of %j", (words, offered) => {
		expect(completeInBash(...words).sort()).toEqual([...offered].sort());
	});

	test("names every option in every shell", () => {
		const lacking = (text: string, form: (name: string) => string) =>
			optionTable.map((spec) => spec.name).filter((name) => !text.includes(form(name)));
		expect(lacking(bashCompletion(), (name) => `--${name}`)).toEqual([]);
		expect(lacking(zshCompletion(), (name) => `--${name}`)).toEqual([]);
		expect(lacking(fishCompletion(), (name) => `-l ${name}`)).toEqual([]);
	});

	test.each(
		[
			["bash", "criu.bash", "-n"],
			["zsh", "_criu", "-n"],
			["fish", "criu.fish", "--no-execute"],
			["bash", "crit.bash", "-n"],
			["zsh", "_crit", "-n"],
			["fish", "crit.fish", "--no-execute"],
		].filter(([shell = ""]) => Bun.which(shell) !== null) as [string, string, string][],
	)("is understood by %s: %s", (shell, name, check) => {
		const file = join(dir, name);
		writeFileSync(file, completions().find(([own]) => own === name)?.[1] ?? "");
		expect(runTool([shell, check, file])).toBe("");
	});
});

describe("notices", () => {
	test("name what is embedded", () => {
		const text = writeNotices("Debian GLIBC 1.2-3");
		for (const part of ["Debian GLIBC 1.2-3", `runtime, ${Bun.version}`, "LGPL-2.1-or-later", "protobuf-es", "MIT"]) {
			expect(text).toContain(part);
		}
		expect(writeNotices(undefined)).not.toContain("GNU C Library");
	});
});

describe("the Debian package", () => {
	test("installs, runs and is removed without a trace", () => {
		const file = buildPackage({ out: dir, compression: "gzip" });
		const root = join(dir, "root");
		for (const name of ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/log", "proc", "dev"]) {
			mkdirSync(join(root, name), { recursive: true });
		}
		writeFileSync(join(root, "var/lib/dpkg/status"), "");
		const list = () => readdirSync(root, { recursive: true }).map(String).sort();
		const before = list();
		const dpkg = (...args: string[]) =>
			runTool(["dpkg", `--root=${root}`, "--force-not-root", `--log=${join(dir, "dpkg.log")}`, ...args]);
		dpkg("--install", file);
		expect(dpkg("--status", "criu")).toContain(`Version: ${PACKAGE_VERSION}`);
		const run = Bun.spawnSync(
			["unshare", "-m", "sh", "-c", 'mount -t proc proc "$1/proc" && exec chroot "$1" criu -V', "sh", root],
			{
				env: { PATH: "/usr/sbin:/usr/bin:/bin" },
			},
		);
		expect(run.stdout.toString()).toStartWith("Version: 4.2\n");
		for (const name of ["share/man/man8/criu.8.gz", "share/doc/criu/copyright", "bin/crit"]) {
			expect(existsSync(join(root, "usr", name))).toBe(true);
		}
		dpkg("--purge", "criu");
		expect(list().filter((name) => !before.includes(name) && !name.startsWith("var/lib/dpkg"))).toEqual([]);
	}, 300_000);

	test("comes with sums that sha256sum checks", () => {
		writeFileSync(join(dir, "a"), "a");
		writeFileSync(join(dir, "SHA256SUMS"), sumsOf([join(dir, "a")]));
		const run = Bun.spawnSync(["sha256sum", "--check", "SHA256SUMS"], { cwd: dir });
		expect(run.exitCode).toBe(0);
		expect(readFileSync(join(dir, "SHA256SUMS"), "utf8")).toContain("  a\n");
	});
});
