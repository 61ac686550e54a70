// SPDX-License-Identifier: GPL-2.0-only
// Folders that are gone and have to be there for a moment, so that a file can get its old name in them. One agent makes and
// removes all of them. Source: mkdir(2), rmdir(2).

import { rmdirSync } from "node:fs";
import type { Program } from "../../agent/program.ts";
import { isErrno } from "../../errors.ts";
import { SYS_mkdir, SYS_rmdir } from "../../kernel/abi/syscalls.x86_64.ts";
import { showPath, statPath, toCString } from "../../sys/file.ts";

const SLASH = 0x2f;

/** True when a name is in use, as far as can be seen from here. */
export function isTaken(path: Uint8Array): boolean {
	try {
		statPath(path, { follow: false });
		return true;
	} catch (error) {
		if (isErrno(error, "ENOENT", "ENOTDIR")) return false;
		throw error;
	}
}

function folderOf(path: Uint8Array): Uint8Array {
	return path.subarray(0, Math.max(path.lastIndexOf(SLASH), 1));
}

/** The topmost folder above a path that isn't there; undefined when all are. */
export function findMissingFolder(path: Uint8Array): Uint8Array | undefined {
	let missing: Uint8Array | undefined;
	for (let at = folderOf(path); at.length > 1 && !isTaken(at); at = folderOf(at)) missing = at;
	return missing;
}

/** Folders made by a program, below and including one that is missing. */
export class MissingFolders {
	private readonly made = new Map<string, Uint8Array>();

	/** A restore that fails in between removes them again, where they're empty. */
	constructor(
		private readonly program: Program,
		private readonly top: Uint8Array,
		private readonly undo: (() => void)[],
	) {}

	has(path: Uint8Array): boolean {
		return this.made.has(showKey(path));
	}

	/** Notes a folder that something else has made. */
	note(path: Uint8Array): void {
		this.made.set(showKey(path), path);
		this.undo.unshift(() => removeFolder(path));
	}

	/** Makes the missing folders above a path. */
	makeAbove(path: Uint8Array): void {
		const folder = folderOf(path);
		if (folder.length < this.top.length || this.has(folder)) return;
		this.makeAbove(folder);
		this.program.syscall(`create ${showPath(folder)} for a moment`, SYS_mkdir, [toCString(folder), 0o700], {
			remedies: {
				EROFS: "the file system is read-only: mount it writable for the restore",
				EEXIST: "somebody just made a folder of that name: try again",
				ENOSPC: "make room on the file system",
			},
		});
		this.note(folder);
	}

	/** Removes all of them, the innermost first; `after` runs for each one when it's gone. */
	removeAll(after: (path: Uint8Array) => void = () => {}): void {
		for (const path of [...this.made.values()].reverse()) {
			this.program.syscall(`remove ${showPath(path)}`, SYS_rmdir, [toCString(path)]);
			after(path);
		}
		this.made.clear();
	}
}

/** Bytes as text without loss. */
function showKey(path: Uint8Array): string {
	return Buffer.from(path).toString("latin1");
}

/** Removes a folder when it's there and empty. */
export function removeFolder(path: Uint8Array): void {
	try {
		rmdirSync(Buffer.from(path));
	} catch (error) {
		if (!["ENOENT", "ENOTEMPTY", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
	}
}
