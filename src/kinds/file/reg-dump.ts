// SPDX-License-Identifier: GPL-2.0-only
// The entry of a file that is known by its name, whoever refers to it: a descriptor, a mapping, exe, cwd, root, a terminal.
// Images: files.img (reg_file_entry).

import { BugError } from "../../errors.ts";
import { fd_types, type file_entry, file_entrySchema } from "../../images/gen/fdinfo_pb.ts";
import { reg_file_entrySchema, remap_type } from "../../images/gen/file_pb.ts";
import type { fown_entry } from "../../images/gen/fown_pb.ts";
import { create } from "../../images/index.ts";
import { F_GETFL, O_ACCMODE, O_APPEND, O_CLOEXEC, O_PATH, O_WRONLY } from "../../kernel/abi/fcntl.ts";
import { S_IFMT, S_IFREG } from "../../kernel/abi/stat.ts";
import { SYS_fcntl } from "../../kernel/abi/syscalls.x86_64.ts";
import { showPath } from "../../sys/file.ts";
import { syscall } from "../../sys/host.ts";
import type { DumpContext } from "../kind.ts";
import { packBuildId, readBuildId, readBuildIdFd } from "./build-id.ts";
import { dumpDeadProcess, findDeadProcess } from "./dead-process.ts";
import { findExternalFile } from "./external.ts";
import { locateFile, type NamedFile } from "./file-path.ts";
import { addRemap, dumpGhost } from "./ghost-dump.ts";
import { dumpLinkRemap } from "./link-remap.ts";
import { isLeased } from "./locks.ts";
import { readSilently } from "./silent-read.ts";
import { dumpTmpfsFile } from "./tmpfs-dump.ts";
import { isWatched } from "./watches.ts";

const ELF_HEADER_SIZE = 64n;

/** How a file is open. */
export interface OpenState {
	readonly flags: number;
	readonly pos: bigint;
	readonly fown: fown_entry;
}

/** True when the size is worth comparing: what only appends may find the file longer. */
export function isSizeChecked(flags: number): boolean {
	return !((flags & O_ACCMODE) === O_WRONLY && (flags & O_APPEND) !== 0);
}

/** An open would break a lease and tell those who watch the file: then it's read by the descriptor there is, or not at all. */
function readBuildIdOf(file: NamedFile, name: Uint8Array, flags: number, context: DumpContext): Uint8Array | undefined {
	const { stat, ownFd, task } = file;
	if (!isLeased(stat, context) && !isWatched(stat, name, task, context)) return readBuildId(`/proc/self/fd/${ownFd}`);
	const isReadable = (flags & O_PATH) === 0 && (flags & O_ACCMODE) !== O_WRONLY && isOpenForReading(ownFd);
	return isReadable ? readBuildIdFd(ownFd, readSilently) : undefined;
}

/** Copies for mapped files are handles. */
function isOpenForReading(fd: number): boolean {
	return (syscall(SYS_fcntl, fd, F_GETFL) & O_PATH) === 0;
}

/** Makes the entry; a file without its name gets what replaces the name. @throws CriuError, KernelError */
export function encodeRegFile(file: NamedFile, state: OpenState, id: number, context: DumpContext): file_entry {
	const { stat } = file;
	const external = findExternalFile(file, context);
	if (external !== undefined) return encodeExternal(external, stat.mode, state, id);
	const { state: where, name } = locateFile(file, context);
	if (where === "unreachable") throw new BugError(`${showPath(name)} was not refused`);
	const deadPid = where === "renamed" ? findDeadProcess(file, name) : undefined;
	if (deadPid !== undefined) dumpDeadProcess(deadPid, id, context);
	const isRenamed = where === "renamed" && deadPid === undefined;
	const link = isRenamed ? dumpLinkRemap(file, name, context) : undefined;
	const isGhost = where === "gone" || (isRenamed && link === undefined);
	if (isGhost) addRemap(context, id, dumpGhost(file, context), remap_type.GHOST);
	if (link !== undefined) addRemap(context, id, link, remap_type.LINKED);
	if (where === "there") dumpTmpfsFile(file, name, state.flags, context);
	const isRegular = (stat.mode & S_IFMT) === S_IFREG && isSizeChecked(state.flags);
	// Shorter ones can't be programs.
	const wantsId = isRegular && stat.size >= ELF_HEADER_SIZE && context.options.fileValidation === "buildid" && !isGhost;
	const buildId = wantsId ? readBuildIdOf(file, name, state.flags, context) : undefined;
	return create(file_entrySchema, {
		type: fd_types.REG,
		id,
		reg: create(reg_file_entrySchema, {
			id,
			flags: (state.flags & ~O_CLOEXEC) >>> 0,
			pos: BigInt.asUintN(64, state.pos),
			fown: state.fown,
			name,
			mode: stat.mode,
			...(isRegular ? { size: stat.size } : {}),
			...(buildId === undefined ? {} : { buildId: packBuildId(buildId) }),
		}),
	});
}

/** A file that a restore gets from its caller. */
function encodeExternal(key: string, mode: number, { flags, pos, fown }: OpenState, id: number): file_entry {
	return create(file_entrySchema, {
		type: fd_types.REG,
		id,
		reg: create(reg_file_entrySchema, {
			id,
			flags: (flags & ~O_CLOEXEC) >>> 0,
			pos: BigInt.asUintN(64, pos),
			fown,
			name: new TextEncoder().encode(key),
			ext: true,
			mode,
		}),
	});
}
