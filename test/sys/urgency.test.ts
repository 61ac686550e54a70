// SPDX-License-Identifier: GPL-2.0-only
// What is urgent goes first, and takes its old place afterwards.

import { expect, test } from "bun:test";
import { PRIO_PROCESS } from "../../src/kernel/abi/resource.ts";
import { SYS_getpriority, SYS_setpriority } from "../../src/kernel/abi/syscalls.x86_64.ts";
import { loadHost, syscall } from "../../src/sys/host.ts";
import { Urgency } from "../../src/sys/urgency.ts";

const nice = () => 20 - syscall(SYS_getpriority, PRIO_PROCESS, 0);

const notRoot = process.getuid?.() === 0 ? "" : " (skipped: needs root)";

test.skipIf(notRoot !== "")(`the nice value is the lowest in between, and comes back however it ends${notRoot}`, () => {
	loadHost();
	const before = nice();
	syscall(SYS_setpriority, PRIO_PROCESS, 0, 5);
	try {
		const urgency = new Urgency();
		urgency.begin();
		urgency.begin();
		expect(nice()).toBe(-20);
		urgency.end();
		expect(nice()).toBe(5);
		urgency.end();
		const fail = () => {
			using own = new Urgency();
			own.begin();
			throw new Error(`at ${nice()}`);
		};
		expect(fail).toThrow("at -20");
		expect(nice()).toBe(5);
	} finally {
		syscall(SYS_setpriority, PRIO_PROCESS, 0, before);
	}
});
