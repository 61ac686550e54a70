// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import type { RestoreContext, TaskImage } from "../../../src/kinds/kind.ts";
import { memoryOwner, sharing, takesMemory } from "../../../src/kinds/task/sharing.ts";
import { emptyPlan, imageOf, restoreContext } from "./fixtures.ts";

type Ids = Partial<Record<"vmId" | "sighandId", number>>;

/** A task with a parent, what it shares by number, and who makes it. */
function task(pid: number, ppid: number, ids: Ids): TaskImage {
	const image = imageOf(pid);
	return { ...image, pstree: { ...image.pstree, ppid }, ids: { ...image.ids, vmId: pid, sighandId: pid, ...ids } };
}

function contextOf(tasks: readonly TaskImage[], makers: ReadonlyArray<readonly [number, TaskImage]>): RestoreContext {
	return { ...restoreContext(), tasks, makers: new Map(makers) };
}

describe("tasks that share memory", () => {
	const root = task(10, 0, {});

	test("get it from their parent, whose image tells of it", () => {
		const child = task(11, 10, { vmId: 10 });
		const below = task(12, 11, { vmId: 10, sighandId: 11 });
		const context = contextOf(
			[root, child, below],
			[
				[11, root],
				[12, child],
			],
		);
		expect([root, child, below].map((image) => takesMemory(image, context))).toEqual([false, true, true]);
		expect([root, child, below].map((image) => memoryOwner(image, context))).toEqual([10, 10, 10]);
		for (const image of context.tasks) expect(() => sharing.plan?.(image, emptyPlan(), context)).not.toThrow();
	});

	test("are refused when their parent hasn't that memory", () => {
		const between = task(11, 10, {});
		const child = task(12, 11, { vmId: 10 });
		const context = contextOf(
			[root, between, child],
			[
				[11, root],
				[12, between],
			],
		);
		expect(() => sharing.plan?.(child, emptyPlan(), context)).toThrow(
			"pid 12 shares its memory with pid 10, which can't be its maker",
		);
	});

	test("are refused when somebody else has to make them", () => {
		const child = task(12, 11, { vmId: 10 });
		const context = contextOf([root, task(11, 10, {}), child], [[12, root]]);
		expect(() => sharing.plan?.(child, emptyPlan(), context)).toThrow(
			expect.objectContaining({ code: "SHARED_BY_TASKS" }),
		);
	});
});

test("signal handlers shared without memory are a damaged image", () => {
	const root = task(10, 0, {});
	const child = task(11, 10, { sighandId: 10 });
	const context = contextOf([root, child], [[11, root]]);
	expect(() => sharing.plan?.(child, emptyPlan(), context)).toThrow(expect.objectContaining({ code: "IMAGE_CORRUPT" }));
});
