// SPDX-License-Identifier: GPL-2.0-only
// What `criu inspect` knows of a dump: the shape of its --json, which stays as it is; fields may be added. Sizes are in
// bytes, times in microseconds, addresses hexadecimal text. Names are text; bytes that are no UTF-8 stand as \udc80 to
// \udcff in the JSON.

/** One mapping, half-open. */
export interface Mapping {
	start: string;
	end: string;
	bytes: number;
	/** As in /proc/PID/maps: `rwx`, with `-` where it's not allowed. */
	protection: string;
	shared: boolean;
	kind: "code" | "file" | "data" | "heap" | "stack" | "anonymous" | "shared" | "kernel" | "reserved";
	/** Path or what it is; empty for plain memory. */
	name: string;
	/** Of the file, where there's one. */
	offset: number;
	/** How much of it is in these images; of shared memory nothing, it's in an image of its own. */
	in_images: number;
}

export interface OpenFile {
	fd: number;
	/** `file`, `pipe`, `socket`, `terminal`, … */
	kind: string;
	/** Path or description. */
	name: string;
	/** `read`, `write`, `read+write`, or empty. */
	access: string;
	/** Number of the open file; several descriptors may share one. */
	id: number;
}

export interface Socket {
	pid: number;
	fd: number;
	id: number;
	family: string;
	type: string;
	state: string;
	local: string;
	remote: string;
}

export interface Thread {
	tid: number;
	name: string;
}

export interface Process {
	pid: number;
	/** 0 for the root. */
	ppid: number;
	pgid: number;
	sid: number;
	state: "running" | "stopped" | "zombie" | "unknown";
	name: string;
	/** Words it was started with; empty when they can't be read. */
	arguments: string[];
	executable: string;
	cwd: string;
	root: string;
	uid: number;
	gid: number;
	threads: Thread[];
	/** `mapped` without what's only reserved (no access); `in_parent` is in older images, `lazy` not in the images yet. */
	memory: { mapped: number; reserved: number; in_images: number; in_parent: number; lazy: number };
	mappings: Mapping[];
	files: OpenFile[];
}

export interface Timing {
	freezing: number;
	frozen: number;
	memory_dump: number;
	memory_write: number;
	pages_scanned: number;
	pages_written: number;
	/** Stages in their order; empty for a dump by the original. */
	stages: { name: string; us: number }[];
}

export interface Problem {
	/** Stable word, such as PID_TAKEN. */
	code: string;
	message: string;
	/** What can be done; empty when nothing is known. */
	remedy: string;
}

export interface Host {
	/** Whether `restore --dry-run` finds no obstacle here. */
	can_restore: boolean;
	/** What it found, and what else is missing here. */
	problems: Problem[];
	/** What the images ask of any host. */
	needs: string[];
}

export interface Inspection {
	format: 1;
	directory: string;
	/** `unfinished`: without inventory, the dump failed or goes on. */
	kind: "dump" | "pre-dump" | "unfinished";
	/** When the last image was written, ISO 8601. */
	written: string;
	/** Memory is partly in older images. */
	has_parent: boolean;
	/** All images; `memory` is what the pages files hold on the disk. */
	size: { total: number; memory: number; images: { name: string; bytes: number }[] };
	processes: Process[];
	sockets: Socket[];
	/** Objects of shared memory in the images. */
	shared_memory: { id: number; in_images: number }[];
	/** Deleted files whose content is in the images. */
	ghost_files: { name: string; bytes: number }[];
	timing: Timing | null;
	/** Images that can't be read. */
	damaged: Problem[];
	host: Host;
}
