// SPDX-License-Identifier: GPL-2.0-only
// Load: the cost of each process.

import type { Load } from "./load.ts";

export const processes1000: Load = {
	name: "processes1000",
	title: "1,000 processes",
	program: "processes.c",
	args: ["1000"],
	rounds: 7,
};
