// SPDX-License-Identifier: GPL-2.0-only
// Puts glibc into the executable, for hosts that have none: the dynamic loader as it lies in memory, the libraries as
// files, and the table by which the entry code (cparts/entry/loader.c) finds them. Where the host has a fitting glibc
// nothing of it is used.
//
// What is added, as one segment: entry code | copy of the program headers | ld.so | version | libc.so.6 | libm.so.6 | ...

import { readFileSync, realpathSync } from "node:fs";
import { basename } from "node:path";
import { runTool } from "./c-parts.ts";
import { ElfImage } from "./elf.ts";
import { CR_PACK_HEAD_SIZE, CrPack, CrPackLibrary, PACK_LIBRARIES } from "./pack-layout.ts";

const PAGE = 4096;
const LOADER = "/lib64/ld-linux-x86-64.so.2";
/** What dist/criu and its host library are linked to, beside the loader. */
const LIBRARIES = ["libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2"];
/** The newest version of glibc that they may ask for; loader.h has it too, for its look at the host's. */
const NEEDED_GLIBC = [2, 34] as const;
/** `mov $SYS_openat, %eax; mov %rdi, %rsi; mov $AT_FDCWD, %edi; syscall` in the loader's function that opens libraries. */
const OPEN_CALL = Buffer.from("b8010100004889febf9cffffff0f05", "hex");

/** The glibc of the machine that builds. */
export interface Glibc {
	/** As it tells itself, with the distribution's package version. */
	version: string;
	loader: Buffer;
	libraries: { name: string; content: Buffer }[];
}

/** Reads it. @throws where it isn't one that can be packed. */
export function readGlibc(): Glibc {
	const dir = realpathSync(LOADER).replace(/\/[^/]*$/, "");
	const libraries = LIBRARIES.map((name) => ({ name, content: readFileSync(`${dir}/${name}`) }));
	const said = /GNU C Library \(([^)]*)\)/.exec(libraries[0]?.content.toString("latin1") ?? "")?.[1];
	if (said === undefined) throw new Error(`${dir}/libc.so.6 is not glibc: build on Debian, or with --no-pack`);
	return { version: said, loader: readFileSync(LOADER), libraries };
}

/** The loader as it has to lie in memory, and its open call redirected to `hook`. @throws when it isn't as expected. */
export function layOutLoader(file: Buffer, hook: number): Buffer {
	const elf = new ElfImage(file);
	if (elf.headersAt !== 64) throw new Error(`${LOADER} has its program headers in an unusual place`);
	const segments = elf.loadSegments();
	const end = Math.max(...segments.map((segment) => segment.vaddr + segment.memsz));
	const image = Buffer.alloc(Math.ceil(end / PAGE) * PAGE);
	for (const { offset, vaddr, filesz } of segments) file.copy(image, vaddr, offset, offset + filesz);
	const at = image.indexOf(OPEN_CALL);
	if (at < 0 || image.indexOf(OPEN_CALL, at + 1) >= 0) {
		throw new Error(`${LOADER} opens files in a way that pack.ts doesn't know: build on Debian 12, or with --no-pack`);
	}
	image.fill(0x90, at, at + OPEN_CALL.length); // nop
	image[at] = 0xb8; // mov $hook, %eax
	image.writeUInt32LE(hook, at + 1);
	image.set([0xff, 0xd0], at + 5); // call *%rax
	return image;
}

/** @throws when one of these files needs a newer glibc than the entry code looks for. */
export function assertOldEnough(files: readonly string[]): void {
	for (const file of files) {
		for (const [name, major, minor] of runTool(["readelf", "-VW", file]).matchAll(/GLIBC_(\d+)\.(\d+)/g)) {
			if (Number(major) > NEEDED_GLIBC[0] || Number(minor) > NEEDED_GLIBC[1]) {
				throw new Error(
					`${basename(file)} needs ${name}, the entry code looks for GLIBC_${NEEDED_GLIBC.join(".")} only`,
				);
			}
		}
	}
}

/** Offsets in the entry blob. */
export interface PackSymbols {
	/** `cr_pack_start`: becomes the executable's entry point. */
	start: number;
	/** `cr_pack_open`. */
	open: number;
	/** `cr_pack`. */
	table: number;
}

/**
 * Adds the entry code with glibc behind it and makes it the first to run; `code` begins with what ld.so shall start. `version`: what
 * the entry code answers to --version without starting anything; empty: nothing.
 * @throws when there's no room in the entry code's table.
 */
export function packGlibc(image: ElfImage, code: Buffer, symbols: PackSymbols, glibc: Glibc, version: Buffer): void {
	if (glibc.libraries.length > PACK_LIBRARIES) throw new Error("the entry code has no room for so many libraries");
	const address = image.nextSegmentAddress();
	const pieces: Buffer[] = [];
	let length = 0;
	/** Puts a piece behind the others, at a multiple of `alignment`; gives its address. */
	const add = (piece: Buffer, alignment: number): bigint => {
		const gap = Math.ceil(length / alignment) * alignment - length;
		pieces.push(Buffer.alloc(gap), piece);
		length += gap + piece.length;
		return BigInt(address + length - piece.length);
	};
	add(code, PAGE);
	const headersAt = add(Buffer.alloc(image.headerBytes), 16);
	image.copyHeaders(Number(headersAt)).copy(pieces.at(-1) as Buffer);
	const loader = layOutLoader(glibc.loader, address + symbols.open);
	const table = CrPack.encode({
		headers: headersAt,
		header_count: BigInt(image.headerCount),
		entry: BigInt(address),
		loader: add(loader, PAGE),
		loader_size: BigInt(loader.length),
		version: add(version, 16),
		version_size: BigInt(version.length),
		library_count: BigInt(glibc.libraries.length),
	});
	for (const [index, { name, content }] of glibc.libraries.entries()) {
		const entry = CrPackLibrary.encode({
			name: Buffer.alloc(32, 0).fill(`${name}\0`, 0, name.length),
			bytes: add(content, 16),
			size: BigInt(content.length),
		});
		table.set(entry, CR_PACK_HEAD_SIZE + index * CrPackLibrary.size);
	}
	code.set(table, symbols.table);
	image.addCodeSegment(Buffer.concat(pieces));
	image.dropInterpreter();
	image.entry = BigInt(address + symbols.start);
}
