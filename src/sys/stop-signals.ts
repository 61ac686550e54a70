// SPDX-License-Identifier: GPL-2.0-only
// Signals by which a user ends a run: noted, so that the run can be rolled back. The second one ends us at once.

import { noteSignals } from "./host.ts";

const SIGNALS = [
	["SIGHUP", 1],
	["SIGINT", 2],
	["SIGTERM", 15],
] as const;
const MASK = SIGNALS.reduce((mask, [, number]) => mask | (1 << (number - 1)), 0);

/** Lives for ever: a signal handler writes to it. */
const place = new Int32Array(1);

/** From now on the signals are noted. */
export function watchStopSignals(): void {
	place[0] = 0;
	noteSignals(place, MASK);
}

/** From now on they do again what they do by default. */
export function endSignalWatch(): void {
	noteSignals(undefined, MASK);
}

/** The name of a signal that came; undefined when none did. */
export function findStopSignal(): string | undefined {
	const number = place[0];
	return number === 0 ? undefined : SIGNALS.find(([, other]) => other === number)?.[0];
}
