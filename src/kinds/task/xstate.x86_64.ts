// SPDX-License-Identifier: GPL-2.0-only
// Floating point and vector state: the regset of NT_X86_XSTATE (XSAVE standard format) to the image's message and back.
//
//   0    fxsave: x87 and SSE        512  header: xstate_bv, xcomp_bv
//   464  the kernel's feature mask  576  components, places and sizes by CPUID leaf 0xD
//
// Source: Intel SDM volume 1 chapter 13, arch/x86/kernel/fpu/xstate.c. Images: core-PID.img, user_x86_fpregs_entry.

import { enabledFeatures, getXsaveComponent, type XsaveComponent, xstateBv } from "../../agent/xsave.x86_64.ts";
import { UnsupportedError } from "../../errors.ts";
import {
	user_x86_cet_entrySchema,
	type user_x86_fpregs_entry,
	user_x86_fpregs_entrySchema,
	type user_x86_xsave_entry,
	user_x86_xsave_entrySchema,
} from "../../images/gen/core_pb.ts";
import { create } from "../../images/index.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { UserFpregs } from "../../kernel/abi/user-regs.x86_64.ts";
import * as xs from "../../kernel/abi/xsave.x86_64.ts";
import { cpuid } from "../../sys/host.ts";

const FP_SSE = 3n;
const ST_WORDS = 32;
const XMM_WORDS = 64;
const MXCSR_BITS = 0xffff;
/** What Linux gives a new thread: access to key 0 alone. */
const PKRU_DEFAULT = 0x55555554;
const CPUID_OSXSAVE = 1 << 27;
const CPUID_SHSTK = 1 << 7;

/** The parts of the standard format that the image has arrays for. */
const ARRAYS = [
	{ component: xs.XFEATURE_YMM, field: "ymmhSpace", name: "ymmh_space", width: 4 },
	{ component: xs.XFEATURE_BNDREGS, field: "bndregState", name: "bndreg_state", width: 8 },
	{ component: xs.XFEATURE_BNDCSR, field: "bndcsrState", name: "bndcsr_state", width: 8 },
	{ component: xs.XFEATURE_OPMASK, field: "opmaskReg", name: "opmask_reg", width: 8 },
	{ component: xs.XFEATURE_ZMM_Hi256, field: "zmmUpper", name: "zmm_upper", width: 8 },
	{ component: xs.XFEATURE_Hi16_ZMM, field: "hi16Zmm", name: "hi16_zmm", width: 8 },
	{ component: xs.XFEATURE_PKRU, field: "pkru", name: "pkru", width: 4 },
] as const;

type ArraySpec = (typeof ARRAYS)[number];

const KEPT = ARRAYS.reduce((mask, { component }) => mask | xs.xfeatureBit(component), FP_SSE);

/** What this machine's regset looks like. */
export interface XstateHost {
	/** Bits of the components that it has. */
	readonly features: bigint;
	/** Bytes of the whole regset; the kernel takes no other length. */
	readonly size: number;
	readonly componentOf: (component: number) => XsaveComponent;
	/** The CPU has shadow stacks: images then hold an (empty) part about them. */
	readonly shadowStacks: boolean;
	readonly xsave: boolean;
}

/** Describes this machine. Costs a few cpuid instructions, which are slow in virtual machines: ask once. */
export function describeXstateHost(): XstateHost {
	const [, , ecx1] = cpuid(1, 0);
	const [, , ecx7] = cpuid(7, 0);
	const xsave = (ecx1 & CPUID_OSXSAVE) !== 0;
	const [low, size, , high] = xsave ? cpuid(0xd, 0) : [3, xs.XSAVE_EXTENDED_OFFSET, 0, 0];
	const places = new Map<number, XsaveComponent>();
	const componentOf = (component: number) => {
		const known = places.get(component) ?? getXsaveComponent(component);
		places.set(component, known);
		return known;
	};
	return {
		features: (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0),
		size,
		componentOf,
		shadowStacks: (ecx7 & CPUID_SHSTK) !== 0,
		xsave,
	};
}

/** Components in use that no image can hold (AMX, APX): their bits. */
export function findUnkeptComponents(xstate: Uint8Array): bigint {
	return xstateBv(xstate) & ~KEPT;
}

function readArray(view: DataView, place: XsaveComponent, width: 4 | 8): number[] | bigint[] {
	const count = place.size / width;
	// Loops, as this is done for each thread: a function called for each word costs several times as much.
	if (width === 4) {
		const words = new Array<number>(count);
		for (let i = 0; i < count; i++) words[i] = view.getUint32(place.offset + 4 * i, true);
		return words;
	}
	const words = new Array<bigint>(count);
	for (let i = 0; i < count; i++) words[i] = view.getBigUint64(place.offset + 8 * i, true);
	return words;
}

function encodeXsave(xstate: Uint8Array, host: XstateHost): user_x86_xsave_entry {
	const view = viewOf(xstate);
	const entry = create(user_x86_xsave_entrySchema, { xstateBv: xstateBv(xstate) });
	const features = enabledFeatures(xstate);
	for (const { component, field, width } of ARRAYS) {
		if ((features & xs.xfeatureBit(component)) === 0n) continue;
		const place = host.componentOf(component);
		if (place.size === 0 || place.offset + place.size > xstate.length) continue;
		Object.assign(entry, { [field]: readArray(view, place, width) });
	}
	if (host.shadowStacks) entry.cet = create(user_x86_cet_entrySchema, { cet: 0n, ssp: 0n });
	return entry;
}

