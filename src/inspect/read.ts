// SPDX-License-Identifier: GPL-2.0-only
// Reads a folder of images into the model. What can't be read is told in `damaged`; the rest is shown all the same.

import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { DumpFolder, pagesOf } from "../crit/dump-folder.ts";
import { describeSocket } from "../crit/socket-text.ts";
import { textOfName } from "../crit/text-forms.ts";
import { CriuError } from "../errors.ts";
import type { pstree_entry } from "../images/gen/inventory_pb.ts";
import { findKindOfFile, KINDS, PARENT_LINK } from "../images/index.ts";
import { WITHOUT_LEADER } from "../kinds/task/comm.ts";
import { TASK_DEAD } from "../kinds/task/dead.ts";
import { FileNames } from "./file-text.ts";
import { inspectHost } from "./host.ts";
import { readAddressSpace, whereIs } from "./memory.ts";
import type { Inspection, Problem, Process, Socket, Timing } from "./model.ts";

const TASK_STOPPED = 3;
const PAGE_SIZE = 4096;

/** An error as the model has it. */
export function toProblem(error: unknown): Problem {
	if (error instanceof CriuError) return { code: error.code, message: error.message, remedy: error.remedy ?? "" };
	return { code: "BUG", message: error instanceof Error ? error.message : String(error), remedy: "" };
}

class Inspector {
	readonly damaged: Problem[] = [];
	readonly names: FileNames;

	constructor(private readonly folder: DumpFolder) {
		this.names = new FileNames(folder, (read) => this.tolerate(read));
	}

	/** What `read` gives; undefined after noting what was wrong. */
	tolerate<T>(read: () => T): T | undefined {
		try {
			return read();
		} catch (error) {
			const problem = toProblem(error);
			if (!this.damaged.some(({ message }) => message === problem.message)) this.damaged.push(problem);
			return undefined;
		}
	}

	processes(): Process[] {
		const entries = this.tolerate(() => (this.folder.dir.exists(KINDS.PSTREE) ? this.folder.pstree() : [])) ?? [];
		return entries.map((entry) => this.#process(entry));
	}

	#process(entry: pstree_entry): Process {
		const { pid } = entry;
		const core = this.tolerate(() => this.folder.core(pid));
		const mm = this.tolerate(() => this.folder.mm(pid));
		const fs = this.tolerate(() => this.folder.fs(pid));
		const space =
			mm === undefined ? undefined : this.tolerate(() => readAddressSpace(this.folder, pid, mm, this.names));
		const { names } = this;
		return {
			pid,
			ppid: entry.ppid,
			pgid: entry.pgid,
			sid: entry.sid,
			state: stateOf(core?.tc?.taskState),
			name: textOfName(core?.tc?.comm ?? new Uint8Array()),
			arguments: space?.arguments ?? [],
			executable: mm === undefined ? "" : names.path(mm.exeFileId),
			cwd: fs === undefined ? "" : names.path(fs.cwdId),
			root: fs === undefined ? "" : names.path(fs.rootId),
			uid: core?.threadCore?.creds?.uid ?? 0,
			gid: core?.threadCore?.creds?.gid ?? 0,
			threads: this.#threads(entry),
			memory: space?.memory ?? { mapped: 0, reserved: 0, in_images: 0, in_parent: 0, lazy: 0 },
			mappings: space?.mappings ?? [],
			files: this.#files(pid),
		};
	}

