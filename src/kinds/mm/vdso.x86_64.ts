// SPDX-License-Identifier: GPL-2.0-only
// vdso and vvar: pages that the kernel maps into every process. A restored process gets this kernel's, at the address that
// the dumped one had; that works when both are alike. Source: vdso(7), arch_prctl(ARCH_MAP_VDSO_64).

import type { Program } from "../../agent/program.ts";
import { UnsupportedError } from "../../errors.ts";
import type { vma_entry } from "../../images/gen/mm_pb.ts";
import { ARCH_MAP_VDSO_64 } from "../../kernel/abi/arch-prctl.x86_64.ts";
import { SYS_arch_prctl } from "../../kernel/abi/syscalls.x86_64.ts";
import { readMaps } from "../../kernel/procfs/maps.ts";
import { readMemory } from "../../sys/process.ts";
import { VMA_AREA_VDSO, VMA_AREA_VVAR } from "./vma.ts";

/** vvar and vdso of a process: one behind the other. */
export interface VdsoLayout {
	vvarStart: bigint;
	vvarLength: bigint;
	vdsoStart: bigint;
	vdsoLength: bigint;
}

const nameDecoder = new TextDecoder("latin1");

/** This host's layout and vdso bytes, as our own process has them. */
export function readHostVdso(): { layout: VdsoLayout; bytes: Uint8Array } | undefined {
	let vvar: { start: bigint; end: bigint } | undefined;
	let vdso: { start: bigint; end: bigint } | undefined;
	for (const vma of readMaps("self")) {
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
		bytes: readMemory(process.pid, vdso.start, Number(vdso.end - vdso.start)),
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

/**
 * Adds the call that maps this kernel's vdso where the dumped one was.
 *
 * @throws UnsupportedError FOREIGN_VDSO when the two differ
 */
export function planVdso(
	program: Program,
	image: VdsoLayout,
	imageBytes: Uint8Array,
	host: ReturnType<typeof readHostVdso>,
): void {
	const differs = (what: string) =>
		new UnsupportedError("FOREIGN_VDSO", `the images come from another kernel: ${what}`, {
			remedy: "restore on a host with the same kernel build and CPU family",
		});
	if (host === undefined) throw differs("this one has no vdso");
	if (
		host.layout.vvarLength !== image.vvarLength ||
		host.layout.vdsoLength !== image.vdsoLength ||
		host.layout.vdsoStart - host.layout.vvarStart !== image.vdsoStart - image.vvarStart
	)
		throw differs("its vdso has another layout");
	if (Buffer.compare(host.bytes, imageBytes) !== 0) throw differs("its vdso has another content");
	program.syscall(
		`map the vdso at 0x${image.vvarStart.toString(16)}`,
		SYS_arch_prctl,
		[ARCH_MAP_VDSO_64, image.vvarStart],
		{
			remedies: {
				EINVAL: "the kernel needs CONFIG_CHECKPOINT_RESTORE",
				EEXIST: "this is a bug in criu: please report it with the log file",
			},
		},
	);
}
