// SPDX-License-Identifier: GPL-2.0-only
// The GNU build-id of an ELF file: tells whether a file is the one that was dumped, even with the same size.
// Source: elf(5), NT_GNU_BUILD_ID.

import { isErrno } from "../../errors.ts";
import { O_NOATIME, O_NONBLOCK } from "../../kernel/abi/fcntl.ts";
import { openAt, readAt, scopedFd } from "../../sys/file.ts";

const ELF_MAGIC = 0x464c457f;
const HEADER_SIZE = 64;
/** Where things lie in files of class 64 and of class 32, by the byte behind the magic: words are of that size. */
const CLASSES: ReadonlyMap<number | undefined, ElfClass> = new Map([
	[1, { word: 4, table: 0x1c, entrySize: 0x2a, entry: 32, offset: 4, size: 0x10 }],
	[2, { word: 8, table: 0x20, entrySize: 0x36, entry: 56, offset: 8, size: 0x20 }],
]);
const MAX_HEADERS = 512;
const PT_NOTE = 4;
const NT_GNU_BUILD_ID = 3;
/** Far more than any linker writes. */
const MAX_NOTES = 64 * 1024;
const MAX_ID = 64;
const GNU = 0x00554e47;

interface ElfClass {
	readonly word: 4 | 8;
	/** In the header: where the program headers are, and how large one is, with their number behind it. */
	readonly table: number;
	readonly entrySize: number;
	/** Size of a program header, and in it the offset and the size of what it's about. */
	readonly entry: number;
	readonly offset: number;
	readonly size: number;
}

function align4(value: number): number {
	return (value + 3) & ~3;
}

/** Looks for the note in the bytes of one PT_NOTE segment. */
export function findBuildIdNote(notes: Uint8Array): Uint8Array | undefined {
	const view = new DataView(notes.buffer, notes.byteOffset, notes.byteLength);
	for (let at = 0; at + 12 <= notes.length; ) {
		const nameSize = view.getUint32(at, true);
		const size = view.getUint32(at + 4, true);
		if (nameSize > notes.length || size > notes.length) return undefined;
		const name = at + 12;
		const start = name + align4(nameSize);
		if (start + size > notes.length) return undefined;
		const isGnu = nameSize === 4 && view.getUint32(name, true) === GNU;
		if (isGnu && view.getUint32(at + 8, true) === NT_GNU_BUILD_ID && size > 0 && size <= MAX_ID)
			return notes.slice(start, start + size);
		at = start + align4(size);
	}
	return undefined;
}

type Read = (fd: number, length: number, offset: bigint) => Uint8Array;

/** The build-id of an open file; undefined when it has none. @throws KernelError when it isn't open for reading */
export function readBuildIdFd(fd: number, read: Read = readAt): Uint8Array | undefined {
	const header = read(fd, HEADER_SIZE, 0n);
	if (header.length < HEADER_SIZE) return undefined;
	const view = new DataView(header.buffer, header.byteOffset, header.length);
	const elf = view.getUint32(0, true) === ELF_MAGIC && header[5] === 1 ? CLASSES.get(header[4]) : undefined;
	if (elf === undefined || view.getUint16(elf.entrySize, true) !== elf.entry) return undefined;
	const count = view.getUint16(elf.entrySize + 2, true);
	if (count > MAX_HEADERS) return undefined;
	const wordAt = (from: DataView, at: number) =>
		elf.word === 8 ? from.getBigUint64(at, true) & ((1n << 62n) - 1n) : BigInt(from.getUint32(at, true));
	const table = read(fd, count * elf.entry, wordAt(view, elf.table));
	const headers = new DataView(table.buffer, table.byteOffset, table.length);
	for (let at = 0; at + elf.entry <= table.length; at += elf.entry) {
		if (headers.getUint32(at, true) !== PT_NOTE) continue;
		const size = wordAt(headers, at + elf.size);
		if (size > BigInt(MAX_NOTES)) continue;
		const found = findBuildIdNote(read(fd, Number(size), wordAt(headers, at + elf.offset)));
		if (found !== undefined) return found;
	}
	return undefined;
}

/** The build-id of a regular file; undefined when it has none or can't be read. Only NONBLOCK opens: never waits. */
export function readBuildId(path: string | Uint8Array): Uint8Array | undefined {
	for (const flags of [O_NOATIME | O_NONBLOCK, O_NONBLOCK]) {
		try {
			using file = scopedFd(openAt(path, flags));
			return readBuildIdFd(file.fd);
		} catch (error) {
			if (!isErrno(error, "EPERM")) {
				if (isErrno(error, "EACCES", "ENOENT", "EINVAL", "EIO", "EISDIR", "ETXTBSY", "EAGAIN")) return undefined;
				throw error;
			}
		}
	}
	return undefined;
}

/** Packs a build-id as images hold it: little-endian words, the last one filled up with zeros. */
export function packBuildId(id: Uint8Array): number[] {
	const padded = new Uint8Array(align4(id.length));
	padded.set(id);
	const view = new DataView(padded.buffer);
	return Array.from({ length: padded.length / 4 }, (_, i) => view.getUint32(i * 4, true));
}
