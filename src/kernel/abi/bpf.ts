// SPDX-License-Identifier: GPL-2.0-only
// bpf(2), as far as maps and descriptions of their types go. Source: linux/bpf.h.

import { defineStruct, type StructValue } from "./struct.ts";

export const BPF_MAP_CREATE = 0;
export const BPF_MAP_GET_FD_BY_ID = 14;
export const BPF_OBJ_GET_INFO_BY_FD = 15;
export const BPF_BTF_LOAD = 18;
export const BPF_BTF_GET_FD_BY_ID = 19;
export const BPF_MAP_FREEZE = 22;
export const BPF_MAP_LOOKUP_BATCH = 24;
export const BPF_MAP_UPDATE_BATCH = 26;

/** Sorts of map by their number, in words. Source: linux/bpf.h, enum bpf_map_type, of Linux 6.18. */
export const BPF_MAP_TYPE_NAMES: readonly string[] = [
	"map of no type",
	"hash table",
	"array",
	"table of programs",
	"table of perf events",
	"hash table for each processor",
	"array for each processor",
	"table of stack traces",
	"table of cgroups",
	"hash table that forgets (LRU)",
	"hash table for each processor that forgets (LRU)",
	"tree of prefixes (LPM)",
	"table of maps",
	"hash table of maps",
	"table of network devices",
	"table of sockets",
	"table of processors",
	"table of XDP sockets",
	"hash table of sockets",
	"store for cgroups (deprecated)",
	"table of sockets that share a port",
	"store for cgroups and processors",
	"queue",
	"stack",
	"store for sockets",
	"hash table of network devices",
	"table of operations (struct_ops)",
	"ring buffer",
	"store for inodes",
	"store for tasks",
	"Bloom filter",
	"ring buffer written by user space",
	"store for cgroups",
	"arena",
	"set of instructions",
];
export const BPF_MAP_TYPE_HASH = 1;
export const BPF_MAP_TYPE_ARRAY = 2;

/** Of a descriptor: without it both reading and writing are allowed. */
export const BPF_F_RDONLY = 0x8;
export const BPF_F_WRONLY = 0x10;

/** What BPF_OBJ_GET_INFO_BY_FD tells of a map. */
export const BpfMapInfo = defineStruct("bpf_map_info", 88, {
	type: ["u32", 0],
	id: ["u32", 4],
	key_size: ["u32", 8],
	value_size: ["u32", 12],
	max_entries: ["u32", 16],
	map_flags: ["u32", 20],
	name: ["bytes", 24, 16],
	ifindex: ["u32", 40],
	btf_vmlinux_value_type_id: ["u32", 44],
	netns_dev: ["u64", 48],
	netns_ino: ["u64", 56],
	btf_id: ["u32", 64],
	btf_key_type_id: ["u32", 68],
	btf_value_type_id: ["u32", 72],
	map_extra: ["u64", 80],
});
export type BpfMapInfo = StructValue<typeof BpfMapInfo>;

/** What BPF_OBJ_GET_INFO_BY_FD tells of a description of types. */
export const BpfBtfInfo = defineStruct("bpf_btf_info", 32, {
	btf: ["u64", 0],
	btf_size: ["u32", 8],
	id: ["u32", 12],
	kernel_btf: ["u32", 28],
});
export type BpfBtfInfo = StructValue<typeof BpfBtfInfo>;

// Parts of union bpf_attr, one for each group of commands.

export const BpfMapCreate = defineStruct("bpf_map_create", 72, {
	map_type: ["u32", 0],
	key_size: ["u32", 4],
	value_size: ["u32", 8],
	max_entries: ["u32", 12],
	map_flags: ["u32", 16],
	map_name: ["bytes", 28, 16],
	map_ifindex: ["u32", 44],
	btf_fd: ["u32", 48],
	btf_key_type_id: ["u32", 52],
	btf_value_type_id: ["u32", 56],
	map_extra: ["u64", 64],
});

export const BpfGetInfo = defineStruct("bpf_get_info", 16, {
	bpf_fd: ["u32", 0],
	info_len: ["u32", 4],
	info: ["u64", 8],
});

export const BpfGetFdById = defineStruct("bpf_get_fd_by_id", 12, {
	map_id: ["u32", 0],
	open_flags: ["u32", 8],
});

export const BpfMapBatch = defineStruct("bpf_map_batch", 56, {
	in_batch: ["u64", 0],
	out_batch: ["u64", 8],
	keys: ["u64", 16],
	values: ["u64", 24],
	count: ["u32", 32],
	map_fd: ["u32", 36],
	elem_flags: ["u64", 40],
	flags: ["u64", 48],
});

export const BpfMapFreeze = defineStruct("bpf_map_freeze", 4, { map_fd: ["u32", 0] });

export const BpfBtfLoad = defineStruct("bpf_btf_load", 20, { btf: ["u64", 0], btf_size: ["u32", 16] });

export const BpfBtfId = defineStruct("bpf_btf_id", 4, { btf_id: ["u32", 0] });
