// SPDX-License-Identifier: GPL-2.0-only
// Load: the cost of each thread.

import type { Load } from "./load.ts";

export const threads1000: Load = {
	name: "threads1000",
	title: "1,000 threads",
	program: "threads.c",
	args: ["1000"],
	rounds: 7,
};
