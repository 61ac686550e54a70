// SPDX-License-Identifier: GPL-2.0-only
// Tests that only root can run; where they're skipped their titles say so.

import { describe } from "bun:test";

const isRoot = process.getuid?.() === 0;

/** A group of tests that need root. */
export function describeAsRoot(what: string, tests: () => void): void {
	describe.skipIf(!isRoot)(isRoot ? what : `${what} (skipped: needs root)`, tests);
}
