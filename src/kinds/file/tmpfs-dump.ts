// SPDX-License-Identifier: GPL-2.0-only
// Files of a tmpfs, dump half: memory that is gone when the host restarts. What the tree writes to (descriptor or shared
// mapping) and nobody outside of it has open or mapped travels in the images: POSIX shared memory, semaphores, lock files.
// Images: tmpfs-files, tmpfs-file-ID (ours, the original takes no notice). Source: shm_overview(7), tmpfs(5).

import { KernelError } from "../../errors.ts";
import {
	type tmpfs_file_entry,
	tmpfs_file_entrySchema,
	type tmpfs_folder_entry,
	tmpfs_folder_entrySchema,
} from "../../images/gen/file_pb.ts";
import { create, KINDS } from "../../images/index.ts";
import { O_ACCMODE, O_PATH, O_RDONLY } from "../../kernel/abi/fcntl.ts";
import { TMPFS_MAGIC } from "../../kernel/abi/magic.ts";
import { PROT_WRITE } from "../../kernel/abi/mman.ts";
import { S_IFMT, S_IFREG } from "../../kernel/abi/stat.ts";
import { readFdLink } from "../../kernel/procfs/links.ts";
import { readProcFile } from "../../kernel/procfs/reader.ts";
import { listFds, listProcesses } from "../../kernel/procfs/tasks.ts";
import { type FileStat, statPath } from "../../sys/file.ts";
import type { DumpContext } from "../kind.ts";
import { concatBytes, fileSystemOf, type NamedFile, rootPrefix } from "./file-path.ts";
import { findReadable, writeContent } from "./ghost-dump.ts";
import { collectFds } from "./open-files.ts";

const SLASH = 0x2f;

function keyOf({ devMajor, devMinor, ino }: Pick<FileStat, "devMajor" | "devMinor" | "ino">): string {
	return `${devMajor}:${devMinor}:${ino}`;
}

const isTmpfs = (file: NamedFile, context: DumpContext) => fileSystemOf(file, context) === BigInt(TMPFS_MAGIC);

/** Inodes that the tree writes to. */
function writtenFiles(context: DumpContext): ReadonlySet<string> {
	return context.once("written-files", () => {
		const found = new Set<string>();
		for (const task of context.tasks) {
			for (const vma of task.vmas) if (vma.shared && (vma.prot & PROT_WRITE) !== 0) found.add(keyOf(vma));
			for (const { stat, info } of collectFds(task, context))
				if ((info.flags & O_PATH) === 0 && (info.flags & O_ACCMODE) !== O_RDONLY) found.add(keyOf(stat));
		}
		return found;
	});
}

/** What processes outside of the tree have open or mapped. Their links tell which are worth a closer look. */
class Outsiders {
	private readonly links: { readonly path: string; readonly link: Uint8Array }[] = [];
	private readonly maps: Buffer[] = [];

	constructor(context: DumpContext) {
		const inside = new Set(context.tasks.map(({ pid }) => pid).concat(process.pid));
		for (const pid of listProcesses()) if (!inside.has(pid)) this.look(pid);
	}

	private look(pid: number): void {
		const maps = attempt(() => readProcFile(`/proc/${pid}/maps`));
		// Threads of the kernel have none.
		if (maps === undefined || maps.length === 0) return;
		this.maps.push(Buffer.from(maps));
		for (const fd of attempt(() => listFds(pid)) ?? []) {
			const link = attempt(() => readFdLink(pid, fd));
			if (link?.[0] === SLASH) this.links.push({ path: `/proc/${pid}/fd/${fd}`, link });
		}
	}

	use(stat: FileStat, name: Uint8Array): boolean {
		const end = Buffer.from(name.subarray(name.lastIndexOf(SLASH)));
		for (const { path, link } of this.links) {
			if (!Buffer.from(link).includes(end)) continue;
			const found = attempt(() => statPath(path));
			if (found !== undefined && keyOf(found) === keyOf(stat)) return true;
		}
		const hex = (number: number) => number.toString(16).padStart(2, "0");
		const text = ` ${hex(stat.devMajor)}:${hex(stat.devMinor)} ${stat.ino} `;
		return this.maps.some((maps) => maps.includes(text));
	}
}

/** Looks at a process that may be ending; undefined when it's gone, or what it had. */
function attempt<T>(look: () => T): T | undefined {
	try {
		return look();
	} catch (error) {
		if (error instanceof KernelError) return undefined;
		throw error;
	}
}

/** The folders above a file, up to the root of its file system, which is there. */
function encodeFolders(file: NamedFile, name: Uint8Array, context: DumpContext): tmpfs_folder_entry[] {
	const folders: tmpfs_folder_entry[] = [];
	const prefix = rootPrefix(file.task, context);
	for (let end = name.lastIndexOf(SLASH); end > 0; end = name.lastIndexOf(SLASH, end - 1)) {
		const path = name.slice(0, end);
		const stat = statPath(concatBytes(prefix, path), { follow: false });
		if (stat.devMajor !== file.stat.devMajor || stat.devMinor !== file.stat.devMinor) break;
		folders.unshift(create(tmpfs_folder_entrySchema, { path, mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid }));
	}
	return folders;
}

/** Puts a file that is at its name into the images when it's such a one; once for each. @throws KernelError, ImageError */
export function dumpTmpfsFile(file: NamedFile, name: Uint8Array, flags: number, context: DumpContext): void {
	const { stat, ownFd } = file;
	if ((stat.mode & S_IFMT) !== S_IFREG || (flags & O_PATH) !== 0 || !isTmpfs(file, context)) return;
	if (!writtenFiles(context).has(keyOf(stat))) return;
	context.once(`tmpfs-file:${keyOf(stat)}:${Buffer.from(name).toString("latin1")}`, () => {
		const { dir } = context;
		if (dir === undefined || context.once("outsiders", () => new Outsiders(context)).use(stat, name)) return;
		const list = context.once("tmpfs-files", () => {
			const entries: tmpfs_file_entry[] = [];
			context.files.atEnd((images) => images.writeEntries(KINDS.TMPFS_FILES, undefined, entries));
			return entries;
		});
		const id = list.length + 1;
		const readable = findReadable(file, context);
		using writer = dir.writer(KINDS.TMPFS_FILE, id);
		writeContent(writer, readable ?? ownFd, stat, readable !== undefined);
		const folder = encodeFolders(file, name, context);
		list.push(create(tmpfs_file_entrySchema, { id, path: name, folder }));
	});
}
