// SPDX-License-Identifier: GPL-2.0-only
// A folder of images for those who look: what is there is read, what isn't is absent. Nothing is checked against
// anything else; a restore does that.

import type { core_entry } from "../images/gen/core_pb.ts";
import { fd_types, type fdinfo_entry, type file_entry } from "../images/gen/fdinfo_pb.ts";
import type { fs_entry } from "../images/gen/file_pb.ts";
import type { inventory_entry, pstree_entry } from "../images/gen/inventory_pb.ts";
import type { mm_entry, pagemap_entry } from "../images/gen/mm_pb.ts";
import { ImageDir, KINDS } from "../images/index.ts";

/** Pages that a pagemap entry tells of; older images have only the narrower count. */
export function pagesOf(entry: pagemap_entry): bigint {
	return Object.hasOwn(entry, "nrPages") ? entry.nrPages : BigInt(entry.compatNrPages);
}

/** Kinds of file that older images keep in one image each. */
const OLD_IMAGES = {
	reg: KINDS.REG_FILES,
	pipe: KINDS.PIPES,
	usk: KINDS.UNIXSK,
	isk: KINDS.INETSK,
	psk: KINDS.PACKETSK,
	nlsk: KINDS.NETLINK_SK,
	fifo: KINDS.FIFO,
} as const;

export class DumpFolder {
	readonly dir: ImageDir;
	/** Absent in a dump that didn't finish. */
	readonly inventory: inventory_entry | undefined;
	#files: ReadonlyMap<number, file_entry> | undefined;

	/** @throws ImageError */
	constructor(path: string) {
		this.dir = ImageDir.open(path);
		try {
			this.inventory = this.dir.exists(KINDS.INVENTORY) ? this.dir.readInventory("parent") : undefined;
		} catch (error) {
			this.dir.close();
			throw error;
		}
	}

	/** The processes; the image has to be there. @throws ImageError */
	pstree(): pstree_entry[] {
		using reader = this.dir.getReader(KINDS.PSTREE);
		return [...reader.entries()];
	}

	core(tid: number): core_entry | undefined {
		return this.dir.findEntry(KINDS.CORE, tid);
	}

	mm(pid: number): mm_entry | undefined {
		return this.dir.findEntry(KINDS.MM, pid);
	}

	fs(pid: number): fs_entry | undefined {
		return this.dir.findEntry(KINDS.FS, pid);
	}

	/** Descriptors of a process; undefined for one without images of its own, such as a zombie. */
	fds(pid: number): fdinfo_entry[] | undefined {
		const ids = this.dir.findEntry(KINDS.IDS, pid);
		return ids === undefined ? undefined : this.dir.readEntries(KINDS.FDINFO, ids.filesId);
	}

	/** What a descriptor's number stands for. */
	file(id: number): file_entry | undefined {
		return this.files().get(id);
	}

	/** All files. Throws once when they can't be read; there are none from then on. */
	files(): ReadonlyMap<number, file_entry> {
		if (this.#files === undefined) {
			this.#files = new Map();
			this.#files = this.#readFiles();
		}
		return this.#files;
	}

	#readFiles(): ReadonlyMap<number, file_entry> {
		const entries = this.dir.readEntries(KINDS.FILES);
		if (entries.length > 0) return new Map(entries.map((entry) => [entry.id, entry]));
		const old = new Map<number, file_entry>();
		for (const [field, kind] of Object.entries(OLD_IMAGES)) {
			for (const entry of this.dir.readEntries(kind as (typeof OLD_IMAGES)["reg"])) {
				old.set(entry.id, { id: entry.id, type: fd_types.UND, [field]: entry } as unknown as file_entry);
			}
		}
		return old;
	}

	/** Goes through a pagemap without holding it. */
	*pagemap(pid: number): Generator<pagemap_entry, void, undefined> {
		using reader = this.dir.findReader(KINDS.PAGEMAP, pid);
		if (reader === undefined || reader.remaining === 0) return;
		reader.readHead();
		yield* reader.entries();
	}

	[Symbol.dispose](): void {
		this.dir.close();
	}
}

/** Name of a kind of file, such as REG. */
export function typeName(type: number): string {
	return fd_types[type] ?? String(type);
}
