// SPDX-License-Identifier: GPL-2.0-only
// The little of ELF64 (little endian, x86-64) that the build needs to change a finished executable: one more segment, code
// that huge pages can hold. Offsets: elf(5). File header: e_entry 24, e_phoff 32, e_shoff 40, e_phentsize 54, e_phnum 56,
// e_shnum 60. Program header: p_type 0, p_flags 4, p_offset 8, p_vaddr 16, p_paddr 24, p_filesz 32, p_memsz 40,
// p_align 48; 56 bytes. Section header: sh_offset 24; 64 bytes.

const PAGE = 4096;
/** The size of pages that the CPU knows one level up. */
const HUGE_PAGE = 2 << 20;
const PHDR_SIZE = 56;
const SHDR_SIZE = 64;
const PT_NULL = 0;
const PT_LOAD = 1;
const PT_INTERP = 3;
const PT_NOTE = 4;
const PT_PHDR = 6;
const PF_X = 1;
const PF_R = 4;
const EM_X86_64 = 62;
/** Code in a static executable is reached through 32-bit addresses. */
const ADDRESS_LIMIT = 1 << 30;

interface ProgramHeader {
	/** Where it stands in the file. */
	at: number;
	type: number;
	flags: number;
	offset: number;
	vaddr: number;
	filesz: number;
	memsz: number;
}

/** An executable being changed in memory; `bytes()` gives the result. */
export class ElfImage {
	#bytes: Buffer;

