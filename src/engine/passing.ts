// SPDX-License-Identifier: GPL-2.0-only
// What stands against a dump and passes by itself: how long the tree runs on before it's looked at again.

import { AvoidableError, type CriuError, PassingError } from "../errors.ts";

/** How long a tree runs on, in milliseconds, when all that stands against its dump is what passes. */
const PASSING_MS = [1, 2, 5, 10, 20, 50, 100, 200, 400];

/** Of these, when it's only what can be done without. */
const AVOIDABLE_TURNS = 3;

/** How long to let the tree run on, when something stands against its dump and all of it goes by. */
export function choosePause(blockers: readonly CriuError[], turn: number): number | undefined {
	if (blockers.length === 0 || !blockers.every((one) => one instanceof PassingError)) return undefined;
	if (turn >= AVOIDABLE_TURNS && findRefusals(blockers).length === 0) return undefined;
	return PASSING_MS[turn];
}

/** What a dump can't be made with. */
export function findRefusals(blockers: readonly CriuError[]): CriuError[] {
	return blockers.filter((one) => !(one instanceof AvoidableError));
}
