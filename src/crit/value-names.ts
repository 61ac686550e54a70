// SPDX-License-Identifier: GPL-2.0-only
// Names that crit gives to numbers in its pretty form. The order of a table is the order in which its names are shown.

import type { FieldSpec, ShowOptions } from "../images/descriptors.ts";

type Flags = readonly (readonly [name: string, value: bigint])[];

function flags(table: Record<string, number>): Flags {
	return Object.entries(table).map(([name, value]) => [name, BigInt(value)] as const);
}

/** By the `flags` option of a field. */
const FLAGS: Readonly<Record<string, Flags>> = {
	"mmap.prot": flags({ PROT_READ: 1, PROT_WRITE: 2, PROT_EXEC: 4 }),
	"mmap.flags": flags({ MAP_SHARED: 1, MAP_PRIVATE: 2, MAP_DROPPABLE: 8, MAP_ANON: 0x20, MAP_GROWSDOWN: 0x100 }),
	"mmap.status": flags({
		VMA_AREA_NONE: 0,
		VMA_AREA_REGULAR: 2 ** 0,
		VMA_AREA_STACK: 2 ** 1,
		VMA_AREA_VSYSCALL: 2 ** 2,
		VMA_AREA_VDSO: 2 ** 3,
		VMA_AREA_HEAP: 2 ** 5,
		VMA_FILE_PRIVATE: 2 ** 6,
		VMA_FILE_SHARED: 2 ** 7,
		VMA_ANON_SHARED: 2 ** 8,
		VMA_ANON_PRIVATE: 2 ** 9,
		VMA_AREA_SYSVIPC: 2 ** 10,
		VMA_AREA_SOCKET: 2 ** 11,
		VMA_AREA_VVAR: 2 ** 12,
		VMA_AREA_AIORING: 2 ** 13,
		VMA_AREA_MEMFD: 2 ** 14,
		VMA_AREA_SHSTK: 2 ** 15,
		VMA_AREA_UPROBES: 2 ** 17,
		VMA_UNSUPP: 2 ** 31,
	}),
	"rfile.flags": flags({
		O_WRONLY: 0o1,
		O_RDWR: 0o2,
		O_CREAT: 0o100,
		O_EXCL: 0o200,
		O_NOCTTY: 0o400,
		O_TRUNC: 0o1000,
		O_APPEND: 0o2000,
		O_NONBLOCK: 0o4000,
		O_DSYNC: 0o10000,
		FASYNC: 0o20000,
		O_DIRECT: 0o40000,
		O_LARGEFILE: 0o100000,
		O_DIRECTORY: 0o200000,
		O_NOFOLLOW: 0o400000,
		O_NOATIME: 0o1000000,
		O_CLOEXEC: 0o2000000,
	}),
	"pmap.flags": flags({ PE_PARENT: 1, PE_LAZY: 2, PE_PRESENT: 4 }),
	"seals.flags": flags({
		F_SEAL_SEAL: 1,
		F_SEAL_SHRINK: 2,
		F_SEAL_GROW: 4,
		F_SEAL_WRITE: 8,
		F_SEAL_FUTURE_WRITE: 0x10,
	}),
};

/** By the `dict` option of a field, then by the field's name. */
const WORDS: Readonly<Record<string, Readonly<Record<string, Readonly<Record<number, string>>>>>> = {
	gen: { task_state: { 1: "Alive", 3: "Zombie", 6: "Stopped" } },
	sk: {
		family: { 1: "UNIX", 2: "INET", 10: "INET6", 16: "NETLINK", 17: "PACKET" },
		type: { 1: "STREAM", 2: "DGRAM", 3: "RAW", 5: "SEQPACKET", 10: "PACKET" },
		state: {
			1: "ESTABLISHED",
			2: "SYN_SENT",
			3: "SYN_RECV",
			4: "FIN_WAIT1",
			5: "FIN_WAIT2",
			6: "TIME_WAIT",
			7: "CLOSE",
			8: "CLOSE_WAIT",
			9: "LAST_ACK",
			10: "LISTEN",
		},
		proto: { 0: "IP", 6: "TCP", 17: "UDP", 136: "UDPLITE" },
	},
};

/** The flags of a value: names joined by ` | `, what has no name in hexadecimal; undefined for an unknown table. */
export function nameFlags(table: string, value: bigint): string | undefined {
	const known = FLAGS[table];
	if (known === undefined) return undefined;
	const names = known.filter(([, bits]) => (value & bits) !== 0n).map(([name]) => name);
	const rest = value & ~known.reduce((all, [, bits]) => all | bits, 0n);
	if (rest !== 0n) names.push(`0x${rest.toString(16)}`);
	return names.join(" | ");
}

/** The opposite; throws a text that names the unknown word. */
export function readFlags(table: string, text: string): bigint {
	const words = text.split("|").map((word) => word.trim());
	if (words.length === 1 && words[0] === "") return 0n;
	let sum = 0n;
	for (const word of words) {
		const bits = FLAGS[table]?.find(([name]) => name === word)?.[1] ?? readNumber(word);
		if (bits === undefined) throw `unknown flag ${JSON.stringify(word)}`;
		sum |= bits;
	}
	return sum;
}

/** The word for a value of that field. */
export function wordFor(dict: string, field: string, value: number): string | undefined {
	return WORDS[dict]?.[field]?.[value];
}

/** The value of a word. */
export function valueOfWord(dict: string, field: string, word: string): number | undefined {
	const words = WORDS[dict]?.[field] ?? {};
	const found = Object.entries(words).find(([, name]) => name === word);
	return found === undefined ? undefined : Number(found[0]);
}

/** A whole number as Python's int(text, 0) reads it: decimal, 0x, 0o, 0b, with a sign. */
export function readNumber(text: string): bigint | undefined {
	const match = /^\s*([+-]?)(0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|[1-9][0-9]*|0+)\s*$/.exec(text);
	if (match === null || text.length > 100) return undefined;
	const value = BigInt((match[2] as string).toLowerCase());
	return match[1] === "-" ? -value : value;
}

const shows = new WeakMap<FieldSpec, ShowOptions>();

/** How a field is shown, parsed once. */
export function showOf(spec: FieldSpec): ShowOptions {
	const known = shows.get(spec);
	if (known !== undefined) return known;
	const parts = spec.show === undefined ? [] : spec.show.split(",").map((part) => part.split("="));
	const show = Object.fromEntries(parts.map(([key, value]) => [key, value ?? true])) as ShowOptions;
	shows.set(spec, show);
	return show;
}
