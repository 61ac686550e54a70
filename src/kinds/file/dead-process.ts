// SPDX-License-Identifier: GPL-2.0-only
// Files below /proc/PID of a process that has ended: they can be opened, and be a working directory, only while there's a process
// of that pid, so a restore makes one for that time. Images: remap-fpath.img (PROCFS; one entry for each pid). Source: proc(5).

import { standIn } from "../../agent/ended-process.x86_64.ts";
import type { OpRef, Program } from "../../agent/program.ts";
import { CriuError, isErrno } from "../../errors.ts";
import { type reg_file_entry, remap_type } from "../../images/gen/file_pb.ts";
import { F_DUPFD, SEEK_SET } from "../../kernel/abi/fcntl.ts";
import { S_IFMT } from "../../kernel/abi/stat.ts";
import { SYS_fcntl, SYS_lseek } from "../../kernel/abi/syscalls.x86_64.ts";
import { closeFd, openAt, showPath, statPath } from "../../sys/file.ts";
import { mustSyscall } from "../../sys/host.ts";
import type { DumpContext, RestoreContext, TaskPlan } from "../kind.ts";
import type { NamedFile } from "./file-path.ts";
import { addRemap } from "./ghost-dump.ts";
import { corruptImage } from "./image-checks.ts";
import { keptFilesOf } from "./kept-files.ts";
import { readRemaps } from "./remaps.ts";

/** What every process has; what hangs on its threads, files and mappings is of that one alone. */
const PATH = /^\/proc\/([1-9][0-9]{0,6})(\/(?:(?:attr|net)\/)?[a-z][a-z0-9_]*)?$/;
const decoder = new TextDecoder("latin1");

/** The pid in such a path; undefined for other paths. */
export function pidOfPath(name: Uint8Array): number | undefined {
	const [, pid] = PATH.exec(decoder.decode(name)) ?? [];
	return pid === undefined ? undefined : Number(pid);
}

/** The pid by which a file can be opened again whose process has ended; undefined for other files. `name`: its path. */
export function findDeadProcess({ stat }: NamedFile, name: Uint8Array): number | undefined {
	const [, pid, rest = ""] = PATH.exec(decoder.decode(name)) ?? [];
	if (pid === undefined) return undefined;
	try {
		const own = statPath(`/proc/self${rest}`, { follow: rest === "" });
		const isAlike = own.devMajor === stat.devMajor && own.devMinor === stat.devMinor;
		return isAlike && (own.mode & S_IFMT) === (stat.mode & S_IFMT) ? Number(pid) : undefined;
	} catch (error) {
		if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
		throw error;
	}
}

/** Notes that a file needs a process of that pid; files of one process share one entry. */
export function dumpDeadProcess(pid: number, id: number, context: DumpContext): void {
	context.once(`dead-process:${pid}`, () => addRemap(context, id, pid, remap_type.PROCFS));
}

/** Pids for which a restore has to make processes. */
function deadPids(context: RestoreContext): ReadonlySet<number> {
	return context.once("dead-pids", () => {
		const remaps = [...readRemaps(context).values()];
		return new Set(remaps.flatMap(({ type, id }) => (type === remap_type.PROCFS ? [id] : [])));
	});
}

/** Processes that stand in, with what ends them: a plan that is made again finds them still there. */
const standIns = new Map<number, () => void>();

function endStandIn(pid: number): void {
	const end = standIns.get(pid);
	standIns.delete(pid);
	end?.();
}

function needProcess(pid: number): void {
	if (standIns.has(pid)) return;
	try {
		standIns.set(pid, standIn(pid));
	} catch (error) {
		throw new CriuError("PID_TAKEN", `no process can have pid ${pid}, of which a file in /proc is open`, {
			cause: error,
			remedy: "end the process that has it, or restore with --new-pidns into a pid namespace of its own",
		});
	}
}

function openOf({ name, pos }: reg_file_entry, flags: number): number {
	let fd: number | undefined;
	try {
		fd = openAt(name, flags);
		// Later there's nothing in it to seek through.
		if (pos > 0n && pos < 1n << 63n) mustSyscall("to where it was", SYS_lseek, fd, pos, SEEK_SET);
		return fd;
	} catch (error) {
		if (fd !== undefined) closeFd(fd);
		throw new CriuError("FILE_MISSING", `${showPath(name)} can't be opened`, {
			cause: error,
			remedy: "it belonged to a process that had ended: restore on a kernel that has such files",
		});
	}
}

/**
 * Adds what gives a task a file of a process that had ended; undefined for all other files. `flags`: of open(2).
 *
 * @throws ImageError, CriuError PID_TAKEN, FILE_MISSING
 */
export function planOfDeadProcess(
	program: Program,
	reg: reg_file_entry,
	flags: number,
	plan: TaskPlan,
	context: RestoreContext,
): OpRef | undefined {
	const remaps = readRemaps(context);
	if (remaps.size === 0) return undefined;
	const pid = pidOfPath(reg.name);
	const remap = remaps.get(reg.id);
	if (remap?.type === remap_type.PROCFS && remap.id !== pid)
		throw corruptImage("remap-fpath.img", `${showPath(reg.name)} is no file of pid ${remap.id}`);
	if (pid === undefined || (remap !== undefined && remap.type !== remap_type.PROCFS) || !deadPids(context).has(pid))
		return undefined;
	needProcess(pid);
	plan.outside.push({ what: `end the process that stood in for dead pid ${pid}`, run: () => endStandIn(pid) });
	const number = keptFilesOf(plan).pass(`file ${reg.id} of dead pid ${pid}: ${flags}`, () => openOf(reg, flags));
	return program.syscall(`take ${showPath(reg.name)}`, SYS_fcntl, [number, F_DUPFD, 0]);
}
