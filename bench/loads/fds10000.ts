// SPDX-License-Identifier: GPL-2.0-only
// Load: many descriptors in one task.

import type { Load } from "./load.ts";

export const fds10000: Load = {
	name: "fds10000",
	title: "10,000 descriptors",
	program: "files.c",
	args: ["10000"],
	rounds: 5,
};
