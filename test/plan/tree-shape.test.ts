// SPDX-License-Identifier: GPL-2.0-only
// Shapes of trees: what the steps make, in a model of the kernel's rules, is what the images told.

import { describe, expect, test } from "bun:test";
import { planTreeShape, type TreeNode, type TreeStep } from "../../src/plan/tree-shape.ts";

const OUTSIDE = 1;

interface Process {
	pid: number;
	ppid: number;
	sid: number;
	pgid: number;
	dead: boolean;
	reaper: boolean;
}

/** As much of the kernel as the steps can meet. Throws where a call would fail. */
class Kernel {
	readonly processes = new Map<number, Process>();
	private nextAny = 100_000;

	constructor(root: Pick<Process, "pid" | "sid" | "pgid">) {
		this.processes.set(root.pid, { ...root, ppid: 0, dead: false, reaper: false });
	}

	get(pid: number): Process {
		const found = this.processes.get(pid);
		if (found === undefined) throw new Error(`no process ${pid}`);
		return found;
	}

	fork(maker: number, pid = this.nextAny++): number {
		const parent = this.get(maker);
		if (parent.dead) throw new Error(`${maker} is dead`);
		if (this.processes.has(pid)) throw new Error(`pid ${pid} is taken`);
		this.processes.set(pid, { pid, ppid: maker, sid: parent.sid, pgid: parent.pgid, dead: false, reaper: false });
		return pid;
	}

	setsid(pid: number): void {
		const task = this.get(pid);
		for (const other of this.processes.values()) if (other.pgid === pid) throw new Error(`EPERM: group ${pid} exists`);
		task.sid = pid;
		task.pgid = pid;
	}

	setpgid(pid: number, pgid: number): void {
		const task = this.get(pid);
		if (task.sid === pid) throw new Error(`EPERM: ${pid} leads a session`);
		const members = [...this.processes.values()].filter((other) => other.pgid === pgid);
		if (pgid !== pid && !members.some((other) => other.sid === task.sid)) throw new Error(`EPERM: no group ${pgid}`);
		task.pgid = pgid;
	}

	/** Ends a process: its children go to the nearest reaper above. */
	exit(pid: number): void {
		this.get(pid).dead = true;
		const isRoot = (process: Process) => process.ppid === 0;
		let heir = this.get(pid);
		while (!isRoot(heir)) {
			heir = this.get(heir.ppid);
			if (heir.reaper && !heir.dead) break;
		}
		for (const child of this.processes.values())
			if (child.ppid === pid) {
				if (!heir.reaper) throw new Error(`${child.pid} would leave the tree`);
				child.ppid = heir.pid;
			}
	}

	reap(pid: number, by: number): void {
		const { ppid, dead } = this.get(pid);
		if (!dead || ppid !== by) throw new Error(`${by} can't reap ${pid}`);
		this.processes.delete(pid);
	}

	carryOut(step: TreeStep): void {
		if (step.do === "fork") this.fork(step.maker, step.pid);
		else if (step.do === "setsid") this.setsid(step.pid);
		else if (step.do === "setpgid") this.setpgid(step.pid, step.pgid);
		else if (step.do === "adopt") this.get(step.pid).reaper = true;
		else if (step.do === "die") this.exit(step.pid);
		else if (step.do === "end") {
			this.exit(step.pid);
			this.reap(step.pid, step.maker);
		} else {
			const between = this.fork(step.maker);
			this.fork(between, step.pid);
			this.exit(between);
			this.reap(between, step.maker);
		}
	}

	nodes(): TreeNode[] {
		// Parents before their children.
		const found: Process[] = [];
		const visit = (ppid: number) => {
			for (const process of this.processes.values())
				if (process.ppid === ppid && !found.includes(process)) {
					found.push(process);
					visit(process.pid);
				}
		};
		visit(0);
		return found.map(({ pid, ppid, sid, pgid, dead }) => ({ pid, ppid, sid, pgid, dead }));
	}
}

/** Carries the plan for these nodes out, starting from criu's own session. */
function remake(nodes: readonly TreeNode[]): TreeNode[] {
	const [root] = nodes;
	if (root === undefined) throw new Error("no root");
	const isOuter = root.sid !== root.pid;
	const kernel = new Kernel({
		pid: root.pid,
		sid: isOuter ? root.sid : OUTSIDE,
		pgid: root.pgid === root.pid ? OUTSIDE : root.pgid,
	});
	for (const step of planTreeShape(nodes)) kernel.carryOut(step);
	return kernel.nodes();
}

const byPid = (nodes: readonly TreeNode[]) => [...nodes].sort((a, b) => a.pid - b.pid);

