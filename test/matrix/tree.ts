// SPDX-License-Identifier: GPL-2.0-only
// The tree of one run: which processes belong to it, whether they rest, what /proc and kcmp tell of them all, and that
// they're gone when they should be.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { addProcess, Numbering, type Snapshot, stateOf, statesOf } from "./snapshot.ts";

/** How often a child is looked at again whose parent has ended: it has another one by then. */
const LOOKS = 3;

/**
 * The root and all its descendants, in that order, descendants by pid. `proc` is the stage's /proc. Goes from children to
 * parents: on the way down, one that an ending parent leaves to another can be missed.
 */
export function listTree(proc: string, root: number): number[] {
	const pids = readdirSync(proc).filter((name) => /^\d+$/.test(name));
	const parents = new Map(pids.map((pid) => [Number(pid), readParent(proc, Number(pid))]));
	const isBelow = (pid: number): boolean => {
		let at = pid;
		for (let looks = 0; at !== root; ) {
			const parent = parents.get(at);
			if (parent === undefined || parent <= 1) return false;
			if (parents.has(parent)) at = parent;
			else if (looks++ < LOOKS) parents.set(at, readParent(proc, at));
			else return false;
		}
		return true;
	};
	const below = [...parents.keys()].filter((pid) => pid !== root && isBelow(pid));
	return [root, ...below.sort((a, b) => a - b)];
}

function readParent(proc: string, pid: number): number | undefined {
	try {
		const text = readFileSync(`${proc}/${pid}/stat`, "latin1");
		return Number(text.slice(text.lastIndexOf(")") + 4).split(" ")[0]);
	} catch {
		return undefined; // it has ended meanwhile
	}
}

/** Snapshot of a whole tree. `sharing` is what sharing.c printed about it. */
export function takeTreeSnapshot(proc: string, root: number, sharing: string): Snapshot {
	const into: Snapshot = new Map();
	const pids = listTree(proc, root);
	into.set("tree", pids.slice(1).join(" "));
	const shared = { objects: new Numbering(), files: new Numbering() };
	for (const pid of pids) {
		const prefix = pid === root ? "" : `proc/${pid}/`;
		addProcess(into, prefix, `${proc}/${pid}`, shared);
	}
	for (const line of sharing.split("\n")) addSharing(into, root, line.split(" "));
	return into;
}

/** Lines of sharing.c: `PID TID KIND CLASS` and `PID fd N CLASS`. */
function addSharing(into: Snapshot, root: number, [pid, tid, kind, number]: string[]): void {
	if (pid === undefined || tid === undefined || number === undefined) return;
	const prefix = Number(pid) === root ? "" : `proc/${pid}/`;
	if (tid === "fd") into.set(`${prefix}fd/${kind}/description`, `#${number}`);
	else into.set(`${prefix}${tid === pid ? "" : `task/${tid}/`}shares/${kind}`, `#${number}`);
}

/** Descendants that are not at rest yet or, where that's known, don't rest as they did before; as `PID STATES`. */
export function listRestless(proc: string, root: number, before: Snapshot): string[] {
	return listStates(proc, root)
		.filter(([pid, states]) => {
			const known = before.get(`proc/${pid}/stat/state`);
			return !/^[STtZ]+$/.test(states) || (known !== undefined && known !== stateOf(`${proc}/${pid}`));
		})
		.map((pair) => pair.join(" "));
}

/** Descendants that are neither stopped nor dead, as `PID STATES`. */
export function listUnstopped(proc: string, root: number): string[] {
	return listStates(proc, root)
		.filter(([, states]) => !/^[TZ]+$/.test(states))
		.map((pair) => pair.join(" "));
}

function listStates(proc: string, root: number): [number, string][] {
	return listTree(proc, root)
		.slice(1)
		.map((pid) => [pid, statesOf(`${proc}/${pid}`)]);
}

/** Processes of the stage besides its pid 1, as `PID STATE NAME`. */
export function listOthers(proc: string): string[] {
	return readdirSync(proc)
		.filter((name) => /^\d+$/.test(name) && name !== "1")
		.map((pid) => `${pid} ${stateOf(`${proc}/${pid}`) ?? "gone"} ${readName(`${proc}/${pid}/comm`)}`)
		.filter((text) => !text.includes(" gone "));
}

function readName(path: string): string {
	try {
		return readFileSync(path, "latin1").trimEnd();
	} catch {
		return "?";
	}
}

/** Waits until the list is empty; gives what's still in it at the deadline. */
export async function waitForNone(list: () => string[], timeoutMs: number): Promise<string[]> {
	const deadline = performance.now() + timeoutMs;
	for (;;) {
		const left = list();
		if (left.length === 0 || performance.now() > deadline) return left;
		await Bun.sleep(2); // no event for what isn't a child of this process
	}
}

/** Pids of a snapshot of a tree that still exist. */
export function listSurvivors(proc: string, root: number, snapshot: Snapshot): string[] {
	const children = (snapshot.get("tree") ?? "").split(" ").filter(Boolean);
	return [String(root), ...children].filter((pid) => existsSync(`${proc}/${pid}`));
}
