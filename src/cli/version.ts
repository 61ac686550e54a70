// SPDX-License-Identifier: GPL-2.0-only
// The versions that the program tells: CRIU's that it's compatible with, which callers compare, and its own.

export const COMPATIBLE_VERSION = "4.2";
/** The same as in package.json; a test compares them. */
export const PROGRAM_VERSION = "0.1.0";

/** What `--version` prints. The first line has the form that runc, podman and go-criu parse. */
export function versionText(): string {
	return `Version: ${COMPATIBLE_VERSION}\ncriu in TypeScript ${PROGRAM_VERSION}, compatible with CRIU ${COMPATIBLE_VERSION}\n`;
}
