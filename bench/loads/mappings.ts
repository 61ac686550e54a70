// SPDX-License-Identifier: GPL-2.0-only
// Load: the cost of each mapping.

import type { Load } from "./load.ts";

export const mappings: Load = {
	name: "mappings",
	title: "10,000 mappings",
	program: "mappings.c",
	args: ["10000"],
	rounds: 9,
};
