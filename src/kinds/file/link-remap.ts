// SPDX-License-Identifier: GPL-2.0-only
// A file that lost the name under which it's open, but has others, is kept by a hard link `link_remap.ID` beside the old name.
// Images: remap-fpath.img (LINKED) and a REG entry of the link's own. Source: linkat(2).

import { CriuError, isErrno, KernelError } from "../../errors.ts";
import { fd_types, file_entrySchema } from "../../images/gen/fdinfo_pb.ts";
import { reg_file_entrySchema } from "../../images/gen/file_pb.ts";
import { create } from "../../images/index.ts";
import { AT_FDCWD, AT_SYMLINK_FOLLOW } from "../../kernel/abi/fcntl.ts";
import { SYS_faccessat, SYS_linkat, SYS_read, SYS_unlink } from "../../kernel/abi/syscalls.x86_64.ts";
import { scopedFd, showPath, toCString } from "../../sys/file.ts";
import { mustSyscall, syscall } from "../../sys/host.ts";
import { getPidfdFd, openPidfd } from "../../sys/process.ts";
import type { DumpContext, RestoreContext, TaskPlan } from "../kind.ts";
import { concatBytes, type NamedFile, rootPrefix } from "./file-path.ts";
import { emptyFown } from "./fown.ts";
import { countUnread } from "./unread.ts";

const ENOENT = 2;
const EEXIST = 17;
const ENOTDIR = 20;
const MAX_TRIES = 1000;
const SLASH = 0x2f;

/** The directory part of a path with its final slash. */
function directoryOf(path: Uint8Array): Uint8Array {
	return path.slice(0, path.lastIndexOf(SLASH) + 1);
}

function isThere(path: Uint8Array): boolean {
	return syscall(SYS_faccessat, AT_FDCWD, toCString(path), 0) === 0;
}

function tryLink(file: NamedFile, target: Uint8Array, prefix: Uint8Array): number {
	const source = toCString(`/proc/self/fd/${file.ownFd}`);
	return syscall(SYS_linkat, AT_FDCWD, source, AT_FDCWD, toCString(concatBytes(prefix, target)), AT_SYMLINK_FOLLOW);
}

/**
 * Makes the link in the nearest directory that exists. Gives its path and id; undefined for a file that has no name in truth: an
 * overlay file system counts the name of the layer below.
 *
 * @throws CriuError LINK_REMAP
 */
function makeLink(
	file: NamedFile,
	name: Uint8Array,
	context: DumpContext,
): { path: Uint8Array; id: number } | undefined {
	const prefix = rootPrefix(file.task, context);
	let id = context.files.newId();
	let directory = directoryOf(name);
	for (let tries = 0; tries < MAX_TRIES; tries++) {
		const path = concatBytes(directory, new TextEncoder().encode(`link_remap.${id}`));
		const ret = tryLink(file, path, prefix);
		if (ret === 0) return { path, id };
		if (ret === -EEXIST) id = context.files.newId();
		else if (ret === -ENOENT && isThere(concatBytes(prefix, directory))) return undefined;
		else if ((ret === -ENOENT || ret === -ENOTDIR) && directory.length > 1)
			directory = directoryOf(directory.slice(0, -1));
		else
			throw new CriuError("LINK_REMAP", `${showPath(name)} can't be kept by a link ${showPath(path)}`, {
				cause: new KernelError("linkat", -ret, `of ${showPath(path)}`),
				remedy: "make the directory writable, or close the file in the program first",
			});
	}
	throw new CriuError("LINK_REMAP", `${showPath(name)} can't be kept: all names link_remap.N are taken`, {
		remedy: "remove the link_remap.* files that an earlier dump left",
	});
}

/** True for the names that dumps give to their links. */
export function isLinkName(path: Uint8Array): boolean {
	return /\/link_remap\.[0-9]+$/.test(new TextDecoder("latin1").decode(path));
}

/** Removes a link again. */
export function removeLink(path: Uint8Array): void {
	const ret = syscall(SYS_unlink, toCString(path));
	if (ret < 0 && !isErrno(new KernelError("unlink", -ret), "ENOENT"))
		throw new KernelError("unlink", -ret, `of ${showPath(path)}`);
}

/** Keeps a renamed file by a link, once for each inode. Gives the id of the link's REG entry; undefined when it has no name at all. */
export function dumpLinkRemap(file: NamedFile, name: Uint8Array, context: DumpContext): number | undefined {
	const { stat, task } = file;
	return context.once(`link-remap:${stat.devMajor}:${stat.devMinor}:${stat.ino}`, () => {
		const made = makeLink(file, name, context);
		if (made === undefined) return undefined;
		const { path, id } = made;
		const prefix = rootPrefix(task, context);
		context.files.onFailure(() => removeLink(concatBytes(prefix, path)));
		const reg = create(reg_file_entrySchema, { id, flags: 0, pos: 0n, fown: emptyFown(), name: path });
		context.files.add(create(file_entrySchema, { type: fd_types.REG, id, reg }));
		return id;
	});
}

/** Links that a restore has used: removed once, when everything else is done. */
class UsedLinks {
	private readonly paths = new Map<number, Uint8Array>();
	private removed = false;

	add(id: number, path: Uint8Array): void {
		this.paths.set(id, path);
	}

	/** True when there were any. */
	remove(): boolean {
		if (!this.removed) for (const path of this.paths.values()) removeLink(path);
		this.removed = true;
		return this.paths.size > 0;
	}
}

function usedLinks(context: RestoreContext): UsedLinks {
	return context.once("used-links", () => new UsedLinks());
}

/** Lets a link go when the restore has succeeded. */
export function removeAfterwards(id: number, path: Uint8Array, plan: TaskPlan, context: RestoreContext): void {
	const links = usedLinks(context);
	links.add(id, path);
	plan.beforeDetach.push({ what: `remove ${showPath(path)}`, run: () => void links.remove() });
}

/** Throws away what an inotify of a task has heard of the removal of links. */
export function forgetRemovals(number: number, plan: TaskPlan, context: RestoreContext): void {
	const links = usedLinks(context);
	const run = (pid: number) => {
		if (links.remove()) readEvents(pid, number);
	};
	plan.beforeDetach.push({ what: `forget what fd ${number} has heard of links of criu`, run });
}

function readEvents(pid: number, number: number): void {
	using process = scopedFd(openPidfd(pid));
	using file = scopedFd(getPidfdFd(process.fd, number));
	for (;;) {
		const length = countUnread(file.fd);
		if (length === 0) return;
		mustSyscall("of an inotify", SYS_read, file.fd, new Uint8Array(length), length);
	}
}
