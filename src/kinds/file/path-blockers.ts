// SPDX-License-Identifier: GPL-2.0-only
// What stops a dump because of a file's name: it's gone and too large to travel, hidden, renamed, or out of reach.

import { type CriuError, UnsupportedError } from "../../errors.ts";
import { SECRETMEM_MAGIC } from "../../kernel/abi/magic.ts";
import { showPath } from "../../sys/file.ts";
import type { DumpContext } from "../kind.ts";
import { findDeadProcess } from "./dead-process.ts";
import { findExternalFile, keyOfFile, mountOf } from "./external.ts";
import { fileSystemOf, isOvermounted, isProcPath, isUnmounted, locateFile, type NamedFile } from "./file-path.ts";
import { findGhostBlockers } from "./ghost-dump.ts";

/** What stops a dump of a file because of its name. `what` names the reference: "fd 3", "the executable". */
export function findPathBlockers(file: NamedFile, what: string, context: DumpContext): CriuError[] {
	if (findExternalFile(file, context) !== undefined) return [];
	const { state, name } = locateFile(file, context);
	if (state === "there") return [];
	const object = `pid ${file.task.pid}: ${what} (${showPath(name)})`;
	const refuse = (code: string, reason: string, remedy: string) => [
		new UnsupportedError(code, `${object} ${reason}`, { remedy }),
	];
	if (fileSystemOf(file, context) === BigInt(SECRETMEM_MAGIC))
		return refuse(
			"SECRET_MEMORY",
			"is memory of memfd_secret(2), which the kernel shows to nobody else",
			"let the program unmap and close it first",
		);
	if (state === "gone") return findGhostBlockers(file, object, context);
	if (state === "unreachable" || (state === "renamed" && isUnmounted(file, context))) {
		const key = keyOfFile(mountOf(file), file.stat.ino);
		const external = `use --external ${key} at dump and --inherit-fd fd[N]:${key} at restore`;
		return refuse(
			"UNREACHABLE_FILE",
			"can't be reached by any path",
			`mount its file system again, close the file, or ${external}`,
		);
	}
	if (state === "renamed" && findDeadProcess(file, name) !== undefined) return [];
	if (isProcPath(name))
		return refuse("UNSUPPORTED_FILE", "belongs to a process that has ended", "close the file in the program first");
	if (isOvermounted(file, name, context))
		return refuse("OVERMOUNTED_FILE", "is hidden below another mount", "unmount what was mounted over it");
	if (!context.options.linkRemap)
		return refuse(
			"NEEDS_LINK_REMAP",
			"was deleted or renamed, and the file lives on under another name",
			"use --link-remap: it keeps the file by a temporary hard link beside the old name",
		);
	return [];
}
