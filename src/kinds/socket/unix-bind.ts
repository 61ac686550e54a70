// SPDX-License-Identifier: GPL-2.0-only
// Names of unix sockets, restore half. A name is bound exactly as the program gave it, so its file appears where that leads
// from the root and working directory of the moment: for files that are gone or elsewhere these are exchanged for a while.
// Source: bind(2), unix(7), fsopen(2), chroot(2).

import { lstatSync, rmdirSync, unlinkSync } from "node:fs";
import type { Program } from "../../agent/program.ts";
import { CriuError, isErrno } from "../../errors.ts";
import { hasField } from "../../images/index.ts";
import * as fcntl from "../../kernel/abi/fcntl.ts";
import { FSCONFIG_CMD_CREATE } from "../../kernel/abi/mount.ts";
import { AF_UNIX, SIOCUNIXFILE } from "../../kernel/abi/socket.ts";
import { S_IFMT, S_IFSOCK } from "../../kernel/abi/stat.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import type { UnixDiag } from "../../kernel/netlink/unix-diag.ts";
import { showPath, statPath, toCString } from "../../sys/file.ts";
import { concatBytes } from "../file/file-path.ts";
import { keptFilesOf, ownFdPath } from "../file/kept-files.ts";
import { awaitRelease } from "../file/late-release.ts";
import { findHolders, showHolders } from "../file/outside-holders.ts";
import type { FdArg, FilePlan, TaskPlan } from "../kind.ts";
import { readUnixSockets, unixSockets } from "./socket-tables.ts";
import { isAbsolute, nameModel, type UnixModel } from "./unix-model.ts";

const SLASH = 0x2f;
const encoder = new TextEncoder();
const DOT = toCString(".");
const ROOT = toCString("/");

/** An address as the kernel takes it: the family, then the bytes of the name. */
export function unixAddress(name: Uint8Array): Uint8Array {
	return concatBytes(new Uint8Array([AF_UNIX, 0]), name);
}

const BIND_REMEDIES = {
	EADDRINUSE: "another program has that name now: end it, or let it give the name up",
	ENOENT: "create the directory of the socket's file again",
	EACCES: "check the permissions of the directory of the socket's file",
	EROFS: "mount the file system of the socket's file writable",
} as const;

function planBindCall(program: Program, fd: FdArg, name: Uint8Array, shown: string): void {
	const address = unixAddress(name);
	program.syscall(`bind a socket to ${shown}`, nr.SYS_bind, [fd, address, address.length], {
		remedies: BIND_REMEDIES,
	});
}

/** Gives a file in reach of `path` its owner and mode. */
function planPermissions(program: Program, { entry }: UnixModel, path: Uint8Array): void {
	const { filePerms } = entry;
	if (filePerms === undefined) return;
	const { uid, gid, mode } = filePerms;
	program.syscall("give the socket's file its owner", nr.SYS_chown, [path, uid, gid]);
	program.syscall("give the socket's file its mode", nr.SYS_chmod, [path, mode & 0o7777]);
}

/** The full path of a file that the restore makes. */
function fullPath({ entry, path }: UnixModel): Uint8Array {
	const own = path ?? new Uint8Array();
	if (hasField(entry, "filePath")) return entry.filePath;
	if (isAbsolute(own) || !hasField(entry, "nameDir")) return own;
	const dir = entry.nameDir.at(-1) === 0 ? entry.nameDir.subarray(0, -1) : entry.nameDir;
	return concatBytes(dir, new Uint8Array([SLASH]), own);
}

function taken(shown: string, model: UnixModel, what: string): CriuError {
	return new CriuError("UNIX_NAME_TAKEN", `${shown}, the name of ${nameModel(model)}, ${what}`, {
		remedy: "move it away, or end the program that uses it",
	});
}

/**
 * Looks that no socket has a name. One that nobody has open is about to be freed by the kernel: that is waited for.
 *
 * @throws CriuError UNIX_NAME_TAKEN, KernelError
 */
function expectFree(shown: string, model: UnixModel, file: FilePlan, hasName: (socket: UnixDiag) => boolean): void {
	const found = [...unixSockets(file.context).values()].find(hasName);
	if (found === undefined) return;
	const link = `socket:[${found.ino}]`;
	const holders = findHolders((other) => showPath(other) === link, { tasks: [] });
	const isFree = () => ![...readUnixSockets().values()].some(hasName);
	if (holders.length === 0 && awaitRelease(isFree)) return;
	throw taken(shown, model, `is in use by ${link}: ${showHolders(holders)} has it`);
}

