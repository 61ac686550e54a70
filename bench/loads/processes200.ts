// SPDX-License-Identifier: GPL-2.0-only
// Load: the cost of each process.

import type { Load } from "./load.ts";

export const processes200: Load = {
	name: "processes200",
	title: "200 processes",
	program: "processes.c",
	args: ["200"],
	rounds: 7,
};
