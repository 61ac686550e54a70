// SPDX-License-Identifier: GPL-2.0-only
// Load: the cost of each open file.

import type { Load } from "./load.ts";

export const files: Load = {
	name: "files",
	title: "1,000 open files",
	program: "files.c",
	args: ["1000"],
	rounds: 9,
};
