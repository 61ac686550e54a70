// SPDX-License-Identifier: GPL-2.0-only
// Runs a test's image streamer (test/streams/streamer.ts) beside criu; what it captures and serves is in `store` of the images directory.

import { mkdirSync } from "node:fs";
import { join } from "node:path";

const program = join(import.meta.dir, "../streams/streamer.ts");

/**
 * Starts a streamer, does what needs it once it's ready, and waits for its end. `fault`: see there.
 *
 * @throws Error when it fails, unless it was to
 */
export async function withStreamer<T>(
	mode: "capture" | "serve",
	images: string,
	use: () => Promise<T>,
	fault = "",
): Promise<T> {
	const store = join(images, "store");
	mkdirSync(store, { recursive: true });
	const child = Bun.spawn([process.execPath, program, mode, images, store, fault], {
		stdin: "ignore",
		stdout: "pipe",
		stderr: "pipe",
	});
	try {
		const first = await child.stdout.getReader().read();
		if (first.done) throw new Error(`the streamer doesn't start: ${await new Response(child.stderr).text()}`);
		const result = await use();
		if ((await child.exited) !== 0 && fault === "")
			throw new Error(`the streamer failed: ${await new Response(child.stderr).text()}`);
		return result;
	} finally {
		child.kill(9);
		await child.exited;
	}
}
