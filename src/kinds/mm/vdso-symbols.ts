// SPDX-License-Identifier: GPL-2.0-only
// Which functions a vdso has, and where: a small ELF library, taken from memory or from an image, so that nothing in it can be
// trusted. Source: elf(5), vdso(7), System V ABI chapter 5 (hash tables).

/** Where things lie in a file of one class; all of them are words of that class unless it says otherwise. */
interface Layout {
	readonly machine: number;
	readonly word: 4 | 8;
	readonly ehdr: { readonly size: number; readonly phoff: number; readonly phentsize: number };
	readonly phdr: { readonly size: number; readonly offset: number; readonly vaddr: number; readonly filesz: number };
	/** `info` and `shndx`: a byte and two. */
	readonly sym: { readonly size: number; readonly value: number; readonly info: number; readonly shndx: number };
}

const LAYOUT_64: Layout = {
	machine: 62,
	word: 8,
	ehdr: { size: 64, phoff: 32, phentsize: 54 },
	phdr: { size: 56, offset: 8, vaddr: 16, filesz: 32 },
	sym: { size: 24, value: 8, info: 4, shndx: 6 },
};
const LAYOUT_32: Layout = {
	machine: 3,
	word: 4,
	ehdr: { size: 52, phoff: 28, phentsize: 42 },
	phdr: { size: 32, offset: 4, vaddr: 8, filesz: 16 },
	sym: { size: 16, value: 4, info: 12, shndx: 14 },
};
/** Class and byte order, as they stand behind the magic. */
const LAYOUTS: ReadonlyMap<number | undefined, Layout> = new Map([
	[0x0101, LAYOUT_32],
	[0x0102, LAYOUT_64],
]);

const ELF_MAGIC = 0x464c457f;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const DT_HASH = 4n;
const DT_STRTAB = 5n;
const DT_SYMTAB = 6n;
const DT_STRSZ = 10n;
const DT_GNU_HASH = 0x6ffffef5n;
const STT_NOTYPE = 0;
const STT_FUNC = 2;
const STB_LOCAL = 0;
const SHN_UNDEF = 0;
const SHN_LORESERVE = 0xff00;
const MAX_PROGRAM_HEADERS = 64;
const MAX_NAME = 128;

/** Offsets of functions from the start of the vdso, by name. */
export type VdsoSymbols = ReadonlyMap<string, number>;

/** Bytes with checked access: what lies outside reads as undefined. */
class Reader {
	private readonly view: DataView;

	constructor(readonly bytes: Uint8Array) {
		this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	}

	has(at: number, length: number): boolean {
		return Number.isSafeInteger(at) && at >= 0 && at + length <= this.bytes.length;
	}

	u16(at: number): number | undefined {
		return this.has(at, 2) ? this.view.getUint16(at, true) : undefined;
	}

	u32(at: number): number | undefined {
		return this.has(at, 4) ? this.view.getUint32(at, true) : undefined;
	}

	/** A word of the file's class. */
	word(at: number, { word }: Layout): bigint | undefined {
		if (!this.has(at, word)) return undefined;
		return word === 8 ? this.view.getBigUint64(at, true) : BigInt(this.view.getUint32(at, true));
	}
}

interface Segments {
	readonly layout: Layout;
	/** The address that the library was linked for. */
	readonly base: bigint;
	readonly dynamic: { readonly at: number; readonly length: number };
}

function findSegments(reader: Reader): Segments | undefined {
	const layout = reader.u32(0) === ELF_MAGIC ? LAYOUTS.get(reader.u16(4)) : undefined;
	if (layout === undefined || reader.u16(18) !== layout.machine) return undefined;
	const { ehdr, phdr } = layout;
	const table = Number(reader.word(ehdr.phoff, layout) ?? 0n);
	const count = reader.u16(ehdr.phentsize + 2) ?? 0;
	if (table < ehdr.size || reader.u16(ehdr.phentsize) !== phdr.size || count > MAX_PROGRAM_HEADERS) return undefined;
	let base: bigint | undefined;
	let dynamic: Segments["dynamic"] | undefined;
	for (let i = 0; i < count; i++) {
		const at = table + i * phdr.size;
		if (!reader.has(at, phdr.size)) return undefined;
		const type = reader.u32(at);
		const offset = reader.word(at + phdr.offset, layout) ?? 0n;
		if (type === PT_LOAD) base ??= (reader.word(at + phdr.vaddr, layout) ?? 0n) - offset;
		if (type === PT_DYNAMIC)
			dynamic = { at: Number(offset), length: Number(reader.word(at + phdr.filesz, layout) ?? 0n) };
	}
	return base === undefined || dynamic === undefined ? undefined : { layout, base, dynamic };
}

