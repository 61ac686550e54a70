// SPDX-License-Identifier: GPL-2.0-only
// Device nodes: those that are as good when they're opened anew, and those that can't be kept, by what they're for.
// Source: Documentation/admin-guide/devices.txt, /proc/devices, /proc/misc.

import { isErrno } from "../../errors.ts";
import { S_IFCHR, S_IFMT } from "../../kernel/abi/stat.ts";
import { readProcFile } from "../../kernel/procfs/reader.ts";
import type { FdFacts, UnsupportedFileKind } from "../kind.ts";

/** The major number of devices of all sorts. */
export const MISC = 10;

const CLOSE = "close it in the program first";
const OUTSIDE = "what it's connected to isn't part of the process";

const isCharDevice = ({ stat }: FdFacts) => (stat.mode & S_IFMT) === S_IFCHR;

/** Says whether a descriptor is of a character device with this number. */
export function hasNumber(major: number, minor?: number): (file: FdFacts) => boolean {
	return (file) =>
		isCharDevice(file) && file.stat.rdevMajor === major && (minor === undefined || file.stat.rdevMinor === minor);
}

/** The name that a list of the kernel's has for a number: "  10 misc". */
function findListed(list: string, number: number): string | undefined {
	let text: string;
	try {
		text = Buffer.from(readProcFile(list)).toString("latin1");
	} catch (error) {
		if (isErrno(error, "ENOENT", "EACCES")) return undefined;
		throw error;
	}
	const [characters = ""] = text.split("Block devices:");
	return new RegExp(`^ *${number} (\\S+)$`, "m").exec(characters)?.[1];
}

/** The driver of a character device, as the kernel calls it; some have no number of their own for good. */
export function findDriver({ stat }: FdFacts): string | undefined {
	return stat.rdevMajor === MISC
		? findListed("/proc/misc", stat.rdevMinor)
		: findListed("/proc/devices", stat.rdevMajor);
}

/** The driver in brackets, behind "device". */
export function nameDriver(file: FdFacts): string {
	const { rdevMajor, rdevMinor } = file.stat;
	const driver = findDriver(file);
	return ` (${driver === undefined ? "" : `${driver}, `}character device ${rdevMajor}:${rdevMinor})`;
}

/** One of the devices of all sorts whose number may differ from kernel to kernel, by its driver. */
function hasDriver(name: string): (file: FdFacts) => boolean {
	const isMisc = hasNumber(MISC);
	return (file) => isMisc(file) && findDriver(file) === name;
}

const MEM_MAJOR = 1;

/** Numbers of devices that keep nothing for who has them open: requests stand for themselves, objects have files of their own. */
const STATELESS: readonly ((file: FdFacts) => boolean)[] = [
	hasNumber(MEM_MAJOR),
	hasNumber(202),
	hasNumber(203),
	...[183, 232, 234, 235, 237].map((minor) => hasNumber(MISC, minor)),
	hasDriver("userfaultfd"),
	hasDriver("vsock"),
];

/**
 * True for a character device that may be opened anew: memory, registers of processors, random numbers, and where others are
 * asked for (loop devices, btrfs, autofs, KVM, userfaultfd, the number of a machine among vsocks).
 */
export function isStatelessDevice(file: FdFacts): boolean {
	return isCharDevice(file) && STATELESS.some((matches) => matches(file));
}

function device(
	name: string,
	matches: (file: FdFacts) => boolean,
	reason: string,
	remedy = CLOSE,
): UnsupportedFileKind {
	return { name, type: undefined, unsupported: true, matches, reason, remedy };
}

/** Devices with a state that is known to be lost. */
export const DEVICES: readonly UnsupportedFileKind[] = [
	device(
		"connection of a FUSE file system",
		hasNumber(MISC, 229),
		"the kernel waits there for answers about a file system that this process serves",
		"unmount the file system first",
	),
	device("CUSE device", hasNumber(MISC, 203), "the kernel waits there for answers about a device that it serves"),
	device("switch of radio devices (rfkill)", hasNumber(MISC, 242), "the kernel keeps for it what has changed"),
	device("virtual input device (uinput)", hasNumber(MISC, 223), "its device would be gone"),
	device("group of devices given to user space (VFIO)", hasNumber(MISC, 196), OUTSIDE),
	device("network of a virtual machine (vhost)", hasNumber(MISC, 238), OUTSIDE, "end the virtual machine first"),
	device("vsock of a virtual machine (vhost)", hasNumber(MISC, 241), OUTSIDE, "end the virtual machine first"),
	device("watchdog", hasNumber(MISC, 130), "the machine restarts when nobody feeds it", "stop it in the program first"),
	device(
		"bound of the processors' wake-up time (cpu_dma_latency)",
		hasDriver("cpu_dma_latency"),
		"it holds for the whole machine as long as it's open",
	),
	device("NT synchronisation device", hasDriver("ntsync"), "the kernel doesn't tell its state"),
	device("IOMMU given to user space (iommufd)", hasDriver("iommu"), OUTSIDE),
	device("sound device", hasNumber(116), "its state is in the device's driver, not in the process"),
	device("graphics device", hasNumber(226), "its memory is in the device, not in the process"),
	device("input device", hasNumber(13), "the kernel keeps for it what was typed and moved"),
	device("screen of a virtual console", hasNumber(7), "the console isn't part of the process"),
];
