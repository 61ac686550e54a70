// SPDX-License-Identifier: GPL-2.0-only
// The shape of a process tree: in which order its tasks are made, who makes whom, when sessions and groups begin, which
// helpers stand in for tasks that are gone. Pure: pids in, steps out. Source: fork(2), setsid(2), setpgid(2), credentials(7).

import { UnsupportedError } from "../errors.ts";

/** What the shape depends on, for one task. Numbers are those of the images. */
export interface TreeNode {
	readonly pid: number;
	/** 0 for the root. */
	readonly ppid: number;
	readonly pgid: number;
	readonly sid: number;
	/** A zombie. */
	readonly dead: boolean;
}

/** One step; steps are carried out one after the other. */
export type TreeStep =
	/** `maker` makes a child with that pid. A helper lives only until an "end" step names it. */
	| { readonly do: "fork"; readonly maker: number; readonly pid: number; readonly helper: boolean }
	/** `maker` makes a go-between of any pid, which makes `pid` and ends: the child is an orphan from then on. */
	| { readonly do: "fork-orphan"; readonly maker: number; readonly pid: number }
	| { readonly do: "setsid"; readonly pid: number }
	| { readonly do: "setpgid"; readonly pid: number; readonly pgid: number }
	/** Orphans made from here on go to that task. */
	| { readonly do: "adopt"; readonly pid: number }
	/** A helper ends and is reaped by its maker. */
	| { readonly do: "end"; readonly pid: number; readonly maker: number }
	/** A zombie dies. */
	| { readonly do: "die"; readonly pid: number };

/** Any session will do. */
const ANY = -1;
/** The caller's session, whatever its number. */
const OUTSIDE = 0;

interface Planned extends TreeNode {
	readonly children: Planned[];
	/** Session that it has to be born in, or ANY. */
	need: number;
	/** Session that it is born in. */
	birth: number;
	made: boolean;
}

function unrestorable(pid: number, what: string): UnsupportedError {
	return new UnsupportedError("UNSUPPORTED_TREE", `pid ${pid} ${what}`, {
		remedy: "restore these images with the original criu, or dump a tree that includes the whole session",
	});
}

class TreePlanner {
	readonly steps: TreeStep[] = [];
	private readonly nodes = new Map<number, Planned>();
	private readonly root: Planned;
	private readonly orphans: Planned[] = [];
	/** Helpers by pid, with their makers. */
	private readonly helpers = new Map<number, number>();
	private readonly adopters = new Set<number>();

	constructor(nodes: readonly TreeNode[]) {
		for (const node of nodes) this.nodes.set(node.pid, { ...node, children: [], need: ANY, birth: ANY, made: false });
		let root: Planned | undefined;
		for (const node of this.nodes.values()) {
			if (node.ppid === 0) root = node;
			else this.nodes.get(node.ppid)?.children.push(node);
		}
		if (root === undefined) throw unrestorable(0, "is no root");
		this.root = root;
	}

	plan(): readonly TreeStep[] {
		this.findNeeds(this.root);
		// What the root is born in is the caller's session, whether the images call it so or not.
		this.root.birth = this.root.sid === this.root.pid ? OUTSIDE : this.root.sid;
		this.root.made = true;
		this.unfold(this.root);
		this.makeOrphans();
		this.makeGroups();
		for (const [pid, maker] of [...this.helpers].reverse()) this.steps.push({ do: "end", pid, maker });
		for (const node of this.nodes.values()) if (node.dead) this.steps.push({ do: "die", pid: node.pid });
		return this.steps;
	}

	/** Which session each task has to be born in, from the leaves up. */
	private findNeeds(node: Planned): void {
		// No recursion: chains can be thousands of tasks deep.
		const order: Planned[] = [node];
		for (let i = 0; i < order.length; i++) order.push(...(order[i]?.children ?? []));
		for (const each of order.reverse()) {
			if (each.sid !== each.pid) {
				each.need = each.sid;
				continue;
			}
			for (const child of each.children) {
				if (child.need === ANY || child.need === each.pid || each === this.root || this.leads(child.need, each))
					continue;
				// Born before its parent led a session. Two different ones can't both be: the later ones came from elsewhere.
				if (each.need === ANY) each.need = child.need;
			}
		}
	}

	/** True when the leader of that session lives below the task: members come from there, not from above. */
	private leads(sid: number, above: Planned): boolean {
		for (let at = this.nodes.get(sid); at !== undefined; at = this.nodes.get(at.ppid)) if (at === above) return true;
		return false;
	}

	/** Makes all children that can be made directly, and theirs. */
	private unfold(start: Planned): void {
		const stack: (() => void)[] = [() => this.visit(start, stack)];
		for (let work = stack.pop(); work !== undefined; work = stack.pop()) work();
	}

	private visit(node: Planned, stack: (() => void)[]): void {
		const isLeader = node.sid === node.pid;
		const early: Planned[] = [];
		const late: Planned[] = [];
		for (const child of node.children) {
			if (child.need === ANY || child.need === (isLeader ? node.pid : node.birth)) late.push(child);
			else if (isLeader && child.need === node.birth) early.push(child);
			else this.orphans.push(child);
		}
		for (const child of early) this.fork(node, child, node.birth, stack);
		if (isLeader) this.steps.push({ do: "setsid", pid: node.pid });
		for (const child of late) this.fork(node, child, isLeader ? node.pid : node.birth, stack);
	}