/** True for what is left of a socket that's gone. @throws CriuError when somebody else has the name now */
function isStale(full: Uint8Array, model: UnixModel, file: FilePlan): boolean {
	try {
		const found = statPath(full, { follow: false });
		if ((found.mode & S_IFMT) !== S_IFSOCK) throw taken(showPath(full), model, "is another file now");
		const ino = Number(BigInt.asUintN(32, found.ino));
		const dev = ((found.devMajor << 20) | found.devMinor) >>> 0;
		expectFree(showPath(full), model, file, ({ vfs }) => vfs !== undefined && vfs.ino === ino && vfs.dev === dev);
		return true;
	} catch (error) {
		if (isErrno(error, "ENOENT", "ENOTDIR")) return false;
		throw error;
	}
}

/** After a failed restore: the file that it has made; what else may be there by now stays. */
function removeSocketFile(full: Uint8Array): void {
	const path = Buffer.from(full);
	try {
		if (lstatSync(path).isSocket()) unlinkSync(path);
	} catch {
		// It was never made.
	}
}

function removeQuietly(made: Uint8Array, directories: readonly Uint8Array[]): void {
	removeSocketFile(made);
	try {
		for (const directory of [...directories].reverse()) rmdirSync(Buffer.from(directory));
	} catch {
		// They were never made, or are gone already.
	}
}

/** Directories of a relative path, from the top. */
function parentsOf(path: Uint8Array): Uint8Array[] {
	const parents: Uint8Array[] = [];
	for (let at = path.indexOf(SLASH, 1); at >= 0; at = path.indexOf(SLASH, at + 1)) parents.push(path.slice(0, at));
	return parents;
}

/** Tasks that share their working directory must not change it at the same time. */
function useDirectories({ plan, image, context }: FilePlan): void {
	const users = context.once("unix-directory-users", () => new Map<number, Set<number>>());
	const known = users.get(image.ids.fsId) ?? new Set<number>();
	users.set(image.ids.fsId, known);
	for (const pid of known) if (pid !== plan.pid) plan.awaits.add(pid);
	known.add(plan.pid);
}

/** Binds in the working directory of the moment, as if that were all there is. */
function planBindHere(file: FilePlan, fd: FdArg, model: UnixModel, path: Uint8Array, shown: string): void {
	const { program, plan } = file;
	const absolute = isAbsolute(path);
	if (absolute) {
		keptFilesOf(plan).once("root directory", () =>
			keptFilesOf(plan).keep(
				program,
				program.syscall("keep the root directory", nr.SYS_openat, [
					fcntl.AT_FDCWD,
					ROOT,
					fcntl.O_PATH | fcntl.O_DIRECTORY,
					0,
				]),
			),
		);
		program.syscall("look from a directory of our own", nr.SYS_chroot, [DOT]);
	}
	for (const parent of parentsOf(path))
		program.syscall("make a directory for the name", nr.SYS_mkdir, [toCString(parent), 0o700], {
			check: { okOr: "EEXIST" },
		});
	planBindCall(program, fd, model.entry.name, shown);
	planPermissions(program, model, toCString(path));
}

/** Takes back what planBindHere has changed. */
function planReturn({ program, plan }: FilePlan, path: Uint8Array): void {
	if (!isAbsolute(path)) return;
	const root = keptFilesOf(plan).once("root directory", () => -1);
	program.syscall("go back to the root directory", nr.SYS_fchdir, [root]);
	program.syscall("look from there again", nr.SYS_chroot, [DOT]);
}

/** A file system of its own that nobody else sees, for names whose files are gone. */
function planPrivateFs({ program, plan }: FilePlan): number {
	const kept = keptFilesOf(plan);
	return kept.once("private file system", () => {
		const context = program.syscall("open a file system for deleted names", nr.SYS_fsopen, [toCString("tmpfs"), 0], {
			remedies: { EPERM: "run criu as root", ENOSYS: "restore on Linux 5.2 or newer" },
		});
		program.syscall("create it", nr.SYS_fsconfig, [context, FSCONFIG_CMD_CREATE, 0, 0, 0]);
		const mount = program.syscall("mount it for ourselves", nr.SYS_fsmount, [context, 0, 0]);
		program.syscall("close the first copy", nr.SYS_close, [context]);
		return kept.keep(program, mount);
	});
}

/** A name whose file is gone: the same name elsewhere, where it's removed at once. */
export function planBindHidden(file: FilePlan, fd: FdArg, model: UnixModel, path: Uint8Array): void {
	const { program } = file;
	useDirectories(file);
	const shown = showPath(path);
	program.syscall("enter the private file system", nr.SYS_fchdir, [planPrivateFs(file)]);
	planBindHere(file, fd, model, path, shown);
	program.syscall(`unlink ${shown}`, nr.SYS_unlink, [toCString(path)]);
	planReturn(file, path);
}

