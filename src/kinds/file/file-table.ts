// SPDX-License-Identifier: GPL-2.0-only
// All files that a dump has met: gives them their ids and collects files.img.

import { about, type CriuError, UnsupportedError, withObject } from "../../errors.ts";
import type { fd_types, file_entry } from "../../images/gen/fdinfo_pb.ts";
import { type ImageDir, KINDS } from "../../images/index.ts";
import { S_IFMT, S_IFREG } from "../../kernel/abi/stat.ts";
import { log } from "../../log.ts";
import { showPath, statFd } from "../../sys/file.ts";
import type { DumpContext, DumpedTask, FdFacts, FileKind, FileRegistry, UnsupportedFileKind } from "../kind.ts";
import { nameFd, withArticle } from "./anon-inode.ts";
import { emptyFown } from "./fown.ts";
import { FILE_KINDS } from "./index.ts";
import { findLockBlockers } from "./locks.ts";
import { compareDescriptors, Descriptions } from "./open-files.ts";
import { encodeRegFile } from "./reg-dump.ts";

const NONE: CriuError[] = [];

function kindOf(file: FdFacts): FileKind | UnsupportedFileKind | undefined {
	return FILE_KINDS.find((kind) => kind.matches(file));
}

/** What a file is and why that can't be kept. */
function describe(kind: UnsupportedFileKind, file: FdFacts): string {
	return `${withArticle(kind.name)}${kind.detail?.(file) ?? ""}: ${kind.reason}`;
}

/** One for each dump. */
export class FileTable implements FileRegistry {
	/** Entries of files.img, in the order in which they were finished. */
	readonly entries: file_entry[] = [];
	private nextId = 1;
	private readonly orders: ((entries: readonly file_entry[]) => file_entry[])[] = [];
	private readonly lastWork: ((dir: ImageDir) => void)[] = [];
	private readonly remarks: (() => void)[] = [];
	private readonly undoing: (() => void)[] = [];

	constructor(private readonly context: DumpContext) {}

	newId(): number {
		return this.nextId++;
	}

	add(entry: file_entry): void {
		this.entries.push(entry);
	}

	/** Descriptions of descriptors that others share under the same number. */
	private readonly added = new Map<FdFacts, { id: number; type: fd_types }>();
	/** Descriptors that nothing stands against but perhaps locks. */
	private readonly unblocked = new Set<FdFacts>();

	private readonly kinds = new Map<FdFacts, ReturnType<typeof kindOf>>();

	private kindOf(file: FdFacts): ReturnType<typeof kindOf> {
		const known = this.kinds.get(file);
		if (known !== undefined) return known;
		const kind = kindOf(file);
		this.kinds.set(file, kind);
		return kind;
	}

	addOpen(file: FdFacts): { id: number; type: fd_types } | undefined {
		const known = file.sameAs === undefined ? undefined : this.added.get(file.sameAs);
		if (known !== undefined) return known;
		const kind = this.kindOf(file);
		if (kind === undefined || "unsupported" in kind) return undefined;
		const descriptions = this.context.once("descriptions", () => new Descriptions<number>(compareDescriptors));
		let isNew = false;
		const id = descriptions.of(file, () => {
			isNew = true;
			return this.newId();
		});
		// Known by its id from here on: it may be on its way through itself.
		if (isNew) this.add(this.dump(kind, file, id));
		const added = { id, type: kind.type };
		this.added.set(file.sameAs ?? file, added);
		return added;
	}

	private dump(kind: FileKind, file: FdFacts, id: number): file_entry {
		try {
			return kind.dump(file, id, this.context);
		} catch (error) {
			throw withObject(error, () => nameFd(file));
		}
	}

	private ask(kind: FileKind, file: FdFacts): CriuError[] {
		try {
			return kind.findBlockers?.(file, this.context) ?? NONE;
		} catch (error) {
			throw withObject(error, () => nameFd(file));
		}
	}

	findBlockers(file: FdFacts): CriuError[] {
		const locks = file.info.locks.length === 0 ? NONE : findLockBlockers(file, this.context);
		if (file.sameAs !== undefined && this.unblocked.has(file.sameAs)) return locks;
		const kind = this.kindOf(file);
		if (kind !== undefined && !("unsupported" in kind)) {
			const found = this.ask(kind, file);
			if (found.length > 0) return [...found, ...locks];
			this.unblocked.add(file);
			return locks;
		}
		const what = kind === undefined ? "is of an unknown kind" : `is ${describe(kind, file)}`;
		const remedy = kind?.remedy ?? "close it in the program first";
		return [new UnsupportedError("UNSUPPORTED_FILE", `${nameFd(file)} ${what}`, { remedy }), ...locks];
	}

	arrange(order: (entries: readonly file_entry[]) => file_entry[]): void {
		this.orders.push(order);
	}

	atEnd(work: (dir: ImageDir) => void): void {
		this.lastWork.push(work);
	}

	afterwards(work: () => void): void {
		this.remarks.push(work);
	}

	/** Does what waited for the end of the dump. */
	conclude(): void {
		for (const work of this.remarks.splice(0)) work();
	}

	onFailure(undo: () => void): void {
		this.undoing.push(undo);
	}

	addMapped(task: DumpedTask, link: Uint8Array, fd: number): number {
		const stat = about(
			() => `pid ${task.pid}: ${showPath(link)}`,
			() => statFd(fd),
		);
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
		const arranged = this.orders.reduce<readonly file_entry[]>((entries, order) => order(entries), this.entries);
		dir.writeEntries(KINDS.FILES, undefined, arranged);
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
