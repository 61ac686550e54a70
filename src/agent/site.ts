// SPDX-License-Identifier: GPL-2.0-only
// The memory that all agents of one restore share: where each one's control block, stack and programs lie in it.

import { agentBlob } from "../sys/embedded.ts";
import type { Mapping } from "../sys/memory.ts";
import { AGENT_STACK, AREA_BLOB, AREA_CTL, AREA_LOADED, AREA_PROGRAM, CrCtl, PAGE_SIZE } from "./layout.ts";

/** Stack of an agent that blocks all signals: it calls few functions deep. */
const SMALL_STACK = 2 * PAGE_SIZE;
const SLOT = PAGE_SIZE + SMALL_STACK;
/** Control block, program and stack of an init, at the end of the area: its program never ends. */
const INIT_PROGRAM = 3 * PAGE_SIZE;
const INIT_SLOT = PAGE_SIZE + INIT_PROGRAM + 4 * PAGE_SIZE;

/** Where an agent lives in the area; offsets. */
export interface AgentSlot {
	readonly ctl: number;
	readonly program: number;
	readonly programLength: number;
	/** The end of its stack, and its size. */
	readonly stack: number;
	readonly stackSize: number;
}

/** Rooms for programs: as many may run at a time. */
const WINDOWS = 8;

/** How the area is divided. Agents share the rooms for programs; an init has one of its own. */
export interface SiteLayout {
	/** Of one room. */
	readonly programLength: number;
	readonly windows: number;
	/** Agents besides the first. */
	readonly others: number;
	readonly areaLength: number;
	/** Addresses that are free for it in all tasks, from its start on. */
	readonly reserved: number;
}

const toPages = (bytes: number) => Math.ceil(bytes / PAGE_SIZE) * PAGE_SIZE;

/** Divides an area for programs of that size and that many agents besides the first. */
export function layOutSite(programBytes: number, others: number): SiteLayout {
	const programLength = toPages(programBytes);
	const windows = Math.min(WINDOWS, others + 1);
	const areaLength = AREA_PROGRAM + windows * programLength + AGENT_STACK + others * SLOT + INIT_SLOT;
	return { programLength, windows, others, areaLength, reserved: areaLength };
}

/** The same area with smaller rooms for programs: addresses cost nothing, but memory is taken and cleared at once. */
export function shrinkSite(layout: SiteLayout, programBytes: number): SiteLayout {
	const { others, programLength, reserved } = layout;
	return { ...layOutSite(Math.min(programBytes, programLength), others), reserved };
}

/** The slot of the root task's agent (0) or of another one. */
export function slotOf(layout: SiteLayout, index: number): AgentSlot {
	const { programLength, windows, others } = layout;
	if (index < 0 || index > others) throw new RangeError(`no slot ${index}`);
	const program = AREA_PROGRAM + (index % windows) * programLength;
	const stack = AREA_PROGRAM + windows * programLength + AGENT_STACK;
	if (index === 0) return { ctl: AREA_CTL, program, programLength, stack, stackSize: AGENT_STACK };
	const ctl = stack + (index - 1) * SLOT;
	return { ctl, program, programLength, stack: ctl + SLOT, stackSize: SMALL_STACK };
}

/** The slot of the init of a new pid namespace. */
export function initSlot(layout: SiteLayout): AgentSlot {
	const ctl = layout.areaLength - INIT_SLOT;
	const program = ctl + PAGE_SIZE;
	const rest = INIT_SLOT - PAGE_SIZE - INIT_PROGRAM;
	return { ctl, program, programLength: INIT_PROGRAM, stack: layout.areaLength, stackSize: rest };
}

/** The shared memory of a restore. */
export class BuildSite {
	private open = true;

	constructor(
		/** Address in the new processes. */
		readonly area: bigint,
		readonly layout: SiteLayout,
		readonly shared: Mapping,
	) {
		shared.bytes.set(agentBlob(), AREA_BLOB);
	}

	/** Makes an agent's control block ready for it. */
	prepare(slot: AgentSlot): void {
		CrCtl.write(this.shared.view, slot.ctl, { area: this.area });
	}

	/** Address of a u64: the bytes that agents have loaded. Not after close. */
	get loadedAddress(): number {
		return this.shared.address + AREA_LOADED;
	}

	/** Forgets the memory here; processes that still have it keep it. */
	close(): void {
		if (!this.open) return;
		this.open = false;
		this.shared.unmap();
	}
}
