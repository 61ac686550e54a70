// SPDX-License-Identifier: GPL-2.0-only
// Descriptions of the types of keys and values of bpf maps (BTF): the kernel gives them back as they were loaded.
// Source: bpf(2), linux/bpf.h, Documentation/bpf/btf.rst.

import * as bpf from "../../kernel/abi/bpf.ts";
import { SYS_bpf } from "../../kernel/abi/syscalls.x86_64.ts";
import { closeFd } from "../../sys/file.ts";
import { addressOf, mustSyscall } from "../../sys/host.ts";

/** The kernel takes no longer ones. */
export const MAX_BTF = 16 * 1024 * 1024;

/** @throws KernelError with what went wrong */
export function callBpf(what: string, command: number, attr: Uint8Array): number {
	return mustSyscall(`${what} (bpf command ${command})`, SYS_bpf, command, attr, attr.length);
}

function readInfo(fd: number, room: Uint8Array): bpf.BpfBtfInfo {
	const info = bpf.BpfBtfInfo.encode({ btf: room.length === 0 ? 0n : addressOf(room), btf_size: room.length });
	const attr = bpf.BpfGetInfo.encode({ bpf_fd: fd, info_len: info.length, info: addressOf(info) });
	callBpf("look at a description of types", bpf.BPF_OBJ_GET_INFO_BY_FD, attr);
	return bpf.BpfBtfInfo.read(new DataView(info.buffer));
}

/** A description by its number in the kernel; undefined for the kernel's own. @throws KernelError */
export function readBtf(id: number): Uint8Array | undefined {
	const fd = callBpf(`open description ${id}`, bpf.BPF_BTF_GET_FD_BY_ID, bpf.BpfBtfId.encode({ btf_id: id }));
	try {
		const { btf_size, kernel_btf } = readInfo(fd, new Uint8Array(0));
		if (kernel_btf !== 0) return undefined;
		const bytes = new Uint8Array(btf_size);
		readInfo(fd, bytes);
		return bytes;
	} finally {
		closeFd(fd);
	}
}

/** Does something with a descriptor of a description that is loaded for it. @throws KernelError */
export function withBtf<T>(bytes: Uint8Array, work: (fd: number) => T): T {
	const attr = bpf.BpfBtfLoad.encode({ btf: addressOf(bytes), btf_size: bytes.length });
	const fd = callBpf("load a description of types", bpf.BPF_BTF_LOAD, attr);
	try {
		return work(fd);
	} finally {
		closeFd(fd);
	}
}
