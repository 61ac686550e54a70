// SPDX-License-Identifier: GPL-2.0-only
// Load: descriptions that many tasks share.

import type { Load } from "./load.ts";

export const shared: Load = {
	name: "shared",
	title: "200 tasks sharing 1,000 files",
	program: "shared.c",
	args: ["200", "1000"],
	rounds: 5,
};
