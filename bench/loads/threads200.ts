// SPDX-License-Identifier: GPL-2.0-only
// Load: the cost of each thread.

import type { Load } from "./load.ts";

export const threads200: Load = {
	name: "threads200",
	title: "200 threads",
	program: "threads.c",
	args: ["200"],
	rounds: 7,
};
