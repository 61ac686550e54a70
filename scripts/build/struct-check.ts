// SPDX-License-Identifier: GPL-2.0-only
// Holds our own structures and constants, described once in TypeScript and once in a C header, against each other: a C
// text of static assertions, for gcc. (src/kernel/abi/c-check.ts does the same for the kernel's.)

import type { AnyStruct, FieldSpec } from "../../src/kernel/abi/struct.ts";

const WIDTHS: Readonly<Record<string, number>> = { u8: 1, i8: 1, u16: 2, i16: 2, u32: 4, i32: 4, u64: 8, i64: 8 };

export interface OwnDescriptions {
	/** C header that shows the types, as #include names it. */
	header: string;
	/** A module's exports: structures are told by their shape, everything else but wanted constants is passed over. */
	exports: Readonly<Record<string, unknown>>;
	/** Names of constants that C has too, there with `CR_` in front. */
	constants?: RegExp;
}

function isStruct(value: unknown): value is AnyStruct {
	return typeof value === "object" && value !== null && "fields" in value && "size" in value && "name" in value;
}

function fieldWidth(spec: FieldSpec): number {
	const [type, , count] = spec as readonly [FieldSpec[0], number, number?];
	if (typeof type === "object") return type.size;
	return type === "bytes" ? (count ?? 0) : (WIDTHS[type] ?? 0) * (count ?? 1);
}

function assertLine(condition: string, label: string): string {
	return `_Static_assert(${condition}, "${label}");`;
}

function structLines(struct: AnyStruct): string[] {
	const type = `struct ${struct.name}`;
	return [
		assertLine(`sizeof(${type}) == ${struct.size}`, `size of ${type}`),
		...Object.entries(struct.fields).flatMap(([field, spec]) => [
			assertLine(`__builtin_offsetof(${type}, ${field}) == ${spec[1]}`, `offset of ${struct.name}.${field}`),
			assertLine(`sizeof(((${type} *)0)->${field}) == ${fieldWidth(spec)}`, `width of ${struct.name}.${field}`),
		]),
	];
}

/** The C text. @throws when a module describes nothing, since then nothing would be checked. */
export function writeOwnAssertions(descriptions: OwnDescriptions): string {
	const entries = Object.entries(descriptions.exports);
	const lines = entries.flatMap(([name, value]) => {
		if (isStruct(value)) return structLines(value);
		const isShared = descriptions.constants?.test(name) === true && typeof value === "number";
		return isShared ? [assertLine(`CR_${name} == ${value}`, name)] : [];
	});
	if (lines.length === 0) throw new Error(`nothing to hold against ${descriptions.header}`);
	return `#include "${descriptions.header}"\n${lines.join("\n")}\n`;
}
