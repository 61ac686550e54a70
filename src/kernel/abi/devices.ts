// SPDX-License-Identifier: GPL-2.0-only
// Device numbers in their two encodings: the kernel's internal one (12 bits major, 20 bits minor; fdinfo `sdev`, inotify and
// irmap images) and the user-space one of stat(2) (minor split around the major).
// Source: include/linux/kdev_t.h (MKDEV, new_encode_dev), makedev(3).

/** A device as two numbers. */
export interface Device {
	major: number;
	minor: number;
}

/** Bits of the minor in the kernel's internal encoding. */
export const MINORBITS = 20;
const MINORMASK = (1 << MINORBITS) - 1;

/** Kernel encoding: major << 20 | minor, as an unsigned 32-bit number. */
export function toKernelDev(major: number, minor: number): number {
	return ((major << MINORBITS) | (minor & MINORMASK)) >>> 0;
}

/** Splits the kernel encoding; `dev` is an unsigned 32-bit number. */
export function fromKernelDev(dev: number): Device {
	return { major: dev >>> MINORBITS, minor: dev & MINORMASK };
}

/** User encoding of st_dev and st_rdev, as C libraries compose it (64 bits). */
export function toUserDev(major: number, minor: number): bigint {
	const high = BigInt(major >>> 0);
	const low = BigInt(minor >>> 0);
	return (low & 0xffn) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | ((high & 0xfffff000n) << 32n);
}

/** Splits the user encoding of st_dev and st_rdev. */
export function fromUserDev(dev: bigint): Device {
	return {
		major: Number(((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n)),
		minor: Number((dev & 0xffn) | ((dev >> 12n) & 0xffffff00n)),
	};
}

/** From the kernel encoding to the one of stat(2). */
export function kernelToUserDev(dev: number): bigint {
	const { major, minor } = fromKernelDev(dev);
	return toUserDev(major, minor);
}

/** From the encoding of stat(2) to the kernel's. */
export function userToKernelDev(dev: bigint): number {
	const { major, minor } = fromUserDev(dev);
	return toKernelDev(major, minor);
}
