// SPDX-License-Identifier: GPL-2.0-only
// Load: files and pipes, as a server has them.

import type { Load } from "./load.ts";

export const pipes: Load = {
	name: "pipes",
	title: "2,000 files and 1,000 pipes",
	program: "pipes.c",
	args: ["2000", "1000"],
	rounds: 9,
};
