// SPDX-License-Identifier: GPL-2.0-only
// A directory of image files, held by descriptor: all files are opened relative to it, by plain names, and never through
// a symbolic link, whoever else can write to the directory. `parent` is the one link that is followed, when asked.

import { closeSync, constants, lstatSync, openSync, readdirSync } from "node:fs";
import type { Message } from "@bufbuild/protobuf";
import { BugError, ImageError } from "../errors.ts";
import type { ComingPages, ImageChannel } from "./channel.ts";
import { type ImgVersion, isFsErrno, readFailure, toKernelError } from "./framing.ts";
import type { inventory_entry } from "./gen/inventory_pb.ts";
import { type ImageId, type ImageKind, imageFileName, KINDS } from "./kinds.ts";
import { ImageReader } from "./reader.ts";
import { createImageFile, ImageWriter, removeImageFile } from "./writer.ts";

const O_CLOEXEC = 0o2000000;

/** Name of the link from the images of an incremental dump to those that it builds on. */
export const PARENT_LINK = "parent";

function openDirectory(path: string, shown: string): number {
	try {
		return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | O_CLOEXEC);
	} catch (error) {
		throw new ImageError("IMAGES_DIR", `cannot open images directory ${shown}`, {
			file: shown,
			cause: toKernelError(error, shown),
			remedy: "name a directory that exists and that criu may open (--images-dir)",
		});
	}
}

/** The entry of an image that holds nothing else. */
function readOnlyEntry<E extends Message, H extends Message>(reader: ImageReader<E, H>): E {
	const entry = reader.readEntry();
	const rest = reader.remaining - (reader.kind.payloadOf?.(entry) ?? 0);
	if (rest === 0) return entry;
	const { file, offset } = reader;
	throw new ImageError("IMAGE_CORRUPT", `image ${file} goes on behind its only entry, at offset ${offset}`, {
		file,
		offset,
		remedy: "take the images from an intact copy, or dump again",
	});
}

/** Use with `using`, or close it. */
export class ImageDir {
	/** Layout of the images that are read; set by `readInventory`. */
	version: ImgVersion = 2;
	/** What was made of images that aren't as they're needed. */
	readonly #made = new Map<string, number>();

	private constructor(
		private fd: number,
		/** The path as the user gave it; for messages. */
		readonly path: string,
		private readonly channel?: ImageChannel,
	) {}

	/** Opens a directory by path. @throws ImageError IMAGES_DIR. */
	static open(path: string): ImageDir {
		return new ImageDir(openDirectory(path, path), path);
	}

	/** Images of a channel, which is closed with them; they have the directory for all else. @throws ImageError IMAGES_DIR. */
	static overChannel(path: string, channel: ImageChannel, shown = path): ImageDir {
		return new ImageDir(openDirectory(path, path), shown, channel);
	}

	/** True when the images are no files of the directory. */
	get isStreamed(): boolean {
		return this.channel !== undefined;
	}

	/** True when pages come behind all other images, and can't be read when these are. */
	get hasPagesLast(): boolean {
		return this.channel?.hasPagesLast === true;
	}

	/** See ImageChannel. */
	beginPages(pages: readonly ComingPages[]): void {
		this.channel?.beginPages?.(pages);
	}

	/** See ImageChannel. */
	openStraight(name: string): { fd: number; length: number | undefined } | undefined {
		return this.channel?.openStraight?.(name);
	}

	/** See ImageChannel. */
	beginPlan(): void {
		this.channel?.beginPlan?.();
	}

	/** See ImageChannel. */
	get isLocal(): boolean {
		return this.channel?.isLocal === true;
	}

	/** See ImageChannel. */
	receive(): void {
		this.channel?.receive?.();
	}

	/** All images were written, or read: waits until they have arrived. @throws CriuError when they haven't, whole. */
	finish(): void {
		this.channel?.finish();
	}

	/** Opens the directory behind a descriptor, which stays the caller's. @throws ImageError IMAGES_DIR. */
	static fromFd(fd: number): ImageDir {
		return new ImageDir(openDirectory(`/proc/self/fd/${fd}`, `of descriptor ${fd}`), `/proc/self/fd/${fd}`);
	}

