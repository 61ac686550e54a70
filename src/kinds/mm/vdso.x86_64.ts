// SPDX-License-Identifier: GPL-2.0-only
// vdso and vvar: pages that the kernel maps into every process. A restored process gets this kernel's: at the address that the
// dumped one had, when both are alike, otherwise near it (vdso-proxy). Source: vdso(7), arch_prctl(ARCH_MAP_VDSO_64).

import { askIa32Process } from "../../agent/ia32-process.ts";
import { PLACE_LIMIT_32 } from "../../agent/injected.ts";
import type { Program } from "../../agent/program.ts";
import { UnsupportedError } from "../../errors.ts";
import type { vma_entry } from "../../images/gen/mm_pb.ts";
import { ARCH_MAP_VDSO_32, ARCH_MAP_VDSO_64 } from "../../kernel/abi/arch-prctl.x86_64.ts";
import * as mman from "../../kernel/abi/mman.ts";
import { SYS_arch_prctl, SYS_mmap, SYS_mprotect } from "../../kernel/abi/syscalls.x86_64.ts";
import { readMaps } from "../../kernel/procfs/maps.ts";
import { log } from "../../log.ts";
import { readMemory } from "../../sys/process.ts";
import type { TaskImage, TaskPlan } from "../kind.ts";
import { isCompatTask } from "../task/registers.ia32.ts";
import { findPlaceNear, JUMP_LENGTH, pairFunctions, writeJumps } from "./vdso-proxy.x86_64.ts";
import { readVdsoSymbols } from "./vdso-symbols.ts";
import { VMA_AREA_HEAP, VMA_AREA_VDSO, VMA_AREA_VVAR } from "./vma.ts";

/** vvar and vdso of a process: one behind the other. */
export interface VdsoLayout {
	vvarStart: bigint;
	vvarLength: bigint;
	vdsoStart: bigint;
	vdsoLength: bigint;
}

/** A layout and the vdso's bytes. */
export interface Vdso {
	layout: VdsoLayout;
	bytes: Uint8Array;
}

/** What a task gets: this kernel's vdso in its place, or somewhere else with the old one leading there. */
export type VdsoChoice = "in-place" | "proxy";

/** No kernel's __kernel_vsyscall is longer. */
const VSYSCALL_LENGTH = 32;

/** More than any temporary mapping takes. */
const SCRATCH_ROOM = 1n << 36n;

const nameDecoder = new TextDecoder("latin1");

/** Layout and vdso that this kernel gives to programs of 64-bit code: as our own process has them. */
export function readHostVdso(): Vdso | undefined {
	return readVdsoOf("self");
}

/** The same for programs of 32-bit code; undefined where the kernel runs none. */
export function readHostVdso32(): Vdso | undefined {
	return askIa32Process(readVdsoOf);
}

function readVdsoOf(pid: number | "self"): Vdso | undefined {
	let vvar: { start: bigint; end: bigint } | undefined;
	let vdso: { start: bigint; end: bigint } | undefined;
	for (const vma of readMaps(pid)) {
		const name = nameDecoder.decode(vma.name);
		if (name.startsWith("[vvar")) vvar = { start: vvar?.start ?? vma.start, end: vma.end };
		else if (name === "[vdso]") vdso = { start: vma.start, end: vma.end };
	}
	if (vvar === undefined || vdso === undefined) return undefined;
	return {
		layout: {
			vvarStart: vvar.start,
			vvarLength: vvar.end - vvar.start,
			vdsoStart: vdso.start,
			vdsoLength: vdso.end - vdso.start,
		},
		bytes: readMemory(pid === "self" ? process.pid : pid, vdso.start, Number(vdso.end - vdso.start)),
	};
}

/** The layout that an image holds; undefined when the task had no vdso. */
export function findImageVdso(vmas: readonly vma_entry[]): VdsoLayout | undefined {
	const vvar = vmas.find((vma) => (vma.status & VMA_AREA_VVAR) !== 0);
	const vdso = vmas.find((vma) => (vma.status & VMA_AREA_VDSO) !== 0);
	if (vvar === undefined || vdso === undefined) return undefined;
	return {
		vvarStart: vvar.start,
		vvarLength: vvar.end - vvar.start,
		vdsoStart: vdso.start,
		vdsoLength: vdso.end - vdso.start,
	};
}

function foreign(what: string): UnsupportedError {
	return new UnsupportedError("FOREIGN_VDSO", `the images come from another kernel: ${what}`, {
		remedy: "restore on a host with the same kernel build and CPU family",
	});
}

function isSameLayout(a: VdsoLayout, b: VdsoLayout): boolean {
	return (
		a.vvarLength === b.vvarLength &&
		a.vdsoLength === b.vdsoLength &&
		a.vdsoStart - a.vvarStart === b.vdsoStart - b.vvarStart
	);
}

/** Functions of the same names at the same places: kernels patch their code for the CPU, so bytes may differ all the same. */
function hasSameFunctions(image: Vdso, host: Vdso): boolean {
	const [a, b] = [image, host].map(({ bytes }) => readVdsoSymbols(bytes));
	if (a === undefined || b === undefined || a.size === 0 || a.size !== b.size) return false;
	return [...a].every(([name, offset]) => b.get(name) === offset);
}

