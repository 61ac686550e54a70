// SPDX-License-Identifier: GPL-2.0-only
// Files without a name for pages that have come and can't be read by their task yet: memory, up to a limit for all of a run together;
// beyond it they lie in a directory that the user has named. Source: memfd_create(2), open(2) O_TMPFILE, fallocate(2).

import { CriuError, isErrno, messageOf } from "../errors.ts";
import * as fcntl from "../kernel/abi/fcntl.ts";
import { SYS_fallocate } from "../kernel/abi/syscalls.x86_64.ts";
import { log } from "../log.ts";
import { closeFd, openAt, readAt, writeAll } from "./file.ts";
import { mustSyscall } from "./host.ts";
import { makeMemoryFile, moveToFile, setLength } from "./stream-io.ts";

/** Bytes that wait in memory. */
const IN_MEMORY = 64 << 20;
const PIECE = 1 << 20;

let held = 0;

/** A file that's nobody's but ours and is gone with its last descriptor, in the first of the places that can have one. */
function makeDiskFile(places: readonly string[]): number | undefined {
	for (const place of places) {
		let fd = -1;
		try {
			fd = openAt(place, fcntl.O_TMPFILE | fcntl.O_EXCL | fcntl.O_RDWR, 0o600);
			// What was read is freed.
			const mode = fcntl.FALLOC_FL_PUNCH_HOLE | fcntl.FALLOC_FL_KEEP_SIZE;
			mustSyscall(`of a file in ${place}`, SYS_fallocate, fd, mode, 0, PIECE);
			return fd;
		} catch (error) {
			if (fd >= 0) closeFd(fd);
			log.debug(`pages can't wait in ${place}: ${messageOf(error)}`);
		}
	}
	if (places.length > 0)
		log.warn(
			`pages wait in memory, as ${places.join(" and ")} can't have files without a name: name another --work-dir`,
		);
	return undefined;
}

/** Runs what writes to such files. @throws CriuError NO_ROOM_FOR_PAGES where there's no room */
export function fillingFile<T>(name: string, fill: () => T): T {
	try {
		return fill();
	} catch (error) {
		if (!isErrno(error, "ENOSPC", "EDQUOT", "EFBIG")) throw error;
		throw new CriuError("NO_ROOM_FOR_PAGES", `there's no room for ${name}, which can't be read into its program yet`, {
			cause: error,
			remedy: "free space in the images directory, or name a directory elsewhere with --work-dir",
		});
	}
}

/** A file of that length for an image whose bytes come later. @throws KernelError */
export function makeWaitingFile(name: string, length: number, places: readonly string[]): number {
	const onDisk = held + length > IN_MEMORY ? makeDiskFile(places) : undefined;
	const fd = onDisk ?? makeMemoryFile(`criu: ${name}`);
	if (onDisk === undefined) held += length;
	try {
		setLength(fd, length);
		return fd;
	} catch (error) {
		closeFd(fd);
		throw error;
	}
}

/** Puts what a memory file has so far on disk; gives the file that has it then, open for more. */
function moveToDisk(from: number, length: number, places: readonly string[]): number {
	const to = makeDiskFile(places);
	if (to === undefined) return from;
	try {
		for (let at = 0; at < length; at += PIECE) writeAll(to, readAt(from, Math.min(PIECE, length - at), at));
	} catch (error) {
		closeFd(to);
		throw error;
	}
	held -= length;
	closeFd(from);
	return to;
}

/** A file with all that comes through a pipe. @throws KernelError, CriuError NO_ROOM_FOR_PAGES */
export function takeWaitingFile(name: string, pipe: number, places: readonly string[]): number {
	let file = makeMemoryFile(`criu: ${name}`);
	let isInMemory = true;
	try {
		for (let done = 0; ; ) {
			const got = fillingFile(name, () => moveToFile(pipe, file, PIECE));
			if (isInMemory) held += got;
			done += got;
			if (got < PIECE) return file;
			if (!isInMemory || held <= IN_MEMORY) continue;
			isInMemory = false;
			file = fillingFile(name, () => moveToDisk(file, done, places));
		}
	} catch (error) {
		closeFd(file);
		throw error;
	}
}