	/** The directory that `parent` points to; undefined when there is no such link. @throws ImageError IMAGES_DIR. */
	openParent(): ImageDir | undefined {
		if (this.channel !== undefined) return undefined;
		const link = this.#pathOf(PARENT_LINK);
		try {
			lstatSync(link);
		} catch (error) {
			if (isFsErrno(error, "ENOENT")) return undefined;
			throw readFailure(PARENT_LINK, error);
		}
		const shown = `${this.path}/${PARENT_LINK}`;
		return new ImageDir(openDirectory(link, shown), shown);
	}

	/** Descriptor of the directory, for `openat` and for handing on; it stays this object's. */
	get descriptor(): number {
		if (this.fd < 0) throw new BugError(`images directory ${this.path} is closed already`);
		return this.fd;
	}

	#pathOf(name: string): string {
		if (name === "" || name === "." || name === ".." || /[/\0]/.test(name)) {
			throw new BugError(`bad file name in the images directory: ${JSON.stringify(name)}`);
		}
		return `/proc/self/fd/${this.descriptor}/${name}`;
	}

	/** A failure of whoever has written images; told as what it means where these are streamed. */
	explain(error: unknown): unknown {
		return this.channel?.explain(error) ?? error;
	}

	/** Names of all that is in the directory, sorted; a channel doesn't tell. */
	list(): string[] {
		if (this.channel !== undefined) return [];
		try {
			return readdirSync(`/proc/self/fd/${this.descriptor}`).sort();
		} catch (error) {
			throw readFailure(this.path, error);
		}
	}

	/** Whether the image exists, of any length. */
	exists(kind: ImageKind, id?: ImageId): boolean {
		const name = imageFileName(kind, id);
		if (this.channel !== undefined) {
			const fd = this.channel.open(name);
			if (fd !== undefined) closeSync(fd);
			return fd !== undefined;
		}
		try {
			lstatSync(this.#pathOf(name));
			return true;
		} catch (error) {
			if (isFsErrno(error, "ENOENT")) return false;
			throw readFailure(name, error);
		}
	}

	/** Removes an image; one that does not exist is fine. @throws ImageError IMAGE_WRITE. */
	remove(kind: ImageKind, id?: ImageId): void {
		this.removeFile(imageFileName(kind, id));
	}

	/** Removes any file of the directory by name. */
	removeFile(name: string): void {
		if (this.channel === undefined) removeImageFile(this.#pathOf(name), name);
	}

	/** Creates a file that is no image (a log, a lock) or that somebody else writes; the caller closes the descriptor. */
	create(name: string): number {
		return createImageFile(this.#pathOf(name), name);
	}

	/** Opens a file of the directory for reading; undefined when it does not exist. The caller closes the descriptor. */
	openFile(name: string): number | undefined {
		if (this.channel !== undefined) return this.channel.open(name);
		const path = this.#pathOf(name);
		try {
			// O_NONBLOCK: a fifo in the place of an image must not hang us.
			return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | O_CLOEXEC);
		} catch (error) {
			if (isFsErrno(error, "ENOENT")) return undefined;
			throw readFailure(name, error);
		}
	}

	/**
	 * Opens what stands for an image, for reading and freeing; `make` makes it at first use, and gives undefined where it can't. It's
	 * kept as long as the directory is open. The caller closes the descriptor.
	 */
	openMade(name: string, make: () => number | undefined): number | undefined {
		const made = this.#made.get(name) ?? make();
		if (made === undefined) return undefined;
		this.#made.set(name, made);
		return openSync(`/proc/self/fd/${made}`, constants.O_RDWR | O_CLOEXEC);
	}

	/** Whether the image was opened as such. */
	hasMade(name: string): boolean {
		return this.#made.has(name);
	}

	/** A writer for that image; the file is created by the first write. */
	writer<E extends Message, H extends Message>(kind: ImageKind<E, H>, id?: ImageId): ImageWriter<E, H> {
		const name = imageFileName(kind as ImageKind, id);
		return new ImageWriter(kind, this.#pathOf(name), name, this.channel);
	}

	/**
	 * Writes a whole image; without entries it does not exist afterwards.
	 * @throws ImageError IMAGE_WRITE, IMAGE_TOO_LARGE; BugError for an incomplete message.
	 */
	writeEntries<E extends Message>(kind: ImageKind<E>, id: ImageId | undefined, entries: Iterable<E>): void {
		using writer = this.writer(kind, id);
		for (const entry of entries) writer.write(entry);
		writer.close();
	}

	/** Writes an image of one entry. */
	writeEntry<E extends Message>(kind: ImageKind<E>, id: ImageId | undefined, entry: E): void {
		this.writeEntries(kind, id, [entry]);
	}

	/**
	 * A reader for that image, its header checked; undefined when there is no such file, which means an empty image.
	 * @throws ImageError IMAGE_READ, IMAGE_CORRUPT, IMAGE_TRUNCATED, IMAGE_MAGIC.
	 */
	findReader<E extends Message, H extends Message>(kind: ImageKind<E, H>, id?: ImageId): ImageReader<E, H> | undefined {
		const name = imageFileName(kind as ImageKind, id);
		const fd = this.openFile(name);
		return fd === undefined ? undefined : new ImageReader(kind, fd, name, this.version);
	}

	/** A reader for an image that must be there. @throws ImageError as `findReader`, and IMAGE_MISSING. */
	getReader<E extends Message, H extends Message>(kind: ImageKind<E, H>, id?: ImageId): ImageReader<E, H> {
		const reader = this.findReader(kind, id);
		if (reader !== undefined) return reader;
		const name = imageFileName(kind as ImageKind, id);
		throw new ImageError("IMAGE_MISSING", `image ${name} is missing in ${this.path}`, {
			file: name,
			remedy: "check the images directory (--images-dir); if the dump did not finish, dump again",
		});
	}

	/** The entry of an image of one entry. @throws ImageError. */
	readEntry<E extends Message>(kind: ImageKind<E>, id?: ImageId): E {
		using reader = this.getReader(kind, id);
		return readOnlyEntry(reader);
	}

	/** The entry of an image of one entry; undefined when there is no such file. @throws ImageError. */
	findEntry<E extends Message>(kind: ImageKind<E>, id?: ImageId): E | undefined {
		using reader = this.findReader(kind, id);
		return reader === undefined ? undefined : readOnlyEntry(reader);
	}

	/** All entries of an image, without payloads; none when there is no such file. @throws ImageError. */
	readEntries<E extends Message>(kind: ImageKind<E>, id?: ImageId): E[] {
		using reader = this.findReader(kind, id);
		return reader === undefined ? [] : [...reader.entries()];
	}

	/** Head and entries of a headed image; undefined when there is no such file. @throws ImageError. */
	findHeaded<E extends Message, H extends Message>(
		kind: ImageKind<E, H>,
		id?: ImageId,
	): { head: H; entries: E[] } | undefined {
		using reader = this.findReader(kind, id);
		if (reader === undefined) return undefined;
		return { head: reader.readHead(), entries: [...reader.entries()] };
	}

	/**
	 * Reads inventory.img and takes over the version of the layout that it tells. The inventory of a pre-dump, which
	 * says version 0, is accepted only as `parent`.
	 * @throws ImageError as `readEntry`, and IMAGE_VERSION.
	 */
	readInventory(use: "restore" | "parent" = "restore"): inventory_entry {
		const inventory = this.readEntry(KINDS.INVENTORY);
		const version = inventory.imgVersion;
		if (version === 1 || version === 2) this.version = version;
		else if (version !== 0 || use !== "parent") {
			throw new ImageError("IMAGE_VERSION", `images in ${this.path} are of version ${version}, which is not known`, {
				file: "inventory.img",
				remedy:
					version === 0
						? "these are the images of a pre-dump: restore from those of the dump that followed it"
						: "use the criu that made them, or a newer one",
			});
		}
		return inventory;
	}

	close(): void {
		if (this.fd < 0) return;
		const fd = this.fd;
		this.fd = -1;
		closeSync(fd);
		for (const made of this.#made.values()) closeSync(made);
		this.#made.clear();
		this.channel?.close();
	}

	[Symbol.dispose](): void {
		this.close();
	}
}
