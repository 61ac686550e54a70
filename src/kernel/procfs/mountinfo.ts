// SPDX-License-Identifier: GPL-2.0-only
// /proc/PID/mountinfo: `id parent major:minor root mountpoint options [tag…] - fstype source superoptions`. Blank, tab, newline
// and backslash inside fields are octal escapes; an empty source leaves two blanks together.

import { asciiText, forEachLine, type ProcCursor, unescapeOctal } from "./parse.ts";
import { PROC_ROOT, readProcFile } from "./reader.ts";

/** One mount. Paths are raw bytes with their escapes undone. */
export interface MountFacts {
	mntId: number;
	parentMntId: number;
	devMajor: number;
	devMinor: number;
	/** What of the file system is mounted; ends in `//deleted` when that was removed. */
	root: Uint8Array;
	/** Where, as seen from the task's root. */
	mountpoint: Uint8Array;
	/** Options of the mount: `rw`, `relatime`, … as written. */
	options: string;
	/** Peer group ids; 0 when the mount has no such relation. */
	shared: number;
	master: number;
	propagateFrom: number;
	unbindable: boolean;
	fstype: string;
	source: Uint8Array;
	/** Options of the file system as written, escapes kept. */
	superOptions: Uint8Array;
}

const SPACE = 0x20;

/** The bytes up to the next single blank; may be empty. */
function field(line: ProcCursor): Uint8Array {
	const found = line.find(SPACE);
	const stop = found < 0 ? line.end : found;
	const out = line.bytes.subarray(line.pos, stop);
	line.pos = Math.min(stop + 1, line.end);
	return out;
}

function needField(line: ProcCursor, what: string): Uint8Array {
	const out = field(line);
	if (out.length === 0) line.fail(`the ${what} is missing`);
	return out;
}

type Relations = Pick<MountFacts, "shared" | "master" | "propagateFrom" | "unbindable">;

/** The optional tags up to the dash; unknown ones are passed over, as proc_pid_mountinfo(5) asks of readers. */
function parseTags(line: ProcCursor): Relations {
	const tags: Relations = { shared: 0, master: 0, propagateFrom: 0, unbindable: false };
	for (;;) {
		if (line.atEnd()) line.fail("the dash is missing");
		const text = asciiText(field(line));
		if (text === "-") return tags;
		const [name, value] = text.split(":", 2);
		const id = value !== undefined && /^\d{1,10}$/.test(value) ? Number(value) : 0;
		if (name === "shared") tags.shared = id;
		else if (name === "master") tags.master = id;
		else if (name === "propagate_from") tags.propagateFrom = id;
		else if (name === "unbindable") tags.unbindable = true;
	}
}

function parseMount(line: ProcCursor): MountFacts {
	const mntId = line.integer();
	line.expect(" ");
	const parentMntId = line.integer();
	line.expect(" ");
	const devMajor = line.decimal();
	line.expect(":");
	const devMinor = line.decimal();
	line.expect(" ");
	const root = unescapeOctal(needField(line, "root"));
	const mountpoint = unescapeOctal(needField(line, "mount point"));
	const options = asciiText(needField(line, "options"));
	const tags = parseTags(line);
	const fstype = asciiText(unescapeOctal(needField(line, "file system type")));
	const source = unescapeOctal(field(line));
	const superOptions = line.bytes.slice(line.pos, line.end);
	return { mntId, parentMntId, devMajor, devMinor, root, mountpoint, options, ...tags, fstype, source, superOptions };
}

/** The mounts in the kernel's order. @throws CriuError PROC_PARSE. Source: proc_pid_mountinfo(5). */
export function parseMountinfo(bytes: Uint8Array, file = "mountinfo"): MountFacts[] {
	const mounts: MountFacts[] = [];
	forEachLine(bytes, file, (line) => {
		if (!line.atEnd()) mounts.push(parseMount(line));
	});
	return mounts;
}

/** The mounts that a task's root can see. @throws KernelError, CriuError PROC_PARSE */
export function readMountinfo(pid: number | "self", procRoot = PROC_ROOT): MountFacts[] {
	const path = `${procRoot}/${pid}/mountinfo`;
	return parseMountinfo(readProcFile(path), path);
}
