// SPDX-License-Identifier: GPL-2.0-only
// Load: the fixed cost of a dump and a restore.

import type { Load } from "./load.ts";

export const small: Load = {
	name: "small",
	title: "small C process",
	program: "small.c",
	args: [],
	rounds: 25,
};
