// SPDX-License-Identifier: GPL-2.0-only
// Processes under construction: an init and the task below it.

import { expect, test } from "bun:test";
import { BuiltProcess } from "../../src/agent/built.ts";
import { CrCtl, PAGE_SIZE } from "../../src/agent/layout.ts";
import { Program } from "../../src/agent/program.ts";
import { initSlot, layOutSite } from "../../src/agent/site.ts";
import { interruptThread } from "../../src/agent/tracee.ts";
import { detachInit, NEW_PIDNS_FLAGS } from "../../src/engine/new-pidns.ts";
import * as nr from "../../src/kernel/abi/syscalls.x86_64.ts";
import { __WALL, futexWake, P_PID, sendSignal, WEXITED, WNOHANG, waitId } from "../../src/sys/process.ts";
import { describeAsRoot } from "../as-root.ts";

const SIGKILL = 9;
const FUTEX_OWNER_DIED = 0x4000_0000;
const TIMEOUT_MS = 10_000;
const PID = 1234;

function startInit(): BuiltProcess {
	return BuiltProcess.start({
		cloneFlags: NEW_PIDNS_FLAGS,
		setTid: [],
		area: 0x2000_0000_0000n,
		layout: layOutSite(8 * PAGE_SIZE, 1),
		areaFd: 900,
		execFd: 901,
		passes: [],
		asInit: true,
	});
}

/** How a child of ours ends, or undefined when it doesn't. */
async function awaitEnd(pid: number) {
	for (const deadline = performance.now() + TIMEOUT_MS; performance.now() < deadline; await Bun.sleep(1)) {
		const report = waitId(P_PID, pid, WEXITED | WNOHANG | __WALL);
		if (report !== undefined) return report;
	}
	return undefined;
}

describeAsRoot("an init", () => {
	test("makes a task with the pid asked for", () => {
		const init = startInit();
		try {
			const task = init.clone({ vpid: PID, slot: 0, thread: false });
			const program = new Program();
			const self = program.syscall("self", nr.SYS_getpid, []);
			const parent = program.syscall("parent", nr.SYS_getppid, []);
			const answers = task.programs.run(program);
			expect([answers.result(self), answers.result(parent)]).toEqual([BigInt(PID), 1n]);
			task.kill();
		} finally {
			init.kill();
			init.site.close();
		}
	});

	for (const when of ["before", "after"])
		test(`ends when its task was killed right ${when} it was let go`, async () => {
			const init = startInit();
			const task = init.clone({ vpid: PID, slot: 0, thread: false });
			interruptThread(task.pid, performance.now() + TIMEOUT_MS);
			detachInit(init);
			if (when === "before") sendSignal(task.pid, SIGKILL);
			task.detach();
			if (when === "after") sendSignal(task.pid, SIGKILL);
			expect(await awaitEnd(init.pid)).toEqual({ pid: init.pid, kind: "exited", status: 0 });
			init.site.close();
		});

	test("lives on when its maker ends right after it was let go", () => {
		const init = startInit();
		const task = init.clone({ vpid: PID, slot: 0, thread: false });
		detachInit(init);
		// As the kernel marks it when our thread ends.
		const { site } = init;
		site.shared.view.setUint32(initSlot(site.layout).ctl + CrCtl.offsets.lock, FUTEX_OWNER_DIED, true);
		futexWake(site.shared.address + initSlot(site.layout).ctl + CrCtl.offsets.lock);
		task.kill();
		expect(waitId(P_PID, init.pid, WEXITED | __WALL)).toEqual({ pid: init.pid, kind: "exited", status: 0 });
		site.close();
	});
});
