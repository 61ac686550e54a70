// SPDX-License-Identifier: GPL-2.0-only
// File locks: flock, record locks of processes (POSIX) and of open files (OFD), leases, also such that are being broken.
// They are set again when all descriptors are at their numbers and everything else is closed: closing any descriptor of a file
// ends the process's record locks on it.
// Images: filelocks.img (file_lock_entry). Source: the lock lines of proc_pid_fdinfo(5), fcntl(2), flock(2).

import { existsSync } from "node:fs";
import type { Program } from "../../agent/program.ts";
import { type CriuError, isErrno, UnsupportedError } from "../../errors.ts";
import { type file_lock_entry, file_lock_entrySchema } from "../../images/gen/file_pb.ts";
import { create, KINDS } from "../../images/index.ts";
import * as fcntl from "../../kernel/abi/fcntl.ts";
import { SYS_fcntl, SYS_flock, SYS_openat } from "../../kernel/abi/syscalls.x86_64.ts";
import type { FileLock } from "../../kernel/procfs/locks.ts";
import { listFds } from "../../kernel/procfs/tasks.ts";
import { log } from "../../log.ts";
import { type FileStat, showPath } from "../../sys/file.ts";
import { compareKernel, KCMP_FILE } from "../../sys/process.ts";
import type {
	DumpContext,
	DumpedTask,
	FdFacts,
	RestoreContext,
	TaskDraft,
	TaskImage,
	TaskKind,
	TaskPlan,
} from "../kind.ts";
import { firstSharer } from "../task/sharing.ts";
import { planFown } from "./fown.ts";
import { corruptImage, MAX_FDS } from "./image-checks.ts";
import { ownFdPath } from "./kept-files.ts";
import { collectFds, compareDescriptors } from "./open-files.ts";

const FILE = "filelocks.img";
/** Values of file_lock_entry.flag. */
export const LOCK_KINDS = { POSIX: 1, FLOCK: 2, OFDLCK: 4, LEASE: 8 } as const;
const ACCESS = new Map([
	["READ", fcntl.F_RDLCK],
	["WRITE", fcntl.F_WRLCK],
	["UNLCK", fcntl.F_UNLCK],
]);
/** Added to the type of a lease that is being broken; the rest is what is to become of it. */
const LEASE_BREAKING = 4;
const MAX_OFFSET = (1n << 63n) - 1n;
const EAGAIN = 11;

type KnownKind = keyof typeof LOCK_KINDS;

function isKnown(lock: FileLock): lock is FileLock & { kind: KnownKind } {
	return lock.kind in LOCK_KINDS && ACCESS.has(lock.access);
}

function nameLock({ task, fd, link }: FdFacts, { kind }: FileLock): string {
	const what: Record<string, string> = { FLOCK: "a lock (flock)", LEASE: "a lease", OFDLCK: "an open file lock" };
	return `pid ${task.pid}: fd ${fd} (${showPath(link)}) holds ${what[kind] ?? `a lock (${kind})`}`;
}

/** True when a process outside of the tree holds the open file too. */
function holdsFile(pid: number, file: FdFacts): boolean {
	try {
		return listFds(pid).some((fd) => {
			try {
				return compareKernel(file.task.pid, pid, KCMP_FILE, file.fd, fd) === 0;
			} catch (error) {
				// Closed meanwhile: that process runs on.
				if (isErrno(error, "EBADF")) return false;
				throw error;
			}
		});
	} catch (error) {
		if (isErrno(error, "ENOENT", "ESRCH")) return false;
		throw error;
	}
}

function isOutside(pid: number, context: DumpContext): boolean {
	const pids = context.once("lock-pids", () => new Set([...context.tasks, ...context.dead].map((task) => task.pid)));
	return pid > 0 && !pids.has(pid) && existsSync(`/proc/${pid}`);
}

/** What stops a dump of a descriptor because of its locks. All of them are named. */
export function findLockBlockers(file: FdFacts, context: DumpContext): CriuError[] {
	return file.info.locks.flatMap((lock) => {
		const object = nameLock(file, lock);
		if (!isKnown(lock))
			return [
				new UnsupportedError("FILE_LOCKS", `${object}, which can't be set again`, {
					remedy: "let the program release it first",
				}),
			];
		if (!context.options.fileLocks)
			return [
				new UnsupportedError("FILE_LOCKS", object, {
					remedy: "use --file-locks with dump and restore, or let the program release it first",
				}),
			];
		// Its content can only be had by an open, which would break the lease.
		const isUnread = isMemory(file) || (file.info.flags & fcntl.O_ACCMODE) === fcntl.O_WRONLY;
		if (lock.kind === "LEASE" && file.stat.nlink === 0 && isUnread)
			return [
				new UnsupportedError("FILE_LOCKS", `${object}, and its content can't be read without breaking it`, {
					remedy: "let the program release it first",
				}),
			];
		// The restored one would be another open file, and couldn't get what this one has.
		if (lock.kind !== "POSIX" && isOutside(lock.pid, context) && holdsFile(lock.pid, file))
			return [
				new UnsupportedError("FILE_LOCKS", `${object} together with pid ${lock.pid}, which is outside of the tree`, {
					remedy: `dump a tree that pid ${lock.pid} is in, or let it close the file`,
				}),
			];
		return [];
	});
}

