// SPDX-License-Identifier: GPL-2.0-only
// The XSAVE area as ptrace and signal frames hold it (standard format): sizes and places of its components on this CPU.

import { cpuid } from "../sys/host.ts";

/** Components that the kernel hands out only on request (AMX); absent from frames unless in use. */
const DYNAMIC = (1n << 17n) | (1n << 18n);
const LEGACY_SIZE = 576;

export interface XsaveComponent {
	offset: number;
	size: number;
}

/** Place and size of a component (2 and up) from CPUID leaf 0xD; size 0 when the CPU lacks it. */
export function getXsaveComponent(number: number): XsaveComponent {
	const [size, offset] = cpuid(0xd, number);
	return { offset, size };
}

/** The user-visible features that the kernel has enabled, from the software bytes of a regset. */
export function enabledFeatures(xstate: Uint8Array): bigint {
	return new DataView(xstate.buffer, xstate.byteOffset).getBigUint64(464, true);
}

/** Which components hold anything but their initial state. */
export function xstateBv(xstate: Uint8Array): bigint {
	return new DataView(xstate.buffer, xstate.byteOffset).getBigUint64(512, true);
}

const sizes = new Map<bigint, number>();

/** Bytes of the standard format for a set of features. */
export function xsaveSize(features: bigint): number {
	let size = sizes.get(features);
	if (size !== undefined) return size;
	size = LEGACY_SIZE;
	for (let i = 2; i < 63; i++) {
		if (((features >> BigInt(i)) & 1n) === 0n) continue;
		const component = getXsaveComponent(i);
		size = Math.max(size, component.offset + component.size);
	}
	sizes.set(features, size);
	return size;
}

/** Features and size of the state that a signal frame of this task holds. */
export function frameFeatures(xstate: Uint8Array): { features: bigint; size: number } {
	let features = enabledFeatures(xstate);
	if ((xstateBv(xstate) & DYNAMIC) === 0n) features &= ~DYNAMIC;
	return { features, size: xsaveSize(features) };
}
