// SPDX-License-Identifier: GPL-2.0-only
// Turns the TypeScript into one executable with `bun build --compile`. Nothing of the working directory is read at
// run time: no .env, bunfig.toml, tsconfig.json or package.json.

import { spawnSync } from "node:child_process";
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

/** Identifiers are not minified (error classes show their names) and a source map is embedded: readable stack traces. */
export const BUNDLE_FLAGS = [
	...[
		"--compile",
		"--bytecode",
		"--format=esm",
		"--minify-syntax",
		"--minify-whitespace",
		"--sourcemap",
		"--splitting",
		"--target=bun",
	],
	...["--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig"],
	...["--no-compile-autoload-tsconfig", "--no-compile-autoload-package-json"],
	...["--reject-unresolved", "--env=disable"],
];

/** Bundles `entry` and all that it imports into the executable `output`; the running bun is its runtime. `build` is shown by --version. */
export function bundleExecutable(root: string, entry: string, output: string, build?: string): void {
	const workDir = `${output}.${process.pid}.tmp`; // the file's name shows in process.argv, so it must be a fixed one
	const draft = join(workDir, "criu");
	const definitions = build === undefined ? [] : ["--define", `CRIU_BUILD=${JSON.stringify(build)}`];
	const argv = ["build", ...BUNDLE_FLAGS, ...definitions, `--root=${root}`, entry, "--outfile", draft];
	mkdirSync(workDir, { recursive: true });
	try {
		const result = spawnSync(process.execPath, argv, {
			cwd: workDir, // bun's draft lies there, and stays when it's killed
			encoding: "utf8",
			env: { PATH: process.env["PATH"], HOME: process.env["HOME"], TMPDIR: process.env["TMPDIR"] },
		});
		if (result.status !== 0) throw new Error(`bun ${argv.join(" ")}\n${result.stdout}${result.stderr}`);
		renameSync(draft, output);
	} finally {
		rmSync(workDir, { recursive: true, force: true });
	}
}