function isMemory({ link }: FdFacts): boolean {
	return showPath(link).startsWith("/memfd:");
}

/** True when a process of the tree holds a lease on a file: opening it would break that. */
export function isLeased({ devMajor, devMinor, ino }: FileStat, context: DumpContext): boolean {
	const leased = context.once("leased-files", () => {
		const files = context.tasks.flatMap((task) => collectFds(task, context));
		const found = files.filter(({ info }) => info.locks.some(({ kind }) => kind === "LEASE"));
		return new Set(found.map(({ stat }) => `${stat.devMajor}:${stat.devMinor}:${stat.ino}`));
	});
	return leased.size > 0 && leased.has(`${devMajor}:${devMinor}:${ino}`);
}

/** The task that images name as the owner: the one that took the lock where it can be, since others see its pid. */
function ownerOf(lock: FileLock, file: FdFacts, context: DumpContext): { task: DumpedTask; fd: number } {
	if (lock.pid === file.task.pid) return file;
	const taker = context.tasks.find(({ pid }) => pid === lock.pid);
	if (taker === undefined) return file;
	if (lock.kind === "POSIX")
		return firstSharer("files", taker, context) === firstSharer("files", file.task, context)
			? { task: taker, fd: file.fd }
			: file;
	return collectFds(taker, context).find((other) => isSameFile(other, file)) ?? file;
}

function isSameFile(a: FdFacts, b: FdFacts): boolean {
	const alike = a.stat.ino === b.stat.ino && a.stat.devMajor === b.stat.devMajor && a.stat.devMinor === b.stat.devMinor;
	return alike && compareDescriptors(a, b) === 0;
}

function encodeLock(lock: FileLock & { kind: KnownKind }, file: FdFacts, context: DumpContext): file_lock_entry {
	const { task, fd } = ownerOf(lock, file, context);
	const { start, end } = lock;
	const breaking = lock.kind === "LEASE" && lock.mode === "BREAKING" ? LEASE_BREAKING : 0;
	return create(file_lock_entrySchema, {
		flag: LOCK_KINDS[lock.kind],
		type: (ACCESS.get(lock.access) ?? 0) | breaking,
		pid: task.vpid,
		fd,
		start,
		len: end === undefined ? 0n : end - start + 1n,
	});
}

/** Locks are of an open file, however many descriptors it has; record locks are of a table of descriptors besides. */
function dumpLocks(task: DumpedTask, draft: TaskDraft, _ask: Program, context: DumpContext): undefined {
	if (firstSharer("files", task, context) !== task) return undefined;
	const seenHere = new Set<number>();
	for (const file of collectFds(task, context)) {
		const id = file.info.locks.length === 0 ? undefined : draft.fds.find(({ fd }) => fd === file.fd)?.id;
		if (id === undefined) continue;
		const { entries, seen } = context.once("file-locks", () => {
			const list: file_lock_entry[] = [];
			context.files.atEnd((dir) => dir.writeEntries(KINDS.FILE_LOCKS, undefined, list));
			return { entries: list, seen: new Set<number>() };
		});
		for (const lock of file.info.locks) {
			if (!isKnown(lock) || (lock.kind === "POSIX" ? seenHere : seen).has(id)) continue;
			entries.push(encodeLock(lock, file, context));
			if (lock.kind === "LEASE" && lock.mode === "BREAKING")
				log.warn(`pid ${task.pid}: fd ${file.fd}: the time left to give up its lease starts anew at restore`);
		}
		seen.add(id);
		seenHere.add(id);
	}
	return undefined;
}

const LOCK_REMEDIES = {
	EAGAIN: "another process holds a lock on the file, or has it open: end it, or restore without --file-locks",
	EACCES: "another process holds a lock on the file: end it, or restore without --file-locks",
	ENOLCK: "its file system takes no more locks: check the kernel's and the server's limits",
	EBADF: "the images hold a lock that the way in which its file is open doesn't allow: dump again",
} as const;

function planFlock(program: Program, { fd, type }: file_lock_entry): void {
	const operation = (type & fcntl.LOCK_MAND) !== 0 ? type : type === fcntl.F_RDLCK ? fcntl.LOCK_SH : fcntl.LOCK_EX;
	program.syscall(`lock fd ${fd} (flock)`, SYS_flock, [fd, operation | fcntl.LOCK_NB], { remedies: LOCK_REMEDIES });
}

function planRecordLock(program: Program, { fd, flag, type, start, len }: file_lock_entry): void {
	const command = flag === LOCK_KINDS.OFDLCK ? fcntl.F_OFD_SETLK : fcntl.F_SETLK;
	const lock = fcntl.Flock.encode({ l_type: type, l_whence: fcntl.SEEK_SET, l_start: start, l_len: len, l_pid: 0 });
	program.syscall(`lock ${len} bytes at ${start} of fd ${fd}`, SYS_fcntl, [fd, command, lock], {
		remedies: LOCK_REMEDIES,
	});
}

