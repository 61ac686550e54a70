// SPDX-License-Identifier: GPL-2.0-only
// Images that build on others: an incremental dump leaves out pages that its parent has, and so on, up the links `parent`.

import { ImageError } from "../errors.ts";
import type { pagemap_entry, pagemap_head } from "../images/gen/mm_pb.ts";
import { type ImageDir, type ImageId, type ImageKind, imageFileName } from "../images/index.ts";
import { CompressedPages } from "./compressed.ts";
import { collectRuns, type PageRun } from "./pagemap.ts";

/** More than anybody makes; a link that leads back to itself ends here. */
const MAX_LEVELS = 256;

type PagemapKind = ImageKind<pagemap_entry, pagemap_head>;

/** Where the pages of one pagemap lie, over all images that it builds on. */
export interface PageChain {
	/** The pagemap's name, for messages. */
	readonly file: string;
	readonly runs: readonly PageRun[];
	/** Numbers of the pages files, by level. */
	readonly pagesIds: readonly number[];
}

/** Calls with the directory that is so many links `parent` away; it's closed afterwards. @throws ImageError */
export function withLevel<T>(dir: ImageDir, level: number, use: (dir: ImageDir) => T): T {
	if (level === 0) return use(dir);
	using parent = dir.openParent();
	if (parent === undefined)
		throw new ImageError("IMAGE_MISSING", `${dir.path} builds on other images, but has no link "parent" to them`, {
			file: "parent",
			remedy: "bring back the link or the older images (--prev-images-dir of the dump)",
		});
	return withLevel(parent, level - 1, use);
}

function readLevel(
	dir: ImageDir,
	kind: PagemapKind,
	id: ImageId,
	level: number,
	pagesIds: number[],
	skipsLazy = false,
): PageRun[] | undefined {
	if (level > MAX_LEVELS)
		throw new ImageError("IMAGE_CORRUPT", `the links "parent" of ${dir.path} lead on and on`, {
			file: "parent",
			remedy: "bring the images back as the dumps made them",
		});
	const pagemap = dir.findHeaded(kind, id);
	if (pagemap === undefined) return undefined;
	pagesIds[level] = pagemap.head.pagesId;
	const file = imageFileName(kind as ImageKind, id);
	const older = () => withLevel(dir, 1, (parent) => readLevel(parent, kind, id, level + 1, pagesIds) ?? []);
	return collectRuns(level === 0 ? file : `${dir.path}/${file}`, pagemap, older, skipsLazy);
}

/**
 * Reads a pagemap with all that it builds on; undefined when there is none. `skipsLazy`: see collectRuns.
 *
 * @throws ImageError
 */
export function readChain(dir: ImageDir, kind: PagemapKind, id: ImageId, skipsLazy = false): PageChain | undefined {
	const pagesIds: number[] = [];
	const runs = readLevel(dir, kind, id, 0, pagesIds, skipsLazy);
	return runs === undefined ? undefined : { file: imageFileName(kind as ImageKind, id), runs, pagesIds };
}

/** A pages file that a chain needs. */
export interface ChainFile {
	readonly level: number;
	readonly name: string;
	/** Bytes that must be there. */
	readonly bytes: bigint;
}

/** The pages files that a chain needs, its own first. */
export function listFiles({ runs, pagesIds }: PageChain): ChainFile[] {
	const bytes = new Map<number, bigint>();
	for (const { level, offset, bytes: length } of runs) {
		const end = offset + length;
		if (end > (bytes.get(level) ?? 0n)) bytes.set(level, end);
	}
	return [...bytes]
		.sort(([a], [b]) => a - b)
		.map(([level, end]) => ({ level, name: `pages-${pagesIds[level]}.img`, bytes: end }));
}

/** The number in a pages file's name. */
const numberOf = ({ name }: ChainFile) => Number(/\d+/.exec(name)?.[0]);

/** Makes the plain file of one that is compressed; undefined when there is none. */
function inflate(dir: ImageDir, file: ChainFile): number | undefined {
	using pages = CompressedPages.open(dir, numberOf(file));
	return pages?.inflate([`/proc/self/fd/${dir.descriptor}`]);
}

/** Opens a pages file for reading; of a compressed one, what it holds, in memory. The caller closes it. @throws ImageError when it's missing */
export function openChainFile(dir: ImageDir, file: ChainFile, pagemap: string): number {
	return withLevel(dir, file.level, (own) => {
		const fd = own.openFile(file.name) ?? own.openMade(file.name, () => inflate(own, file));
		if (fd === undefined) throw missingPages(file, pagemap);
		return fd;
	});
}

/** The error for a pages file that is missing or too short. */
export function missingPages({ name, level }: ChainFile, pagemap: string): ImageError {
	const where = level === 0 ? "" : ` in the older images (parent, ${level} up)`;
	return new ImageError("IMAGE_TRUNCATED", `image ${name}${where} is missing or too short for ${pagemap}`, {
		file: name,
		remedy: "dump again; the images are incomplete",
	});
}
