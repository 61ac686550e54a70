// SPDX-License-Identifier: GPL-2.0-only
// Load: how soon a program of 1 MiB runs when its memory comes afterwards.

import type { Load } from "./load.ts";

export const lazy1m: Load = {
	name: "lazy1m",
	title: "1 MiB, brought later",
	program: "memory.c",
	args: ["1"],
	rounds: 15,
	lazy: true,
};
