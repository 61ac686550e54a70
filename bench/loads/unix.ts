// SPDX-License-Identifier: GPL-2.0-only
// Load: the cost of each pair of sockets with data in both directions.

import type { Load } from "./load.ts";

export const unix: Load = {
	name: "unix",
	title: "2,000 pairs of unix sockets",
	program: "unix.c",
	args: ["2000"],
	rounds: 9,
};
