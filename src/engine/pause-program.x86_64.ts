// SPDX-License-Identifier: GPL-2.0-only
// The smallest program that stays where it is: a static ELF file with one segment that calls pause(2) for ever. Probes
// need a child that can't end, run or change anything before it is looked at.
// Layout: ELF header (64 bytes), one program header (56), code.

const BASE = 0x400000n;
const CODE_AT = 64 + 56;
const CODE = [
	0xb8,
	34,
	0,
	0,
	0, // mov $SYS_pause, %eax
	0x0f,
	0x05, //        syscall
	0xeb,
	0xf7, //        jmp to the start
];
const ET_EXEC = 2;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PF_RX = 5;

/** The file's bytes. Source: elf(5). */
export function makePauseProgram(): Uint8Array {
	const size = CODE_AT + CODE.length;
	const bytes = new Uint8Array(size);
	const view = new DataView(bytes.buffer);
	bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // magic, 64 bit, little endian, version
	view.setUint16(16, ET_EXEC, true);
	view.setUint16(18, EM_X86_64, true);
	view.setUint32(20, 1, true); // e_version
	view.setBigUint64(24, BASE + BigInt(CODE_AT), true); // e_entry
	view.setBigUint64(32, 64n, true); // e_phoff
	view.setUint16(52, 64, true); // e_ehsize
	view.setUint16(54, 56, true); // e_phentsize
	view.setUint16(56, 1, true); // e_phnum
	view.setUint32(64, PT_LOAD, true);
	view.setUint32(68, PF_RX, true);
	view.setBigUint64(80, BASE, true); // p_vaddr
	view.setBigUint64(88, BASE, true); // p_paddr
	view.setBigUint64(96, BigInt(size), true); // p_filesz
	view.setBigUint64(104, BigInt(size), true); // p_memsz
	view.setBigUint64(112, 0x1000n, true); // p_align
	bytes.set(CODE, CODE_AT);
	return bytes;
}
