// SPDX-License-Identifier: GPL-2.0-only
// criu is killed, or fails, in the stages of a dump and a restore of programs with terminals, sockets, named pipes, watches and
// shared segments: a dump leaves all of it as it was, a restore leaves nothing behind, and the next one works.

import { test } from "bun:test";
import { describeAsRoot } from "../as-root.ts";
import { limitJobs } from "../matrix.ts";
import { playCycleFaults } from "./scenario-faults.ts";

const inTurn = limitJobs(Number(process.env["CRIU_TEST_JOBS"] ?? "3"));

const POINTS = [
	"dump:checked:kill",
	"agent:done:kill",
	"dump:collected:error",
	"dump:images:kill",
	"restore:built:error",
	"restore:built:kill",
	"restore:left:kill",
];

const SCENARIOS = [
	"tty_unread",
	"unix_tree_in_flight",
	"unix_deleted_names",
	"inet_udp_queue",
	"tree_fifo_between",
	"inotify_deleted",
	"tree_sysv_shm_parts",
];

describeAsRoot("all stays as it was, or comes in whole, when criu ends in a stage", () => {
	for (const name of SCENARIOS)
		test.concurrent(`of a program: ${name}`, () => inTurn(() => playCycleFaults(name, POINTS)), 600_000);
});