	#threads({ threads, pid }: pstree_entry): Process["threads"] {
		return threads
			.filter((tid) => tid !== 0)
			.map((tid) => {
				const core = this.tolerate(() => this.folder.core(tid));
				const name = tid === pid ? core?.tc?.comm : core?.threadCore?.comm;
				return { tid, name: textOfName(name ?? new Uint8Array()) };
			});
	}

	#files(pid: number): Process["files"] {
		const entries = this.tolerate(() => this.folder.fds(pid)) ?? [];
		return entries
			.map(({ fd, id, type }) => ({ fd, id, ...this.names.describe(type, id) }))
			.sort((a, b) => a.fd - b.fd);
	}

	sockets(processes: readonly Process[]): Socket[] {
		return processes.flatMap(({ pid, files }) =>
			files.flatMap(({ fd, id }) => {
				const file = this.folder.file(id);
				const socket = file === undefined ? undefined : describeSocket(file);
				return socket === undefined ? [] : [{ pid, fd, id, ...socket }];
			}),
		);
	}

	sharedMemory(): Inspection["shared_memory"] {
		return this.folder.dir.list().flatMap((name) => {
			const id = /^pagemap-shmem-([0-9]{1,15})\.img$/.exec(name)?.[1];
			if (id === undefined) return [];
			const bytes = this.tolerate(() => {
				using reader = this.folder.dir.findReader(KINDS.SHMEM_PAGEMAP, Number(id));
				reader?.readHead();
				let pages = 0n;
				for (const entry of reader?.entries() ?? []) if (whereIs(entry) === "images") pages += pagesOf(entry);
				return Number(pages) * PAGE_SIZE;
			});
			return [{ id: Number(id), in_images: bytes ?? 0 }];
		});
	}

	ghostFiles(path: string): Inspection["ghost_files"] {
		return this.folder.dir.list().flatMap((name) => {
			const id = /^ghost-file-([0-9a-f]{1,8})\.img$/.exec(name)?.[1];
			if (id === undefined) return [];
			const { ghost, owner } = this.#ghost(Number.parseInt(id, 16));
			const bytes = Object.hasOwn(ghost ?? {}, "size") ? Number(ghost?.size) : statSync(join(path, name)).size;
			return [{ name: owner === "" ? name : owner, bytes }];
		});
	}

	#ghost(id: number) {
		const ghost = this.tolerate(() => {
			using reader = this.folder.dir.findReader(KINDS.GHOST_FILE, id);
			return reader?.readHead();
		});
		const remaps = this.tolerate(() => this.folder.dir.readEntries(KINDS.REMAP_FPATH)) ?? [];
		const remap = remaps.find(({ remapId }) => (remapId & 0x7fffffff) === id);
		return { ghost, owner: remap === undefined ? "" : this.names.path(remap.origId) };
	}

	timing(): Timing | null {
		const dump = this.tolerate(() => this.folder.dir.findEntry(KINDS.STATS, "dump"))?.dump;
		if (dump === undefined) return null;
		return {
			freezing: dump.freezingTime,
			frozen: dump.frozenTime,
			memory_dump: dump.memdumpTime,
			memory_write: dump.memwriteTime,
			pages_scanned: Number(dump.pagesScanned),
			pages_written: Number(dump.pagesWritten),
			stages: dump.stages.map(({ name, us }) => ({ name, us })),
		};
	}
}

function stateOf(state: number | undefined): Process["state"] {
	const plain = state !== undefined && state >= WITHOUT_LEADER ? state - WITHOUT_LEADER : state;
	if (plain === 1) return "running";
	if (plain === TASK_STOPPED) return "stopped";
	return plain === TASK_DEAD ? "zombie" : "unknown";
}

function readSizes(path: string, names: readonly string[]): { size: Inspection["size"]; written: string } {
	const images: { name: string; bytes: number }[] = [];
	let memory = 0;
	let latest = 0;
	for (const name of names) {
		if (findKindOfFile(name) === undefined && !/^pages-\d+\.zst$/.test(name)) continue;
		const stat = statSync(join(path, name), { throwIfNoEntry: false });
		if (stat === undefined || !stat.isFile()) continue;
		images.push({ name, bytes: stat.size });
		if (/^pages-/.test(name)) memory += stat.size;
		if (name !== "stats-restore") latest = Math.max(latest, stat.mtimeMs);
	}
	const total = images.reduce((sum, { bytes }) => sum + bytes, 0);
	return { size: { total, memory, images }, written: latest === 0 ? "" : new Date(latest).toISOString() };
}

function kindOf({ inventory }: DumpFolder): Inspection["kind"] {
	if (inventory === undefined) return "unfinished";
	return inventory.imgVersion === 0 ? "pre-dump" : "dump";
}

/** Reads all that is in a folder of images. @throws ImageError when it can't be opened or has no images */
export function inspectFolder(path: string): Inspection {
	using folder = new DumpFolder(path);
	const { size, written } = readSizes(path, folder.dir.list());
	if (size.images.length === 0) {
		throw new CriuError("NO_IMAGES", `no images in ${path}`, {
			remedy: "name the folder that a dump was made in (-D)",
		});
	}
	const inspector = new Inspector(folder);
	inspector.tolerate(() => folder.files());
	const processes = inspector.processes();
	const kind = kindOf(folder);
	return {
		format: 1,
		directory: path,
		kind,
		written,
		has_parent: existsSync(join(path, PARENT_LINK)),
		size,
		processes,
		sockets: inspector.sockets(processes),
		shared_memory: inspector.sharedMemory(),
		ghost_files: inspector.ghostFiles(path),
		timing: inspector.timing(),
		damaged: inspector.damaged,
		host: inspectHost(path, kind, folder, inspector.names),
	};
}
