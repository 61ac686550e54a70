// SPDX-License-Identifier: GPL-2.0-only
// Makes a Debian package and SHA256SUMS from what the build has put into dist:
// `bun scripts/package.ts [--out FOLDER] [--compression xz|zstd|gzip]`.

import { createHash } from "node:crypto";
import {
	copyFileSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	statSync,
	symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { parseArgs } from "node:util";
import manifest from "../package.json" with { type: "json" };
import { COMPATIBLE_VERSION } from "../src/cli/version.ts";
import { runTool } from "./build/c-parts.ts";
import { writeAtomically } from "./build/stage.ts";

const ROOT = join(import.meta.dir, "..");
const dist = (...parts: string[]) => join(ROOT, "dist", ...parts);

export interface PackageOptions {
	/** Where the package goes. */
	out: string;
	compression: string;
}

/** Version of the package: it takes the place of CRIU's of the same version, and of older ones. */
export const PACKAGE_VERSION = `${COMPATIBLE_VERSION}+ts${manifest.version}`;

/** Files of the package, from where to where. */
const FILES: readonly (readonly [from: string, to: string, mode: number])[] = [
	[dist("criu"), "usr/sbin/criu", 0o755],
	[dist("completions/criu.bash"), "usr/share/bash-completion/completions/criu", 0o644],
	[dist("completions/_criu"), "usr/share/zsh/vendor-completions/_criu", 0o644],
	[dist("completions/criu.fish"), "usr/share/fish/vendor_completions.d/criu.fish", 0o644],
	[dist("completions/crit.bash"), "usr/share/bash-completion/completions/crit", 0o644],
	[dist("completions/_crit"), "usr/share/zsh/vendor-completions/_crit", 0o644],
	[dist("completions/crit.fish"), "usr/share/fish/vendor_completions.d/crit.fish", 0o644],
	[join(ROOT, "README.md"), "usr/share/doc/criu/README.md", 0o644],
];

function put(root: string, path: string, content: string | Uint8Array): void {
	writeAtomically(join(root, path), content, 0o644);
}

function control(installedKiB: number): string {
	return `Package: criu
Version: ${PACKAGE_VERSION}
Architecture: amd64
Maintainer: criu in TypeScript <root@localhost>
Installed-Size: ${installedKiB}
Section: admin
Priority: optional
Conflicts: python3-pycriu (<< ${COMPATIBLE_VERSION}~)
Homepage: https://criu.org
Description: checkpoint and restore of Linux programs
 Freezes a running program to disk and brings it back, with its memory, open files and
 sockets. Speaks CRIU's command line and writes CRIU's images.
 .
 One executable that needs no library: where there is no glibc, it brings its own.
`;
}

/** Size of all files below a folder, in KiB as dpkg counts. */
function countKiB(folder: string): number {
	const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
	const files = entries.filter((entry) => entry.isFile());
	return files.reduce((sum, file) => sum + Math.ceil(statSync(join(file.parentPath, file.name)).size / 1024), 0);
}

/** Builds the package; gives its path. @throws when dist isn't complete or dpkg-deb is missing */
export function buildPackage({ out, compression }: PackageOptions): string {
	const work = mkdtempSync(join(tmpdir(), "criu-deb-"));
	try {
		const root = join(work, "root");
		for (const [from, to] of FILES) {
			mkdirSync(dirname(join(root, to)), { recursive: true });
			copyFileSync(from, join(root, to));
		}
		mkdirSync(join(root, "usr/bin"), { recursive: true });
		symlinkSync("../sbin/criu", join(root, "usr/bin/crit"));
		for (const page of readdirSync(dist()).filter((name) => /\.[18]$/.test(name))) {
			put(root, `usr/share/man/man${page.at(-1)}/${page}.gz`, Bun.gzipSync(readFileSync(dist(page)), { level: 9 }));
		}
		put(root, "usr/share/doc/criu/copyright", readFileSync(dist("NOTICES")));
		put(root, "usr/share/doc/criu/changelog.gz", Bun.gzipSync(readFileSync(join(ROOT, "CHANGELOG.md")), { level: 9 }));
		put(root, "DEBIAN/control", control(countKiB(root)));
		runTool(["chmod", "-R", "u=rwX,go=rX", root]);
		for (const [, to, mode] of FILES) runTool(["chmod", mode.toString(8), join(root, to)]);
		mkdirSync(out, { recursive: true });
		const file = join(out, `criu_${PACKAGE_VERSION}_amd64.deb`);
		runTool([
			"dpkg-deb",
			"--root-owner-group",
			`-Z${compression}`,
			...(compression === "gzip" ? ["-z1"] : []),
			"--build",
			root,
			file,
		]);
		return file;
	} finally {
		rmSync(work, { recursive: true, force: true });
	}
}

/** The lines of SHA256SUMS, as sha256sum writes and checks them; names are relative to their folder. */
export function sumsOf(files: readonly string[]): string {
	return files
		.map((file) => `${createHash("sha256").update(readFileSync(file)).digest("hex")}  ${basename(file)}\n`)
		.join("");
}

if (import.meta.main) {
	const { values } = parseArgs({
		options: { out: { type: "string", default: dist() }, compression: { type: "string", default: "xz" } },
	});
	const file = buildPackage(values);
	writeAtomically(join(values.out, "SHA256SUMS"), sumsOf([dist("criu"), file, dist("criu.8"), dist("NOTICES")]));
	console.log(`package: ${file} (${Math.round(statSync(file).size / 1e6)} MB)`);
}