/** The message for a regset as ptrace gave it. */
export function encodeXstate(xstate: Uint8Array, host: XstateHost): user_x86_fpregs_entry {
	const fx = UserFpregs.read(viewOf(xstate));
	const entry = create(user_x86_fpregs_entrySchema, {
		cwd: fx.cwd,
		swd: fx.swd,
		twd: fx.ftw,
		fop: fx.fop,
		rip: fx.rip,
		rdp: fx.rdp,
		mxcsr: fx.mxcsr,
		mxcsrMask: fx.mxcr_mask,
		stSpace: fx.st_space,
		xmmSpace: fx.xmm_space,
	});
	if (host.xsave) entry.xsave = encodeXsave(xstate, host);
	return entry;
}

/** Builds an error for a field of thread_info.fpregs. */
export type CorruptField = (problem: string) => Error;

function checkLegacy(entry: user_x86_fpregs_entry, corrupt: CorruptField): void {
	const check = (name: string, value: number, max: number) => {
		if (value > max) throw corrupt(`${name} is ${value}`);
	};
	check("cwd", entry.cwd, 0xffff);
	check("swd", entry.swd, 0xffff);
	check("twd", entry.twd, 0xffff);
	check("fop", entry.fop, 0xffff);
	// The kernel refuses state with other bits, and only in the last step.
	check("mxcsr", entry.mxcsr, MXCSR_BITS);
	if (entry.stSpace.length !== ST_WORDS)
		throw corrupt(`st_space has ${entry.stSpace.length} words, there must be ${ST_WORDS}`);
	if (entry.xmmSpace.length !== XMM_WORDS)
		throw corrupt(`xmm_space has ${entry.xmmSpace.length} words, there must be ${XMM_WORDS}`);
}

function writeLegacy(view: DataView, entry: user_x86_fpregs_entry): void {
	const fx = UserFpregs.encode({
		cwd: entry.cwd,
		swd: entry.swd,
		ftw: entry.twd,
		fop: entry.fop,
		rip: entry.rip,
		rdp: entry.rdp,
		mxcsr: entry.mxcsr,
		mxcr_mask: entry.mxcsrMask,
		st_space: entry.stSpace,
		xmm_space: entry.xmmSpace,
	});
	new Uint8Array(view.buffer, view.byteOffset, fx.length).set(fx);
}

function writeArray(view: DataView, place: XsaveComponent, values: readonly (number | bigint)[]): void {
	for (const [i, value] of values.entries()) {
		if (typeof value === "bigint") view.setBigUint64(place.offset + 8 * i, value, true);
		else view.setUint32(place.offset + 4 * i, value, true);
	}
}

/** Places one component; gives its bit, or 0 when it stays in its initial state. */
function placeComponent(
	view: DataView,
	xsave: user_x86_xsave_entry,
	spec: ArraySpec,
	host: XstateHost,
	corrupt: CorruptField,
): bigint {
	const bit = xs.xfeatureBit(spec.component);
	const values: readonly (number | bigint)[] = xsave[spec.field];
	const place = host.componentOf(spec.component);
	const here = (host.features & bit) !== 0n && place.size > 0 && place.offset + place.size <= host.size;
	if (spec.component === xs.XFEATURE_PKRU && here && values.length === 0) {
		view.setUint32(place.offset, PKRU_DEFAULT, true);
		return bit;
	}
	if ((xsave.xstateBv & bit) === 0n || values.length === 0) return 0n;
	if (!here)
		throw new UnsupportedError("MISSING_CPU_STATE", `the task uses registers that this CPU lacks: ${spec.name}`, {
			remedy: "restore on a CPU with the same vector extensions",
		});
	if (values.length * spec.width !== place.size)
		throw corrupt(`xsave.${spec.name} has ${values.length} elements, there must be ${place.size / spec.width}`);
	writeArray(view, place, values);
	return bit;
}

/**
 * The regset that sets the state of a message on this machine.
 *
 * @throws UnsupportedError MISSING_CPU_STATE naming the component; whatever `corrupt` makes for a damaged field
 */
export function decodeXstate(entry: user_x86_fpregs_entry, host: XstateHost, corrupt: CorruptField): Uint8Array {
	checkLegacy(entry, corrupt);
	const { xsave } = entry;
	const bytes = new Uint8Array(host.size);
	const view = viewOf(bytes);
	writeLegacy(view, entry);
	let present = FP_SSE;
	if (xsave !== undefined) {
		const unknown = xsave.xstateBv & ~KEPT;
		if (unknown !== 0n)
			throw new UnsupportedError(
				"MISSING_CPU_STATE",
				`the task uses registers that images don't hold: bits 0x${unknown.toString(16)}`,
				{
					remedy: "dump again with a criu that keeps them",
				},
			);
		if (xsave.cet !== undefined && (xsave.cet.cet & 1n) !== 0n)
			throw new UnsupportedError(
				"UNSUPPORTED_SHSTK",
				"the task uses a shadow stack, which this version doesn't restore",
				{
					remedy: "dump the program again with shadow stacks off (GLIBC_TUNABLES=glibc.cpu.x86_shstk=off)",
				},
			);
		for (const spec of ARRAYS) present |= placeComponent(view, xsave, spec, host, corrupt);
	}
	view.setBigUint64(xs.XSAVE_SW_XFEATURES_OFFSET, host.features & KEPT, true);
	view.setBigUint64(xs.XSAVE_HEADER_OFFSET, present, true);
	return bytes;
}