	private fork(maker: Planned, child: Planned, birth: number, stack: (() => void)[]): void {
		this.steps.push({ do: "fork", maker: maker.pid, pid: child.pid, helper: false });
		child.birth = birth;
		child.made = true;
		stack.push(() => this.visit(child, stack));
	}

	/** Tasks whose session none of their ancestors was in: born elsewhere, and adopted when their parent had ended. */
	private makeOrphans(): void {
		for (let waiting = this.orphans.splice(0); waiting.length > 0; waiting = this.orphans.splice(0)) {
			let progress = false;
			for (const orphan of waiting) {
				if (this.makeOrphan(orphan)) progress = true;
				else this.orphans.push(orphan);
			}
			const [stuck] = this.orphans;
			if (!progress && stuck !== undefined)
				throw unrestorable(
					stuck.pid,
					`is in session ${stuck.need}, which nothing that could be its parent was ever in`,
				);
		}
	}

	private makeOrphan(orphan: Planned): boolean {
		const parent = this.nodes.get(orphan.ppid);
		if (parent === undefined) return false;
		const leader = this.nodes.get(orphan.need);
		if (leader !== undefined && (!leader.made || !this.isBelow(leader, parent))) return false;
		this.adopt(parent);
		if (leader === undefined) this.forkFromHelper(orphan, parent);
		else if (leader.dead) this.steps.push({ do: "fork", maker: leader.pid, pid: orphan.pid, helper: false });
		else this.steps.push({ do: "fork-orphan", maker: leader.pid, pid: orphan.pid });
		orphan.birth = orphan.need;
		orphan.made = true;
		this.unfold(orphan);
		return true;
	}

	private isBelow(node: Planned, above: Planned): boolean {
		for (let at: Planned | undefined = node; at !== undefined; at = this.nodes.get(at.ppid))
			if (at === above) return true;
		return false;
	}

	private adopt(parent: Planned): void {
		if (this.adopters.has(parent.pid)) return;
		this.adopters.add(parent.pid);
		this.steps.push({ do: "adopt", pid: parent.pid });
	}

	/** The session's leader is gone: a helper of its pid leads it until all are there. */
	private forkFromHelper(orphan: Planned, parent: Planned): void {
		const sid = orphan.need;
		if (!this.helpers.has(sid)) {
			this.helpers.set(sid, parent.pid);
			this.steps.push({ do: "fork", maker: parent.pid, pid: sid, helper: true });
			this.steps.push({ do: "setsid", pid: sid });
		}
		this.steps.push({ do: "fork", maker: sid, pid: orphan.pid, helper: false });
	}

	/** All processes are there by now, each in the group of its session's leader, or in the one outside. */
	private makeGroups(): void {
		const members = [...this.nodes.values()].filter((node) => node.sid !== node.pid && !this.isBornInGroup(node));
		const founded = new Set<number>();
		for (const { pid, pgid, sid } of members)
			if (pgid !== sid && !founded.has(pgid)) {
				founded.add(pgid);
				this.foundGroup(pgid, sid, pid);
			}
		for (const { pid, pgid } of members)
			if (pgid !== pid && !founded.has(pid)) this.steps.push({ do: "setpgid", pid, pgid });
		// Who founded a group for others may belong to another one, and leaves when they are there.
		for (const pid of founded) {
			const founder = this.nodes.get(pid);
			if (founder !== undefined && founder.pgid !== pid) this.steps.push({ do: "setpgid", pid, pgid: founder.pgid });
		}
	}

	private isBornInGroup({ pgid, sid }: TreeNode): boolean {
		const isOutside = this.root.sid !== this.root.pid && sid === this.root.sid;
		return isOutside ? pgid === this.root.pgid && pgid !== this.root.pid : pgid === sid;
	}

	/** A group begins with the process of its number: one of the tree, or a helper where that has gone. */
	private foundGroup(pgid: number, sid: number, member: number): void {
		const founder = this.nodes.get(pgid);
		if (founder !== undefined && founder.sid !== sid)
			throw unrestorable(member, `is in group ${pgid} of another session`);
		if (founder === undefined) {
			if (this.helpers.has(pgid)) return;
			const maker = this.findMember(sid);
			if (maker === undefined)
				throw unrestorable(member, `is in group ${pgid} of session ${sid}, which nobody is left to lead`);
			this.helpers.set(pgid, maker);
			this.steps.push({ do: "fork", maker, pid: pgid, helper: true });
		}
		this.steps.push({ do: "setpgid", pid: pgid, pgid });
	}

	/** Somebody in that session who can make a helper. */
	private findMember(sid: number): number | undefined {
		if (this.helpers.has(sid)) return sid;
		for (const node of this.nodes.values()) if (node.sid === sid && !node.dead) return node.pid;
		return undefined;
	}
}

/**
 * The steps that make a tree with all its sessions and groups, from a root that exists already.
 *
 * @throws UnsupportedError for a tree that no sequence of calls can make
 */
export function planTreeShape(nodes: readonly TreeNode[]): readonly TreeStep[] {
	return new TreePlanner(nodes).plan();
}
