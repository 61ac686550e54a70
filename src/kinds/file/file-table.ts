// SPDX-License-Identifier: GPL-2.0-only
// All files that a dump has met: gives them their ids and collects files.img.

import type { file_entry } from "../../images/gen/fdinfo_pb.ts";
import { type ImageDir, KINDS } from "../../images/index.ts";
import { S_IFMT, S_IFREG } from "../../kernel/abi/stat.ts";
import { log } from "../../log.ts";
import { statFd } from "../../sys/file.ts";
import type { DumpContext, DumpedTask, FileRegistry } from "../kind.ts";
import { emptyFown } from "./fown.ts";
import { encodeRegFile } from "./reg-dump.ts";

/** One for each dump. */
export class FileTable implements FileRegistry {
	/** Entries of files.img, in the order in which they were finished. */
	readonly entries: file_entry[] = [];
	private nextId = 1;
	private readonly lastWork: ((dir: ImageDir) => void)[] = [];
	private readonly undoing: (() => void)[] = [];

	constructor(private readonly context: DumpContext) {}

	newId(): number {
		return this.nextId++;
	}

	add(entry: file_entry): void {
		this.entries.push(entry);
	}

	atEnd(work: (dir: ImageDir) => void): void {
		this.lastWork.push(work);
	}

	onFailure(undo: () => void): void {
		this.undoing.push(undo);
	}

	addMapped(task: DumpedTask, link: Uint8Array, fd: number): number {
		const stat = statFd(fd);
		const key = `mapped:${stat.devMajor}:${stat.devMinor}:${stat.ino}`;
		const make = () => this.addNamed(task, link, fd);
		return (stat.mode & S_IFMT) === S_IFREG ? this.context.once(key, make) : make();
	}

	addDirectory(task: DumpedTask, link: Uint8Array, fd: number): number {
		return this.addNamed(task, link, fd);
	}

	private addNamed(task: DumpedTask, link: Uint8Array, fd: number): number {
		const id = this.newId();
		const state = { flags: 0, pos: 0n, fown: emptyFown() };
		this.add(encodeRegFile({ task, link, stat: statFd(fd), ownFd: fd }, state, id, this.context));
		return id;
	}

	/** Writes files.img and what the kinds have collected besides. @throws ImageError */
	writeImages(dir: ImageDir): void {
		dir.writeEntries(KINDS.FILES, undefined, this.entries);
		for (const work of this.lastWork.splice(0)) work(dir);
	}

	/** Takes back what the dump has made outside of the images directory. Never throws. */
	undo(): void {
		for (const undo of this.undoing.splice(0).reverse()) {
			try {
				undo();
			} catch (error) {
				log.warn(`clean-up after the failed dump: ${String(error)}`);
			}
		}
	}
}