/** A name that doesn't lead to its file: bound in a directory beside that, then moved. */
function planBindMoved(file: FilePlan, fd: FdArg, model: UnixModel, path: Uint8Array, full: Uint8Array): void {
	const { program, plan } = file;
	useDirectories(file);
	const shown = showPath(full);
	const dir = concatBytes(full.slice(0, full.lastIndexOf(SLASH) + 1), encoder.encode(`.criu-${plan.pid}-${model.id}`));
	const under = isAbsolute(path) ? path.subarray(1) : path;
	const made = concatBytes(dir, new Uint8Array([SLASH]), under);
	const directories = [dir, ...parentsOf(under).map((parent) => concatBytes(dir, new Uint8Array([SLASH]), parent))];
	plan.undo.push(() => removeQuietly(made, directories));
	program.syscall(`create a directory beside ${shown}`, nr.SYS_mkdir, [toCString(dir), 0o700], {
		remedies: { ENOENT: BIND_REMEDIES.ENOENT, EEXIST: `remove ${showPath(dir)}, which an earlier restore has left` },
	});
	program.syscall("enter it", nr.SYS_chdir, [toCString(dir)]);
	planBindHere(file, fd, model, path, shown);
	planReturn(file, path);
	program.syscall(`move the socket's file to ${shown}`, nr.SYS_rename, [toCString(made), toCString(full)]);
	for (const directory of [...directories].reverse())
		program.syscall("remove the directory", nr.SYS_rmdir, [toCString(directory)]);
}

function planBindPath(file: FilePlan, fd: FdArg, model: UnixModel, path: Uint8Array): void {
	const { program, plan } = file;
	const { entry } = model;
	const full = fullPath(model);
	const stale = isStale(full, model, file);
	if (stale) program.syscall(`remove what is left of ${showPath(full)}`, nr.SYS_unlink, [toCString(full)]);
	plan.undo.push(() => removeSocketFile(full));
	if (hasField(entry, "filePath")) {
		planBindMoved(file, fd, model, path, full);
		return;
	}
	if (!isAbsolute(path)) {
		const dir = full.slice(0, full.length - path.length - 1);
		useDirectories(file);
		program.syscall(`enter ${showPath(dir)}`, nr.SYS_chdir, [toCString(dir.length === 0 ? "/" : dir)], {
			remedies: { ENOENT: BIND_REMEDIES.ENOENT },
		});
	}
	planBindCall(program, fd, entry.name, showPath(full));
	planPermissions(program, model, toCString(path));
}

/**
 * Adds what gives a connected stream its name. That's as a rule the one of the socket that has accepted it, to which the file
 * belongs; so it's bound out of sight. `listeners`: a name that one of them has can't be had twice when it's abstract.
 */
export function planBindConnected(file: FilePlan, fd: FdArg, model: UnixModel, listeners: ReadonlySet<string>): void {
	const { entry, path } = model;
	if (entry.name.length === 0) return;
	if (path !== undefined) {
		planBindHidden(file, fd, model, path);
		return;
	}
	if (listeners.has(nameKey(entry.name))) return;
	const address = unixAddress(entry.name);
	file.program.syscall("give a connected socket its name", nr.SYS_bind, [fd, address, address.length], {
		// Whoever has accepted several connections has given them all one name.
		check: { okOr: "EADDRINUSE" },
	});
}

/** A name as a key of a set. */
export function nameKey(name: Uint8Array): string {
	return Buffer.from(name).toString("latin1");
}

/** Adds what gives a new socket its name, if it had one. @throws CriuError UNIX_NAME_TAKEN */
export function planBind(file: FilePlan, fd: FdArg, model: UnixModel): void {
	const { entry, path } = model;
	if (entry.name.length === 0) return;
	if (path === undefined) {
		const shown = new TextDecoder().decode(entry.name).replaceAll("\0", "@");
		const key = nameKey(entry.name);
		expectFree(shown, model, file, ({ name }) => name !== undefined && nameKey(name) === key);
		planBindCall(file.program, fd, entry.name, shown);
	} else if (entry.deleted && !hasField(entry, "filePath")) planBindHidden(file, fd, model, path);
	else planBindPath(file, fd, model, path);
}

/**
 * The address by which a task connects to a bound socket, which it has under `fd`. Paths aren't used: the file is handed out
 * by the socket itself. `release` is to be called when the address has been used.
 */
export function planAddressOf(
	program: Program,
	fd: FdArg,
	model: UnixModel,
	plan: TaskPlan,
): { address: Uint8Array; release(): void } {
	if (model.path === undefined) return { address: unixAddress(model.entry.name), release() {} };
	const kept = keptFilesOf(plan);
	const number = kept.keep(
		program,
		program.syscall(`find the file of ${nameModel(model)}`, nr.SYS_ioctl, [fd, SIOCUNIXFILE, 0]),
	);
	return { address: unixAddress(ownFdPath(number)), release: () => kept.release(program, number) };
}
