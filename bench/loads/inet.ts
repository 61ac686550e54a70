// SPDX-License-Identifier: GPL-2.0-only
// Load: the cost of each internet socket.

import type { Load } from "./load.ts";

export const inet: Load = {
	name: "inet",
	title: "2,500 internet sockets",
	program: "inet.c",
	args: ["2500"],
	rounds: 9,
};
