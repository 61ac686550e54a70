// SPDX-License-Identifier: GPL-2.0-only
// Random images of all kinds: the same JSON as the peer's crit makes, and the same bytes back. Images of programs are
// compared by the matrix, in the steps "decode".

import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeRandom } from "../images/random-message.ts";
import { compareCrit } from "../matrix/crit.ts";
import { CritReader } from "../matrix/peer.ts";
import { findPeer } from "../peer.ts";
import { writeImages } from "./random-images.ts";

const peer = findPeer();
const title = "missing" in peer ? ` (${peer.missing})` : "";

test.skipIf("missing" in peer)(`random images of all kinds are shown as by the peer's crit${title}`, async () => {
	if ("missing" in peer) return;
	const dir = mkdtempSync(join(tmpdir(), "crit-random-"));
	const reader = new CritReader(peer);
	try {
		const folder = join(dir, "images");
		writeImages(folder, makeRandom(Number(process.env["CRIT_SEED"] ?? 6)), 4);
		const answer = await reader.read(folder);
		expect(answer.bad).toEqual([]);
		expect(Object.keys(answer.digests).length).toBeGreaterThan(200);
		expect(compareCrit(folder, answer)).toEqual([]);
	} finally {
		await reader.close();
		rmSync(dir, { recursive: true, force: true });
	}
});