/** Sets a lease without its owner hearing of it; one that was being broken is broken again by an open that doesn't wait. */
function planLease(program: Program, entry: file_lock_entry, image: TaskImage, context: RestoreContext): void {
	const { fd, type } = entry;
	const target = type & ~LEASE_BREAKING;
	const isBreaking = (type & LEASE_BREAKING) !== 0;
	const file = image.fds.find((other) => other.fd === fd);
	const reg = file === undefined ? undefined : context.files.get(file.id)?.reg;
	if (reg === undefined) throw corruptImage(FILE, `a lease on fd ${fd} of pid ${entry.pid}, which is no regular file`);
	const isReadable = (reg.flags & fcntl.O_ACCMODE) === fcntl.O_RDONLY;
	const lease = !isBreaking ? target : target === fcntl.F_UNLCK && isReadable ? fcntl.F_RDLCK : fcntl.F_WRLCK;
	program.syscall(`set the lease on fd ${fd}`, SYS_fcntl, [fd, fcntl.F_SETLEASE, lease], { remedies: LOCK_REMEDIES });
	// It gives the file an owner when it has none.
	const nobody = fcntl.FOwnerEx.encode({ type: fcntl.F_OWNER_PID, pid: 0 });
	program.syscall("let nobody have the file's signals", SYS_fcntl, [fd, fcntl.F_SETOWN_EX, nobody]);
	if (isBreaking) {
		const flags = (target === fcntl.F_UNLCK ? fcntl.O_WRONLY : fcntl.O_RDONLY) | fcntl.O_NONBLOCK;
		program.syscall(`break the lease on fd ${fd}`, SYS_openat, [fcntl.AT_FDCWD, ownFdPath(fd), flags, 0], {
			check: { equal: -EAGAIN },
			remedies: { EROFS: "its file system is mounted read-only: remount it writable" },
		});
	}
	planFown(program, fd, reg.fown);
}

/** Checks an entry against what the kernel and dumps can have. @throws ImageError */
export function checkLock(entry: file_lock_entry): void {
	const { flag, type, fd, start, len } = entry;
	const problem = (text: string) => corruptImage(FILE, `lock of pid ${entry.pid} on fd ${fd}: ${text}`);
	if (fd < 0 || fd >= MAX_FDS) throw problem("no number of a descriptor");
	if (!Object.values<number>(LOCK_KINDS).includes(flag)) throw problem(`flag is ${flag}`);
	if (start < 0n || len < 0n || start > MAX_OFFSET - len) throw problem(`range of ${len} bytes at ${start}`);
	const isMandatory = flag === LOCK_KINDS.FLOCK && (type & fcntl.LOCK_MAND) !== 0;
	if (isMandatory && (type & ~(fcntl.LOCK_MAND | fcntl.LOCK_RW)) === 0) return;
	if (flag === LOCK_KINDS.LEASE && (type & LEASE_BREAKING) !== 0) {
		const target = type & ~LEASE_BREAKING;
		if (target !== fcntl.F_RDLCK && target !== fcntl.F_UNLCK) throw problem(`type is ${type}`);
		return;
	}
	if (type !== fcntl.F_RDLCK && type !== fcntl.F_WRLCK) throw problem(`type is ${type}`);
}

function readLocks(context: RestoreContext): ReadonlyMap<number, file_lock_entry[]> {
	return context.once("file-locks", () => {
		const byPid = new Map<number, file_lock_entry[]>();
		const entries = context.dir.readEntries(KINDS.FILE_LOCKS);
		if (entries.length > 0 && !context.options.fileLocks)
			log.warn(`${entries.length} file locks aren't set again: that takes --file-locks`);
		for (const entry of entries) {
			checkLock(entry);
			if (!context.tasks.some(({ tid }) => tid === entry.pid)) throw corruptImage(FILE, `no task has pid ${entry.pid}`);
			const list = byPid.get(entry.pid);
			if (list === undefined) byPid.set(entry.pid, [entry]);
			else list.push(entry);
		}
		return byPid;
	});
}

/** Goes into a stage in which no descriptor is closed any more. */
function planLocks(image: TaskImage, plan: TaskPlan, context: RestoreContext): void {
	const entries = readLocks(context).get(image.tid);
	if (entries === undefined || !context.options.fileLocks) return;
	const program = plan.programs.state;
	for (const entry of entries) {
		if (!image.fds.some(({ fd }) => fd === entry.fd))
			throw corruptImage(FILE, `a lock on fd ${entry.fd} of pid ${entry.pid}, which isn't open`);
		if (entry.flag === LOCK_KINDS.FLOCK) planFlock(program, entry);
		else if (entry.flag === LOCK_KINDS.LEASE) planLease(program, entry, image, context);
		else planRecordLock(program, entry);
	}
}

/** File locks. */
export const fileLocks: TaskKind = { name: "file locks", dump: dumpLocks, plan: planLocks };
