// SPDX-License-Identifier: GPL-2.0-only
// Letting go of tracees in whatever state they are: what the kernel calls ESRCH may be one that runs or one that is dead.

import { expect, test } from "bun:test";
import { detachThread, interruptThread, seizeThread, waitStop } from "../../src/agent/tracee.ts";
import { readStatus } from "../../src/kernel/procfs/status.ts";
import { sendSignal } from "../../src/sys/process.ts";
import { describeAsRoot } from "../as-root.ts";

const SIGKILL = 9;
const soon = () => performance.now() + 10_000;

/** A shell that waits for a child of its own, which dies with it, and tells how that ended. */
class Family {
	private readonly shell = Bun.spawn(
		["setpriv", "--pdeathsig", "KILL", "sh", "-c", "setpriv --pdeathsig KILL sleep 1000 & echo $!; wait $!; echo $?"],
		{ stdin: "ignore", stdout: "pipe", stderr: "ignore" },
	);
	private readonly reader = this.shell.stdout.getReader();
	child = 0;

	static async start(): Promise<Family> {
		const family = new Family();
		family.child = await family.readNumber();
		return family;
	}

	/** The next line: the child's pid, then its exit status as shells have it. */
	async readNumber(): Promise<number> {
		const { value } = await this.reader.read();
		return Number(new TextDecoder().decode(value));
	}

	get parent(): number {
		return this.shell.pid;
	}

	/** The signal that ended the shell. */
	async untilParentEnds(): Promise<string | number | null> {
		await this.shell.exited;
		return this.shell.signalCode;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.shell.kill("SIGKILL");
		await this.shell.exited;
	}
}

describeAsRoot("letting go of a thread", () => {
	test("that stands still lets it run", async () => {
		await using family = await Family.start();
		seizeThread(family.child, 0);
		interruptThread(family.child, soon());
		detachThread(family.child);
		expect(readStatus(family.child)).toMatchObject({ tracerPid: 0, state: expect.stringMatching(/[RS]/) });
	});

	test("that runs frees it as well", async () => {
		await using family = await Family.start();
		seizeThread(family.child, 0);
		detachThread(family.child);
		expect(readStatus(family.child)).toMatchObject({ tracerPid: 0, state: expect.stringMatching(/[RS]/) });
	});

	test("that is being killed lets its parent reap it", async () => {
		await using family = await Family.start();
		seizeThread(family.child, 0);
		interruptThread(family.child, soon());
		sendSignal(family.child, SIGKILL);
		detachThread(family.child);
		expect(await family.readNumber()).toBe(128 + SIGKILL);
	});

	test("that is dead lets its parent reap it", async () => {
		await using family = await Family.start();
		seizeThread(family.child, 0);
		sendSignal(family.child, SIGKILL);
		expect(waitStop(family.child, soon())).toEqual({ kind: "gone", status: SIGKILL, killed: true });
		detachThread(family.child);
		expect(await family.readNumber()).toBe(128 + SIGKILL);
	});

	test("that is a dead child of our own leaves it to whoever started it", async () => {
		await using family = await Family.start();
		seizeThread(family.parent, 0);
		sendSignal(family.parent, SIGKILL);
		detachThread(family.parent);
		expect(await family.untilParentEnds()).toBe("SIGKILL");
	});

	test("that isn't ours is no error", async () => {
		await using family = await Family.start();
		detachThread(family.child);
		expect(readStatus(family.child).tracerPid).toBe(0);
	});
});
