// SPDX-License-Identifier: GPL-2.0-only
// Load: the speed at which memory moves.

import type { Load } from "./load.ts";

export const mem1g: Load = {
	name: "mem1g",
	title: "1 GiB touched",
	program: "memory.c",
	args: ["1024"],
	copyMib: 1024,
	rounds: 7,
	snapshot: true,
};
