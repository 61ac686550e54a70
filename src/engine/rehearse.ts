// SPDX-License-Identifier: GPL-2.0-only
// Code that runs for the first time takes several times as long. Where a tree is to stand still as briefly as possible, what is
// done to it meanwhile is done to a child of ours first.

import { messageOf } from "../errors.ts";
import { withoutFaults } from "../fault.ts";
import type { ImageChannel } from "../images/channel.ts";
import { ImageDir } from "../images/index.ts";
import { O_WRONLY } from "../kernel/abi/fcntl.ts";
import { log } from "../log.ts";
import type { Options } from "../options.ts";
import { closeFd, openAt } from "../sys/file.ts";
import { collectTasks } from "./collect.ts";
import { collectFacts } from "./dump-facts.ts";
import { DumpState, findBlockers } from "./dump-state.ts";
import { freezeTree } from "./freeze.ts";
import { closeAllCopies } from "./look.ts";
import { endStandIn, startStandIn } from "./stand-in.ts";

/** Takes images and has none. */
const NOWHERE: ImageChannel = {
	create() {
		const fd = openAt("/dev/null", O_WRONLY);
		const close = () => closeFd(fd);
		return { fd, announce() {}, write() {}, close, abandon: close };
	},
	open: () => undefined,
	finish() {},
	explain: (error) => error,
	close() {},
};

/** Dumps a stand-in up to where images would be written. That this fails is no reason for a dump to fail. */
export function rehearse(options: Options): void {
	try {
		withoutFaults(() => dumpStandIn({ ...options, freezeCgroup: undefined, shellJob: true }));
	} catch (error) {
		log.debug(() => `the rehearsal failed: ${messageOf(error)}`);
	}
}

function dumpStandIn(options: Options): void {
	const pid = startStandIn();
	try {
		using dir = ImageDir.overChannel("/", NOWHERE);
		using frozen = freezeTree(pid, options);
		const { tasks, dead } = frozen;
		const context = new DumpState(options, dir, tasks, dead);
		try {
			const blockers = findBlockers(tasks, dead, context);
			const facts = collectFacts(tasks, undefined, blockers);
			collectTasks(
				tasks,
				context,
				facts,
				() => {},
				() => {},
			);
		} finally {
			closeAllCopies(tasks, context);
		}
	} finally {
		endStandIn(pid);
	}
}
