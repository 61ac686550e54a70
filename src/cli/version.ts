// SPDX-License-Identifier: GPL-2.0-only
// The versions that the program tells: CRIU's that it's compatible with, which callers compare, and its own.

export const COMPATIBLE_VERSION = "4.2";
/** The same as in package.json; a test compares them. */
export const PROGRAM_VERSION = "0.1.0";

/** What the build says of itself: a fingerprint of the sources, the C library inside; absent when run from source. */
declare const CRIU_BUILD: string | undefined;

function buildText(): string {
	const build = typeof CRIU_BUILD === "string" ? CRIU_BUILD : "from source";
	return `Build: ${build}, Bun ${Bun.version}, ${process.arch === "x64" ? "x86_64" : process.arch}`;
}

/** What `--version` prints. The first line has the form that runc, podman and go-criu parse. */
export function versionText(): string {
	return `Version: ${COMPATIBLE_VERSION}\ncriu in TypeScript ${PROGRAM_VERSION}, compatible with CRIU ${COMPATIBLE_VERSION}\n${buildText()}\n`;
}
