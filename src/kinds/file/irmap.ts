// SPDX-License-Identifier: GPL-2.0-only
// Finding a file by its inode number, where the file system opens no file handles: folders that watched files tend to be in
// are walked through, those of --irmap-scan-path first. Source: stat(2), fs/notify/fdinfo.c.

import { readdirSync } from "node:fs";
import { isErrno } from "../../errors.ts";
import { toKernelDev } from "../../kernel/abi/devices.ts";
import { S_IFDIR, S_IFMT } from "../../kernel/abi/stat.ts";
import { type FileStat, statPath } from "../../sys/file.ts";
import { concatBytes } from "./file-path.ts";

/** Folders that are walked through, and such of which only the first level is looked at. */
const HINTS: readonly { path: string; depth: number }[] = [
	{ path: "/", depth: 1 },
	{ path: "/etc", depth: 64 },
	{ path: "/var/spool", depth: 64 },
	{ path: "/var/log", depth: 64 },
	{ path: "/usr/share/dbus-1", depth: 64 },
	{ path: "/usr/share/polkit-1", depth: 64 },
	{ path: "/var/lib/polkit-1", depth: 64 },
	{ path: "/lib/udev", depth: 64 },
	{ path: "/run/systemd", depth: 64 },
	{ path: "/dev", depth: 2 },
];
const SCAN_DEPTH = 256;
/** More than that isn't looked at: tasks stand still meanwhile. */
const MAX_ENTRIES = 500_000;
const encoder = new TextEncoder();

/** Names by device and inode, of as much as had to be looked at so far. */
export class InodeMap {
	private readonly found = new Map<string, Uint8Array>();
	private walk: Generator<void> | undefined;
	private entries = 0;

	/** `prefix` goes before all paths; what's found doesn't have it. */
	constructor(
		private readonly prefix: Uint8Array,
		private readonly scanPaths: readonly string[],
	) {}

	/** A path of a file; undefined when it's in none of the folders. */
	find(sdev: number, ino: bigint): Uint8Array | undefined {
		const key = `${sdev}:${ino}`;
		this.walk ??= this.walkAll();
		for (;;) {
			const path = this.found.get(key);
			if (path !== undefined) return path;
			if (this.walk.next().done === true) return undefined;
		}
	}

	private *walkAll(): Generator<void> {
		for (const path of this.scanPaths) yield* this.walkDown(encoder.encode(path), SCAN_DEPTH);
		for (const { path, depth } of HINTS) yield* this.walkDown(encoder.encode(path), depth);
	}

	/** A folder at a time. */
	private *walkDown(path: Uint8Array, depth: number): Generator<void> {
		const stat = this.note(path);
		if (stat === undefined || depth === 0 || (stat.mode & S_IFMT) !== S_IFDIR) return;
		const base = path.length === 1 ? path : concatBytes(path, encoder.encode("/"));
		const folders: Uint8Array[] = [];
		for (const name of listNames(concatBytes(this.prefix, path))) {
			if (++this.entries > MAX_ENTRIES) return;
			const child = concatBytes(base, name);
			if (depth > 1 && this.isFolder(child)) folders.push(child);
		}
		yield;
		for (const folder of folders) yield* this.walkDown(folder, depth - 1);
	}

	private isFolder(path: Uint8Array): boolean {
		const stat = this.note(path);
		return stat !== undefined && (stat.mode & S_IFMT) === S_IFDIR;
	}

	private note(path: Uint8Array): FileStat | undefined {
		try {
			const stat = statPath(concatBytes(this.prefix, path), { follow: false });
			const key = `${toKernelDev(stat.devMajor, stat.devMinor)}:${stat.ino}`;
			if (!this.found.has(key)) this.found.set(key, path);
			return stat;
		} catch (error) {
			if (isErrno(error, "ENOENT", "ENOTDIR", "EACCES", "ELOOP", "ESTALE", "EIO", "ENAMETOOLONG")) return undefined;
			throw error;
		}
	}
}

function listNames(path: Uint8Array): Uint8Array[] {
	try {
		return readdirSync(Buffer.from(path), { encoding: "buffer" }) as unknown as Uint8Array[];
	} catch {
		// Removed meanwhile, or nobody's to read: the file will be looked for elsewhere.
		return [];
	}
}