function expectRemade(nodes: readonly TreeNode[]): void {
	expect(byPid(remake(nodes))).toEqual(byPid(nodes));
}

const alive = (pid: number, ppid: number, pgid: number, sid: number): TreeNode => ({
	pid,
	ppid,
	pgid,
	sid,
	dead: false,
});
const dead = (pid: number, ppid: number, pgid: number, sid: number): TreeNode => ({ pid, ppid, pgid, sid, dead: true });

describe("the shape of a tree", () => {
	test("of one leader is one call", () => {
		expect(planTreeShape([alive(5, 0, 5, 5)])).toEqual([{ do: "setsid", pid: 5 }]);
	});

	test.each([
		["a chain of forks", [alive(5, 0, 5, 5), alive(6, 5, 5, 5), alive(7, 6, 5, 5)]],
		["a job of a shell", [alive(5, 0, 5, 2), alive(6, 5, 5, 2), alive(7, 5, 7, 2)]],
		["a job in somebody else's group", [alive(5, 0, 3, 2), alive(6, 5, 3, 2)]],
		["a child born before its parent led a session", [alive(5, 0, 5, 5), alive(6, 5, 6, 6), alive(7, 6, 5, 5)]],
		[
			"zombies that led a session or a group",
			[alive(5, 0, 5, 5), dead(6, 5, 6, 6), dead(7, 5, 7, 5), alive(8, 5, 7, 5)],
		],
		["a group whose leader is gone", [alive(5, 0, 5, 5), alive(7, 5, 6, 5), alive(8, 5, 6, 5)]],
		["a daemon whose session's leader is gone", [alive(5, 0, 5, 5), alive(8, 5, 7, 7), alive(9, 8, 7, 7)]],
		["an orphan of a leader that lives", [alive(5, 0, 5, 5), alive(6, 5, 6, 6), alive(8, 5, 6, 6)]],
		["an orphan of a leader that is a zombie", [alive(5, 0, 5, 5), dead(6, 5, 6, 6), alive(8, 5, 6, 6)]],
		[
			"an orphan's group in a lost session",
			[alive(5, 0, 5, 5), alive(8, 5, 10, 7), alive(9, 8, 11, 7), alive(12, 8, 7, 7)],
		],
	])("is made again: %s", (_, nodes) => expectRemade(nodes));

	test("that nothing can make is refused", () => {
		expect(() => planTreeShape([alive(5, 0, 5, 5), alive(6, 5, 7, 5), alive(7, 5, 7, 7)])).toThrow(/another session/);
	});

	test("can be thousands of processes deep", () => {
		const nodes = Array.from({ length: 5000 }, (_, i) => alive(i + 5, i === 0 ? 0 : i + 4, 5, 5));
		expect(planTreeShape(nodes)).toHaveLength(5000);
	});
});

/** A generator of numbers, the same for the same seed (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
	let state = seed;
	return (below) => {
		state = (state + 0x6d2b79f5) | 0;
		let t = Math.imul(state ^ (state >>> 15), 1 | state);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) % below;
	};
}

/** A tree with a history: forks, sessions, groups, deaths, orphans adopted by the root. */
function liveHistory(seed: number): TreeNode[] {
	const random = randomFrom(seed);
	const kernel = new Kernel({ pid: 5, sid: OUTSIDE, pgid: OUTSIDE });
	kernel.setsid(5);
	kernel.get(5).reaper = true;
	let next = 6;
	for (let turn = 0; turn < 40; turn++) {
		const all = [...kernel.processes.values()].filter((process) => !process.dead);
		const one = all[random(all.length)] as Process;
		const attempt = random(10);
		try {
			if (attempt < 5) kernel.fork(one.pid, next++);
			else if (attempt === 5) kernel.setsid(one.pid);
			else if (attempt === 6) kernel.setpgid(one.pid, one.pid);
			else if (attempt === 7) kernel.setpgid(one.pid, (all[random(all.length)] as Process).pgid);
			else if (one.pid !== 5) {
				kernel.exit(one.pid);
				if (attempt === 8) kernel.reap(one.pid, one.ppid);
			}
		} catch {
			// A call that the kernel refuses changes nothing.
		}
	}
	return kernel.nodes();
}

test("whatever has happened to a tree, it's made again", () => {
	for (let seed = 1; seed <= 2000; seed++) {
		const nodes = liveHistory(seed);
		try {
			expectRemade(nodes);
		} catch (error) {
			throw new Error(`seed ${seed}: ${String(error)}\n${JSON.stringify(nodes)}`);
		}
	}
});
