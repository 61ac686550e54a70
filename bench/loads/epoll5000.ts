// SPDX-License-Identifier: GPL-2.0-only
// Load: the cost of each registration of an epoll, and of each event counter.

import type { Load } from "./load.ts";

export const epoll5000: Load = {
	name: "epoll5000",
	title: "5,000 epoll registrations",
	program: "epoll.c",
	args: ["5000"],
	rounds: 9,
};