	/** @throws when `bytes` is not an x86-64 ELF executable. */
	constructor(bytes: Uint8Array) {
		this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
		const isElf64 = this.#bytes.length > 64 && this.#bytes.readUInt32BE(0) === 0x7f454c46 && this.#bytes[4] === 2;
		if (!isElf64 || this.#bytes.readUInt16LE(18) !== EM_X86_64) throw new Error("not an x86-64 ELF executable");
		if (this.#bytes.readUInt16LE(54) !== PHDR_SIZE) throw new Error("unexpected size of program headers");
	}

	bytes(): Uint8Array {
		return this.#bytes;
	}

	get entry(): bigint {
		return this.#bytes.readBigUInt64LE(24);
	}

	set entry(address: bigint) {
		this.#bytes.writeBigUInt64LE(address, 24);
	}

	#headers(): ProgramHeader[] {
		const table = this.headersAt;
		return Array.from({ length: this.#bytes.readUInt16LE(56) }, (_, i) => {
			const at = table + i * PHDR_SIZE;
			return {
				at,
				type: this.#bytes.readUInt32LE(at),
				flags: this.#bytes.readUInt32LE(at + 4),
				offset: Number(this.#bytes.readBigUInt64LE(at + 8)),
				vaddr: Number(this.#bytes.readBigUInt64LE(at + 16)),
				filesz: Number(this.#bytes.readBigUInt64LE(at + 32)),
				memsz: Number(this.#bytes.readBigUInt64LE(at + 40)),
			};
		});
	}

	/** Where the program headers are in the file. */
	get headersAt(): number {
		return Number(this.#bytes.readBigUInt64LE(32));
	}

	get headerCount(): number {
		return this.#bytes.readUInt16LE(56);
	}

	/** Size of all program headers. */
	get headerBytes(): number {
		return this.headerCount * PHDR_SIZE;
	}

	/** The segments that are loaded, in their order. */
	loadSegments(): Readonly<Pick<ProgramHeader, "offset" | "vaddr" | "filesz" | "memsz">>[] {
		return this.#headers().filter((header) => header.type === PT_LOAD);
	}

	/** A copy of the program headers that is to lie at `address`, and says so. */
	copyHeaders(address: number): Buffer {
		const table = this.headersAt;
		const copy = Buffer.from(this.#bytes.subarray(table, table + this.headerBytes));
		for (const header of this.#headers()) {
			if (header.type !== PT_PHDR) continue;
			copy.writeBigUInt64LE(BigInt(address), header.at - table + 16);
			copy.writeBigUInt64LE(BigInt(address), header.at - table + 24);
		}
		return copy;
	}

	/** The kernel then loads the file without ld.so. @throws when there is none. */
	dropInterpreter(): void {
		const header = this.#headers().find(({ type }) => type === PT_INTERP);
		if (header === undefined) throw new Error("the executable has no PT_INTERP");
		this.#bytes.writeUInt32LE(PT_NULL, header.at);
	}

	/** Where a segment's bytes lie and go; its alignment stays. */
	#place(at: number, offset: number, address: number, size: number): void {
		for (const [field, value] of [
			[8, offset],
			[16, address],
			[24, address],
			[32, size],
			[40, size],
		] as const) {
			this.#bytes.writeBigUInt64LE(BigInt(value), at + field);
		}
	}

	/** Makes room in the file: everything from `from` on moves, and what points to it follows. */
	#insert(from: number, count: number): void {
		const grown = Buffer.alloc(this.#bytes.length + count);
		grown.set(this.#bytes.subarray(0, from));
		grown.set(this.#bytes.subarray(from), from + count);
		this.#bytes = grown;
		const move = (at: number) => {
			const offset = grown.readBigUInt64LE(at);
			if (offset >= from) grown.writeBigUInt64LE(offset + BigInt(count), at);
		};
		for (const { at } of this.#headers()) move(at + 8);
		move(40);
		const sections = Number(grown.readBigUInt64LE(40));
		if (sections === 0) return;
		for (let i = 0; i < grown.readUInt16LE(60); i++) move(sections + i * SHDR_SIZE + 24);
	}

	/**
	 * Moves the code in the file to where huge pages of the page cache can be mapped: its place in the file is its address,
	 * modulo 2 MiB. The constants that lie before it in its first huge page become a part of its segment. A program with
	 * less code than that stays as it is. Gives where the code is in memory.
	 * @throws when the segments aren't constants, then code.
	 */
	alignCode(): { address: number; size: number } {
		const [constants, code] = this.#headers().filter((header) => header.type === PT_LOAD);
		if (code === undefined || constants === undefined || code.memsz < HUGE_PAGE) return { address: 0, size: 0 };
		if (constants.flags !== PF_R || code.flags !== (PF_R | PF_X)) throw new Error("the code isn't the second segment");
		const start = Math.floor(code.vaddr / HUGE_PAGE) * HUGE_PAGE;
		const startOffset = start - constants.vaddr + constants.offset;
		if (start <= constants.vaddr || startOffset % HUGE_PAGE !== 0) throw new Error("the constants aren't aligned");
		const gap = startOffset + code.vaddr - start - code.offset;
		if (gap < 0 || gap % PAGE !== 0) throw new Error("no room between constants and code");
		this.#insert(code.offset, gap);
		this.#place(constants.at, constants.offset, constants.vaddr, start - constants.vaddr);
		const size = code.vaddr + code.memsz - start;
		this.#place(code.at, startOffset, start, size);
		return { address: start, size };
	}

	/** Where `addCodeSegment` puts the next one. */
	nextSegmentAddress(): number {
		const end = Math.max(...this.loadSegments().map((load) => load.vaddr + load.memsz));
		return Math.ceil(end / PAGE) * PAGE + PAGE;
	}

	/**
	 * Adds `code` as a readable and executable segment above all others and gives its address. The program header of
	 * the notes (which nothing needs at run time) becomes the new one: it stands behind all PT_LOADs, so their
	 * ascending order holds.
	 * @throws when there is no such header left: only one segment can be added.
	 */
	addCodeSegment(code: Uint8Array): bigint {
		const headers = this.#headers();
		const loads = headers.filter((header) => header.type === PT_LOAD);
		const note = headers.find((header) => header.type === PT_NOTE);
		if (note === undefined) throw new Error("the executable has no PT_NOTE to turn into a segment");
		if (loads.some((load) => load.at > note.at)) throw new Error("PT_NOTE stands before a PT_LOAD");
		const address = this.nextSegmentAddress();
		if (address + code.length > ADDRESS_LIMIT) throw new Error("no room for a segment below 1 GiB");
		const offset = Math.ceil(this.#bytes.length / PAGE) * PAGE;
		const grown = Buffer.alloc(offset + Math.ceil(code.length / PAGE) * PAGE);
		grown.set(this.#bytes);
		grown.set(code, offset);
		grown.writeUInt32LE(PT_LOAD, note.at);
		grown.writeUInt32LE(PF_R | PF_X, note.at + 4);
		grown.writeBigUInt64LE(BigInt(PAGE), note.at + 48);
		this.#bytes = grown;
		this.#place(note.at, offset, address, code.length);
		return BigInt(address);
	}
}
