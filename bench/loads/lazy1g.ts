// SPDX-License-Identifier: GPL-2.0-only
// Load: how soon a program of 1 GiB runs when its memory comes afterwards.

import type { Load } from "./load.ts";

export const lazy1g: Load = {
	name: "lazy1g",
	title: "1 GiB, brought later",
	program: "memory.c",
	args: ["1024"],
	rounds: 7,
	lazy: true,
};
