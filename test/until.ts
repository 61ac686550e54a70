// SPDX-License-Identifier: GPL-2.0-only
// Waiting for what no event tells.

/** Waits until a look finds something, and gives that. A crowded machine takes seconds for what is done in milliseconds. */
export async function until<T>(what: string, look: () => T | undefined | false, limitMs = 120_000): Promise<T> {
	const deadline = performance.now() + limitMs;
	for (;;) {
		const found = look();
		if (found !== undefined && found !== false) return found;
		if (performance.now() > deadline) throw new Error(`no sign of ${what}`);
		await Bun.sleep(1);
	}
}
