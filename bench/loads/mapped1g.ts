// SPDX-License-Identifier: GPL-2.0-only
// Load: 1 GiB that we map from the images; the original, which can't, copies it.

import type { Load } from "./load.ts";

export const mapped1g: Load = {
	name: "mapped1g",
	title: "1 GiB, mapped",
	program: "memory.c",
	args: ["1024"],
	rounds: 5,
	mapped: true,
};
