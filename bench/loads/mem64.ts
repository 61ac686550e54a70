// SPDX-License-Identifier: GPL-2.0-only
// Load: memory that still fits caches of pages and kernel work in one go.

import type { Load } from "./load.ts";

export const mem64: Load = {
	name: "mem64",
	title: "64 MiB touched",
	program: "memory.c",
	args: ["64"],
	copyMib: 64,
	rounds: 11,
};
