// SPDX-License-Identifier: GPL-2.0-only
// The structures that the build writes into the entry code, as cparts/entry/loader.h lays them out; the build compares both.

import { defineStruct } from "../../src/kernel/abi/struct.ts";

export const PACK_LIBRARIES = 8;

/** `struct cr_pack_library`. */
export const CrPackLibrary = defineStruct("cr_pack_library", 48, {
	name: ["bytes", 0, 32],
	bytes: ["u64", 32],
	size: ["u64", 40],
});

/** `struct cr_pack` without the libraries, which follow it. */
export const CR_PACK_HEAD_SIZE = 64;
export const CrPack = defineStruct("cr_pack", CR_PACK_HEAD_SIZE + PACK_LIBRARIES * CrPackLibrary.size, {
	headers: ["u64", 0],
	header_count: ["u64", 8],
	entry: ["u64", 16],
	loader: ["u64", 24],
	loader_size: ["u64", 32],
	version: ["u64", 40],
	version_size: ["u64", 48],
	library_count: ["u64", 56],
});
