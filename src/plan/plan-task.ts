// SPDX-License-Identifier: GPL-2.0-only
// From images to a plan: which operations the agent runs at each stage, which descriptors it gets, where it lives.

import { findHole } from "../agent/injected.ts";
import { AGENT_STACK, AREA_PROGRAM, PAGE_SIZE } from "../agent/layout.ts";
import { describeOp, type OpRef, Program, sizeProgram } from "../agent/program.ts";
import { BugError } from "../errors.ts";
import type { file_entry } from "../images/gen/fdinfo_pb.ts";
import { remap_type } from "../images/gen/file_pb.ts";
import { type ImageDir, KINDS } from "../images/index.ts";
import { PR_SET_PDEATHSIG } from "../kernel/abi/prctl.ts";
import { SYS_prctl } from "../kernel/abi/syscalls.x86_64.ts";
import { FdNumberTable } from "../kinds/file/fd-numbers.ts";
import { estimateGhostPrograms } from "../kinds/file/ghost-plan.ts";
import { planOpenMapped } from "../kinds/file/mapped-file.ts";
import { readRemaps } from "../kinds/file/remaps.ts";
import {
	type OutsideStep,
	type RestoreContext,
	STAGES,
	type Stage,
	type TaskImage,
	type TaskPlan,
} from "../kinds/kind.ts";
import { planTimeNamespace, timeImageId } from "../kinds/ns/time.ts";
import { TASK_KINDS } from "../kinds/registry.ts";
import type { Options } from "../options.ts";
import type { DumpImages } from "./model.ts";

const SCRATCH_ALIGN = 1n << 30n;
/** Bytes of program for each mapping, descriptor, file and run of pages: generous, the area is only addresses until used. */
const PER_ITEM = 1024;
const BASE_ROOM = 512 * 1024;
/** What a second plan may take more than the first: its addresses differ, and with them texts of a few bytes. */
const AREA_SLACK = 64 * 1024;

/** What is shared by the plans of all tasks of a restore. */
class Restore implements RestoreContext {
	private readonly shared = new Map<string, unknown>();
	readonly files: ReadonlyMap<number, file_entry>;

	constructor(
		readonly options: Options,
		readonly dir: ImageDir,
		images: DumpImages,
	) {
		this.files = images.files;
	}

	once<T>(key: string, make: () => T): T {
		if (!this.shared.has(key)) this.shared.set(key, make());
		return this.shared.get(key) as T;
	}

	openMapped(program: Program, id: number, flags: number, plan: TaskPlan): OpRef {
		return planOpenMapped(program, id, flags, plan, this);
	}
}

/** A finished plan. */
export interface PlannedTask extends TaskPlan {
	readonly numbers: FdNumberTable;
	readonly areaLength: number;
	readonly areaFd: number;
	readonly execFd: number;
}

function areaFor(programBytes: number): number {
	return AREA_PROGRAM + AGENT_STACK + Math.ceil(programBytes / PAGE_SIZE) * PAGE_SIZE;
}

/** Length of an area with room for the largest stage's program, judged from the number of things to build. */
function estimateArea(image: TaskImage, images: DumpImages, runs: number, context: RestoreContext): number {
	let names = 0;
	for (const entry of images.files.values()) names += (entry.reg?.name.length ?? 0) + PER_ITEM;
	const items = image.mm.vmas.length + image.fds.length * 2 + runs;
	const ghosts = [...readRemaps(context).values()].filter(({ type }) => type === remap_type.GHOST);
	const content = estimateGhostPrograms(context, new Set(ghosts.map(({ id }) => id)));
	const bytes = BASE_ROOM + content + names * 2 + items * PER_ITEM + (image.core.tc?.sigactions.length ?? 0) * 256;
	return areaFor(bytes);
}

function countRuns(dir: ImageDir, pid: number): number {
	return dir.findHeaded(KINDS.PAGEMAP, pid)?.entries.length ?? 0;
}

/**
 * Plans the restore of a task. Nothing is created; descriptors of images are opened and belong to `numbers` of the plan.
 *
 * @throws ImageError, UnsupportedError, CriuError
 */
export function planTask(options: Options, dir: ImageDir, images: DumpImages): PlannedTask {
	const { root } = images;
	const context = new Restore(options, dir, images);
	const estimated = estimateArea(root, images, countRuns(dir, root.pstree.pid), context);
	const plan = planWithin(estimated, context, dir, images);
	const needed = areaFor(sizeLargest(plan));
	if (needed <= plan.areaLength) return plan;
	// Things that the estimate doesn't count, such as waiting signals, can be many.
	plan.numbers.closePasses();
	const larger = planWithin(needed + AREA_SLACK, new Restore(options, dir, images), dir, images);
	if (areaFor(sizeLargest(larger)) <= larger.areaLength) return larger;
	larger.numbers.closePasses();
	throw new BugError(`a plan that fits into no area: ${sizeLargest(larger)} bytes`);
}

function sizeLargest({ programs }: TaskPlan): number {
	return Math.max(...STAGES.map((stage) => sizeProgram(programs[stage])));
}

/** A plan with an agent's area of that length, whether it has room for the programs or not. */
function planWithin(areaLength: number, context: Restore, dir: ImageDir, images: DumpImages): PlannedTask {
	const { root } = images;
	const mapped = root.mm.vmas.filter((vma) => vma.end > vma.start).sort((a, b) => (a.start < b.start ? -1 : 1));
	const start = findHole(mapped, areaLength + PAGE_SIZE * 32);
	const end = start + BigInt(areaLength);
	const numbers = new FdNumberTable(root.fds.map((fd) => fd.fd));
	const plan: PlannedTask = {
		programs: Object.fromEntries(STAGES.map((stage) => [stage, new Program()])) as Record<Stage, Program>,
		outside: [] as OutsideStep[],
		beforeDetach: [] as OutsideStep[],
		numbers,
		area: { start, end },
		areaLength,
		areaFd: numbers.reserve("agent area"),
		execFd: numbers.reserve("agent executable"),
		scratch: (end + SCRATCH_ALIGN) & ~(SCRATCH_ALIGN - 1n),
		final: {},
		temporaryPaths: [],
	};
	try {
		plan.programs.tree.syscall("outlive criu", SYS_prctl, [PR_SET_PDEATHSIG, 0]);
		planTimeNamespace(dir, timeImageId(images.rootIds, images.ids), plan);
		for (const kind of TASK_KINDS) kind.plan(root, plan, context);
		return plan;
	} catch (error) {
		numbers.closePasses();
		throw error;
	}
}

/** The plan as text, for --dry-run. */
export function describePlan(image: TaskImage, plan: TaskPlan): string {
	const name = new TextDecoder().decode(image.core.tc?.comm ?? new Uint8Array());
	const lines = [`pid ${image.pstree.pid} (${name}), built at 0x${plan.area.start.toString(16)}`];
	for (const stage of STAGES) {
		const { ops } = plan.programs[stage];
		lines.push(`stage ${stage}: ${ops.length} operations`);
		for (const op of ops) lines.push(`  ${describeOp(op)}`);
	}
	for (const step of plan.outside) lines.push(`from outside: ${step.what}`);
	lines.push("last: registers, floating point state, signal mask");
	for (const step of plan.beforeDetach) lines.push(`afterwards: ${step.what}`);
	return `${lines.join("\n")}\n`;
}