/** Values of the dynamic section by tag. */
function readDynamic(reader: Reader, { layout, dynamic }: Segments): Map<bigint, bigint> | undefined {
	const values = new Map<bigint, bigint>();
	const { word } = layout;
	for (let at = dynamic.at; at + 2 * word <= dynamic.at + dynamic.length; at += 2 * word) {
		const [tag, value] = [reader.word(at, layout), reader.word(at + word, layout)];
		if (tag === undefined || value === undefined) return undefined;
		if (tag === 0n) break;
		values.set(tag, value);
	}
	return values;
}

/** Symbols that a GNU hash table counts: the end of the chain that begins last. */
function countByGnuHash(reader: Reader, at: number, { word }: Layout): number {
	const buckets = reader.u32(at) ?? 0;
	const first = reader.u32(at + 4) ?? 0;
	const bloom = reader.u32(at + 8) ?? 0;
	const bucketsAt = at + 16 + bloom * word;
	const chainsAt = bucketsAt + buckets * 4;
	if (!reader.has(bucketsAt, buckets * 4)) return 0;
	let last = 0;
	for (let i = 0; i < buckets; i++) last = Math.max(last, reader.u32(bucketsAt + i * 4) ?? 0);
	if (last < first) return first;
	for (let i = last; ; i++) {
		const hash = reader.u32(chainsAt + (i - first) * 4);
		if (hash === undefined) return 0;
		if ((hash & 1) !== 0) return i + 1;
	}
}

function readName(reader: Reader, at: number, end: number): string | undefined {
	const limit = Math.min(end, at + MAX_NAME);
	const zero = reader.bytes.subarray(at, limit).indexOf(0);
	return zero <= 0 ? undefined : Buffer.from(reader.bytes.subarray(at, at + zero)).toString("latin1");
}

/** The functions of a vdso; undefined when the bytes are no library of this architecture. Pure. */
export function readVdsoSymbols(bytes: Uint8Array): VdsoSymbols | undefined {
	const reader = new Reader(bytes);
	const segments = findSegments(reader);
	const dynamic = segments === undefined ? undefined : readDynamic(reader, segments);
	if (segments === undefined || dynamic === undefined) return undefined;
	const { layout, base } = segments;
	const { sym } = layout;
	const offsetOf = (tag: bigint): number | undefined => {
		const address = dynamic.get(tag);
		const offset = address === undefined ? undefined : Number(BigInt.asUintN(64, address - base));
		return offset !== undefined && offset < bytes.length ? offset : undefined;
	};
	const [symbols, strings, hash, gnuHash] = [DT_SYMTAB, DT_STRTAB, DT_HASH, DT_GNU_HASH].map(offsetOf);
	const stringsSize = dynamic.get(DT_STRSZ) ?? 0n;
	if (symbols === undefined || strings === undefined || stringsSize > BigInt(bytes.length)) return undefined;
	const count =
		hash !== undefined
			? (reader.u32(hash + 4) ?? 0)
			: gnuHash === undefined
				? 0
				: countByGnuHash(reader, gnuHash, layout);
	if (!reader.has(symbols, count * sym.size)) return undefined;
	const found = new Map<string, number>();
	for (let i = 1; i < count; i++) {
		const at = symbols + i * sym.size;
		const info = bytes[at + sym.info] ?? 0;
		const section = reader.u16(at + sym.shndx) ?? SHN_UNDEF;
		const isFunction = [STT_NOTYPE, STT_FUNC].includes(info & 15) && info >> 4 !== STB_LOCAL;
		if (!isFunction || section === SHN_UNDEF || section >= SHN_LORESERVE) continue;
		const name = readName(reader, strings + (reader.u32(at) ?? 0), strings + Number(stringsSize));
		const offset = Number(BigInt.asUintN(64, (reader.word(at + sym.value, layout) ?? 0n) - base));
		if (name !== undefined && offset < bytes.length) found.set(name, offset);
	}
	return found;
}
