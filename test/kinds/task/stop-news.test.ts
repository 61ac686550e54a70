// SPDX-License-Identifier: GPL-2.0-only
// What a restore does so that parents have heard of their children's stops as before.

import { expect, test } from "bun:test";
import type { TaskImage } from "../../../src/kinds/kind.ts";
import { comm } from "../../../src/kinds/task/comm.ts";
import { emptyDraft, emptyPlan, imageOf, planKind, restoreContext } from "./fixtures.ts";

const ALIVE = 1;
const STOPPED = 3;
const SIGSTOP = 19;

/** The plan of a child with that state, below a parent with memory of its own or the same. */
function planFor(state: object, sharesMemory = false) {
	const parent = imageOf(1);
	const draft = emptyDraft();
	Object.assign(draft.core.tc ?? {}, state);
	const child: TaskImage = imageOf(2, draft);
	child.pstree.ppid = 1;
	if (!sharesMemory) child.ids.vmId = 3;
	const plan = emptyPlan();
	planKind(comm, child, plan, { ...restoreContext(), tasks: [parent, child] });
	return { news: plan.news, stops: plan.beforeDetach.length };
}

test("a stop that nobody has heard of is made when the task is let go", () => {
	expect(planFor({ taskState: STOPPED, stopSigno: SIGSTOP })).toEqual({ news: undefined, stops: 1 });
});

test("a stop that its parent has waited for is made while the parent can wait for it", () => {
	const news = { do: "stop", signal: SIGSTOP } as const;
	expect(planFor({ taskState: STOPPED, stopSigno: SIGSTOP, stopTold: true })).toEqual({ news, stops: 0 });
	expect(planFor({ taskState: STOPPED, stopTold: true }, true)).toEqual({ news: undefined, stops: 1 });
});

test("that a task was continued is news for its parent where it was", () => {
	const news = { do: "stop-and-continue", signal: SIGSTOP } as const;
	expect(planFor({ taskState: ALIVE, continueUntold: true })).toEqual({ news, stops: 0 });
	expect(planFor({ taskState: ALIVE })).toEqual({ news: undefined, stops: 0 });
});
