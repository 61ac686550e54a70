// SPDX-License-Identifier: GPL-2.0-only
// What stops a dump because of a file's name: it's gone and too large to travel, hidden, renamed, or out of reach.

import { type CriuError, UnsupportedError } from "../../errors.ts";
import * as magic from "../../kernel/abi/magic.ts";
import { showPath } from "../../sys/file.ts";
import type { DumpContext } from "../kind.ts";
import { findDeadProcess } from "./dead-process.ts";
import { findExternalFile, keyOfFile, mountOf } from "./external.ts";
import { fileSystemOf, isOvermounted, isProcPath, isUnmounted, locateFile, type NamedFile } from "./file-path.ts";
import { findGhostBlockers } from "./ghost-dump.ts";

const CLOSE = "close it in the program first";
const UNMAP = "let the program unmap and close it first";
const END_MACHINE = "end the virtual machine first";

type Refusal = readonly [code: string, reason: string, remedy: string];

/** What looks like a file without a name, by the type of its file system, and is no file. Source: linux/magic.h. */
const OBJECTS: ReadonlyMap<number, Refusal> = new Map([
	[
		magic.SECRETMEM_MAGIC,
		["SECRET_MEMORY", "is memory of memfd_secret(2), which the kernel shows to nobody else", UNMAP],
	],
	[
		magic.GUEST_MEMFD_MAGIC,
		["UNSUPPORTED_FILE", "is memory of a virtual machine, which the kernel shows to nobody else", END_MACHINE],
	],
	[magic.DMA_BUF_MAGIC, ["UNSUPPORTED_FILE", "is a DMA buffer: it's memory of a device", UNMAP]],
	[magic.MQUEUE_MAGIC, ["UNSUPPORTED_FILE", "is a handle of a POSIX message queue that has no name any more", CLOSE]],
	[magic.DEVMEM_MAGIC, ["UNSUPPORTED_FILE", "is memory of a device", UNMAP]],
	[
		magic.BPF_FS_MAGIC,
		["UNSUPPORTED_FILE", "is a bpf token, or an object that isn't pinned any more: it can't be had again", CLOSE],
	],
]);

/** File systems in which the kernel shows its own objects: what is deleted there has no content that a file could have. */
const OF_KERNEL: ReadonlySet<number> = new Set([
	magic.SYSFS_MAGIC,
	magic.CGROUP_SUPER_MAGIC,
	magic.CGROUP2_SUPER_MAGIC,
	magic.DEBUGFS_MAGIC,
	magic.TRACEFS_MAGIC,
	magic.SECURITYFS_MAGIC,
	magic.BINDERFS_SUPER_MAGIC,
	magic.RDTGROUP_SUPER_MAGIC,
]);

/** What stops a dump of a file because of its name. `what` names the reference: "fd 3", "the executable". */
export function findPathBlockers(file: NamedFile, what: string, context: DumpContext): CriuError[] {
	if (findExternalFile(file, context) !== undefined) return [];
	const { state, name } = locateFile(file, context);
	if (state === "there") return [];
	const object = `pid ${file.task.pid}: ${what} (${showPath(name)})`;
	const refuse = (code: string, reason: string, remedy: string) => [
		new UnsupportedError(code, `${object} ${reason}`, { remedy }),
	];
	const system = Number(fileSystemOf(file, context) ?? 0n);
	const known = OBJECTS.get(system);
	if (known !== undefined) return refuse(...known);
	const refuseGone = () => refuse("UNSUPPORTED_FILE", "belongs to something of the kernel's that is gone", CLOSE);
	if (state === "gone") return OF_KERNEL.has(system) ? refuseGone() : findGhostBlockers(file, object, context);
	if (state === "unreachable" || (state === "renamed" && isUnmounted(file, context))) {
		const key = keyOfFile(mountOf(file), file.stat.ino);
		const external = `use --external ${key} at dump and --inherit-fd fd[N]:${key} at restore`;
		return refuse(
			"UNREACHABLE_FILE",
			"can't be reached by any path: its mount isn't attached where the process sees it",
			`mount its file system again, close the file, or ${external}`,
		);
	}
	if (state === "renamed" && findDeadProcess(file, name) !== undefined) return [];
	if (isProcPath(name))
		return refuse("UNSUPPORTED_FILE", "belongs to a process that has ended", "close the file in the program first");
	if (isOvermounted(file, name, context))
		return refuse("OVERMOUNTED_FILE", "is hidden below another mount", "unmount what was mounted over it");
	if (OF_KERNEL.has(system)) return refuseGone();
	if (!context.options.linkRemap)
		return refuse(
			"NEEDS_LINK_REMAP",
			"was deleted or renamed, and the file lives on under another name",
			"use --link-remap: it keeps the file by a temporary hard link beside the old name",
		);
	return [];
}
