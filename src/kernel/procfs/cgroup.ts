// SPDX-License-Identifier: GPL-2.0-only
// /proc/PID/cgroup: one line per hierarchy, `id:controllers:path`. The kernel refuses newlines in cgroup names.

import { asciiText, forEachLine } from "./parse.ts";
import { PROC_ROOT, readProcFile } from "./reader.ts";

export interface CgroupMembership {
	/** Hierarchy number; 0 is cgroup v2. */
	hierarchy: number;
	/** The controller list as written: empty for v2, `cpu,cpuacct`, `name=systemd`. */
	controllers: string;
	/** Path from the reader's cgroup namespace root; raw bytes, ` (deleted)` cut off. */
	path: Uint8Array;
	/** The cgroup has been removed. */
	deleted: boolean;
}

const DELETED = Buffer.from(" (deleted)");

/** Parses the text of /proc/PID/cgroup. @throws CriuError PROC_PARSE. Source: cgroups(7). */
export function parseCgroup(bytes: Uint8Array, file = "cgroup"): CgroupMembership[] {
	const out: CgroupMembership[] = [];
	forEachLine(bytes, file, (line) => {
		if (line.atEnd()) return;
		const hierarchy = line.decimal();
		line.expect(":");
		const colon = line.find(0x3a);
		if (colon < 0) line.fail("the path is missing");
		const controllers = asciiText(bytes.subarray(line.pos, colon));
		const path = bytes.slice(colon + 1, line.end);
		// A v2 name can't end so by itself without being ambiguous: the kernel appends it to dead cgroups.
		const deleted = Buffer.from(path.buffer).subarray(-DELETED.length).equals(DELETED);
		out.push({ hierarchy, controllers, path: deleted ? path.slice(0, -DELETED.length) : path, deleted });
	});
	return out;
}

/** The cgroups of a task, or of a thread when `tid` is given. @throws KernelError, CriuError PROC_PARSE */
export function readCgroup(pid: number | "self", procRoot = PROC_ROOT, tid?: number): CgroupMembership[] {
	const path = tid === undefined ? `${procRoot}/${pid}/cgroup` : `${procRoot}/${pid}/task/${tid}/cgroup`;
	return parseCgroup(readProcFile(path), path);
}