/** `int $0x80` in the function by which 32-bit programs make their calls: what comes behind it is the same in all kernels. */
function isAtCall32({ bytes }: Vdso, offset: number): boolean {
	const start = readVdsoSymbols(bytes)?.get("__kernel_vsyscall");
	if (start === undefined || offset - start < JUMP_LENGTH || offset - start > VSYSCALL_LENGTH) return false;
	return [offset - 2, offset].some((at) => bytes[at] === 0xcd && bytes[at + 1] === 0x80);
}

/**
 * How a task of an image gets a vdso here.
 *
 * @throws UnsupportedError FOREIGN_VDSO when it can't have one
 */
export function chooseVdso(task: TaskImage, image: Vdso, host: Vdso | undefined): VdsoChoice {
	if (host === undefined) throw foreign("this one has no vdso");
	const sameLayout = isSameLayout(image.layout, host.layout);
	if (sameLayout && Buffer.compare(host.bytes, image.bytes) === 0) return "in-place";
	const { vdsoStart, vdsoLength } = image.layout;
	for (const { tid, core } of [task, ...task.threads]) {
		const ip = core.threadInfo?.gpregs?.ip ?? 0n;
		const isInside = ip >= vdsoStart && ip < vdsoStart + vdsoLength;
		if (isInside && !isAtCall32(image, Number(ip - vdsoStart)))
			throw foreign(`thread ${tid} was just in a function of its vdso, which this one hasn't: dump once more`);
	}
	return sameLayout && hasSameFunctions(image, host) ? "in-place" : "proxy";
}

function mapHostVdso(program: Program, task: TaskImage, at: bigint): void {
	const which = isCompatTask(task) ? ARCH_MAP_VDSO_32 : ARCH_MAP_VDSO_64;
	program.syscall(`map the vdso at 0x${at.toString(16)}`, SYS_arch_prctl, [which, at], {
		remedies: {
			EINVAL: "the kernel needs CONFIG_CHECKPOINT_RESTORE",
			EEXIST: "this is a bug in criu: please report it with the log file",
		},
	});
}

/** Adds the call that maps this kernel's vdso where the dumped one was. */
export function planVdsoInPlace(program: Program, task: TaskImage, image: VdsoLayout): void {
	mapHostVdso(program, task, image.vvarStart);
}

/**
 * Adds what maps this kernel's vdso near the dumped one, whose pages come back with jumps to it.
 *
 * @throws UnsupportedError FOREIGN_VDSO
 */
export function planVdsoProxy(
	program: Program,
	task: TaskImage,
	mappings: readonly vma_entry[],
	image: Vdso,
	host: Vdso,
	plan: TaskPlan,
): void {
	const { layout } = image;
	const [old, own] = [image, host].map(({ bytes }) => readVdsoSymbols(bytes));
	if (old === undefined || own === undefined) throw foreign("its vdso is no library");
	const { jumps, kept, problem } = pairFunctions(old, own, image.bytes.length);
	if (problem !== undefined) throw foreign(`its vdso can't be led to this one: ${problem}`);
	const limit = isCompatTask(task) ? PLACE_LIMIT_32 : undefined;
	const place = findPlaceNear(layout.vdsoStart, hostLength(host.layout), listTaken(mappings, plan), limit);
	if (place === undefined) throw foreign("the program has no room near its vdso for this one's");
	const ownStart = place + (host.layout.vdsoStart - host.layout.vvarStart);
	log.info(
		`task ${task.tid}: its vdso is another kernel's: ${jumps.size} functions lead to this one's at 0x${ownStart.toString(16)}` +
			`${kept.length > 0 ? `, ${kept.join(", ")} stay as they are` : ""}`,
	);
	mapHostVdso(program, task, place);
	const bytes = writeJumps(image.bytes, jumps, layout.vdsoStart, ownStart);
	const map = (what: string, start: bigint, length: bigint, prot: number) =>
		program.syscall(
			what,
			SYS_mmap,
			[start, length, prot, mman.MAP_PRIVATE | mman.MAP_ANONYMOUS | mman.MAP_FIXED_NOREPLACE, -1, 0],
			{ check: { equal: start }, remedies: { ENOMEM: "free memory" } },
		);
	map("map the old vdso", layout.vdsoStart, layout.vdsoLength, mman.PROT_READ | mman.PROT_WRITE);
	program.copy("write the old vdso", layout.vdsoStart, bytes, bytes.length);
	program.syscall("protect the old vdso", SYS_mprotect, [
		layout.vdsoStart,
		layout.vdsoLength,
		mman.PROT_READ | mman.PROT_EXEC,
	]);
	map("map zeros for the old vdso", layout.vvarStart, layout.vvarLength, mman.PROT_READ);
}

function hostLength({ vvarStart, vdsoStart, vdsoLength }: VdsoLayout): bigint {
	return vdsoStart + vdsoLength - vvarStart;
}

/** Addresses that the task uses, or that its making needs. */
function listTaken(mappings: readonly vma_entry[], plan: TaskPlan) {
	const taken = mappings.map(({ start, end, flags, status }) => {
		const range = { start, end };
		if ((flags & mman.MAP_GROWSDOWN) !== 0) return { ...range, grows: "down" as const };
		return (status & VMA_AREA_HEAP) !== 0 ? { ...range, grows: "up" as const } : range;
	});
	const all = [...taken, plan.area, { start: plan.lasting, end: plan.scratch + SCRATCH_ROOM }];
	return all.sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
}
