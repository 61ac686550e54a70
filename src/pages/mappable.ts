// SPDX-License-Identifier: GPL-2.0-only
// Pages files that restored memory is mapped from (--map-pages): whether one may be, the mark by which a later dump knows it
// again, and whether anybody still maps it. The mark is an extended attribute: it goes with the inode, wherever the file is moved.

import { CriuError, ImageError, isErrno } from "../errors.ts";
import { errnoName } from "../kernel/abi/errno.ts";
import { F_RDLCK, F_SETLEASE, F_UNLCK } from "../kernel/abi/fcntl.ts";
import { ST_NOEXEC } from "../kernel/abi/mount.ts";
import { Statfs } from "../kernel/abi/stat.x86_64.ts";
import * as nr from "../kernel/abi/syscalls.x86_64.ts";
import { mapFilePath } from "../kernel/procfs/links.ts";
import { readMaps } from "../kernel/procfs/maps.ts";
import { listProcesses } from "../kernel/procfs/tasks.ts";
import { log } from "../log.ts";
import { type FileStat, statFd, statPath, toCString } from "../sys/file.ts";
import { syscall } from "../sys/host.ts";

/** Only root of the host can set it, or see it. */
const MARK = "trusted.criu.mapped";
const S_IFREG = 0o100000;
const MARK_LENGTH = 64;

/** What the mark says of the file: any change to its content changes that. */
const describe = ({ size, mtime }: FileStat) => `${size} ${mtime.sec}.${mtime.nsec}`;

/** The mark of a file by path; undefined when it has none, or can't have any. */
function readMark(path: string): string | undefined {
	const value = new Uint8Array(MARK_LENGTH);
	const length = syscall(nr.SYS_getxattr, toCString(path), toCString(MARK), value, value.length);
	return length < 0 ? undefined : new TextDecoder("latin1").decode(value.subarray(0, length));
}

/** A file that memory is mapped from. */
export interface MappedFile {
	readonly size: bigint;
	/** It isn't as it was when it was mapped first. */
	readonly changed: boolean;
}

/** What is known of a mapped file by its link in map_files; undefined when no restore has mapped it. @throws KernelError */
export function findMappedFile(link: string): MappedFile | undefined {
	const mark = readMark(link);
	if (mark === undefined) return undefined;
	const stat = statPath(link);
	return { size: stat.size, changed: mark !== describe(stat) };
}

function unsafe(name: string, reason: string, remedy: string): ImageError {
	return new ImageError("UNSAFE_IMAGES", `image ${name} can't be mapped: ${reason}`, { file: name, remedy });
}

/** Who else could change the file could change, or end, the program. @throws ImageError UNSAFE_IMAGES */
function checkSafety(fd: number, name: string, { uid, mode }: FileStat): void {
	const own = process.geteuid?.() ?? 0;
	if (uid !== 0 && uid !== own)
		throw unsafe(name, `it belongs to user ${uid}, who could change the program's memory`, "make it root's (chown)");
	if ((mode & 0o022) !== 0)
		throw unsafe(name, "others may write to it, and so change the program's memory", "chmod go-w it");
	const ret = syscall(nr.SYS_fcntl, fd, F_SETLEASE, F_RDLCK);
	if (ret === 0) syscall(nr.SYS_fcntl, fd, F_SETLEASE, F_UNLCK);
	else if (errnoName(-ret) === "EAGAIN")
		throw unsafe(name, "somebody has it open for writing", "wait until nobody writes to the images (fuser)");
}

/**
 * Why memory can't be mapped from a pages file, whose descriptor is open for reading; undefined when it can. It has the mark
 * then, unless it's only to be looked at.
 *
 * @throws ImageError UNSAFE_IMAGES when it could, but others might change it
 */
export function whyNotMappable(fd: number, name: string, onlyLook: boolean): string | undefined {
	const stat = statFd(fd);
	if ((stat.mode & 0o170000) !== S_IFREG) return `${name} isn't a plain file`;
	const room = new DataView(new ArrayBuffer(Statfs.size));
	if (syscall(nr.SYS_fstatfs, fd, room) < 0) return `nothing is known of the file system of ${name}`;
	if ((Number(Statfs.read(room, 0).f_flags) & ST_NOEXEC) !== 0)
		return "the images are on a file system without execution (noexec), which would hold for the memory as well";
	checkSafety(fd, name, stat);
	if (onlyLook) return undefined;
	const before = readMark(`/proc/self/fd/${fd}`);
	const wanted = describe(stat);
	if (before === wanted) return undefined;
	if (before !== undefined) log.warn(`image ${name} was changed since it was mapped first`);
	const ret = syscall(nr.SYS_fsetxattr, fd, toCString(MARK), new TextEncoder().encode(wanted), wanted.length, 0);
	return ret === 0 ? undefined : `${name} can't be marked as mapped (fsetxattr gave ${errnoName(-ret)})`;
}

/** Pids of processes that have a file mapped. */
function findMappers({ ino, devMajor, devMinor }: FileStat): number[] {
	const maps = (pid: number) => {
		try {
			// maps tells another device than stat on some file systems: the link decides.
			return readMaps(pid).some((vma) => {
				if (vma.ino !== ino || vma.name.length === 0) return false;
				const found = statPath(mapFilePath(pid, vma.start, vma.end));
				return found.ino === ino && found.devMajor === devMajor && found.devMinor === devMinor;
			});
		} catch (error) {
			if (error instanceof CriuError && isErrno(error, "ENOENT", "ESRCH", "EACCES", "EPERM")) return false;
			throw error;
		}
	};
	return listProcesses().filter(maps);
}

/** What is done to a pages file must not change memory that is mapped from it. @throws ImageError IMAGES_MAPPED */
export function refuseMapped(fd: number, name: string): void {
	if (readMark(`/proc/self/fd/${fd}`) === undefined) return;
	const pids = findMappers(statFd(fd));
	if (pids.length === 0) return;
	throw new ImageError(
		"IMAGES_MAPPED",
		`pages of image ${name} can't be freed: pid ${pids.join(", ")} has it as memory`,
		{
			file: name,
			remedy: "end these processes first, or dump them",
		},
	);
}
