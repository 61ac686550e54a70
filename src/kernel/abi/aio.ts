// SPDX-License-Identifier: GPL-2.0-only
// Asynchronous I/O of the kernel: io_setup(2), io_submit(2).
// Source: linux/aio_abi.h; the ring is what fs/aio.c and libaio agree upon, no header shows it.

import { defineStruct, type StructValue } from "./struct.ts";

export const IOCB_CMD_PREAD = 0;

/** A request. */
export const Iocb = defineStruct("iocb", 64, {
	aio_data: ["u64", 0],
	aio_key: ["u32", 8],
	aio_rw_flags: ["i32", 12],
	aio_lio_opcode: ["u16", 16],
	aio_reqprio: ["i16", 18],
	aio_fildes: ["u32", 20],
	aio_buf: ["u64", 24],
	aio_nbytes: ["u64", 32],
	aio_offset: ["i64", 40],
	aio_reserved2: ["u64", 48],
	aio_flags: ["u32", 56],
	aio_resfd: ["u32", 60],
});
export type Iocb = StructValue<typeof Iocb>;

/** What a completed request leaves in the ring. */
export const IoEvent = defineStruct("io_event", 32, {
	data: ["u64", 0],
	obj: ["u64", 8],
	res: ["i64", 16],
	res2: ["i64", 24],
});
export type IoEvent = StructValue<typeof IoEvent>;

export const AIO_RING_MAGIC = 0xa10a10a1;

/** Head of a ring; events follow. `tail` is a copy: the kernel trusts only its own. */
export const AioRing = defineStruct("aio_ring", 32, {
	id: ["u32", 0],
	nr: ["u32", 4],
	head: ["u32", 8],
	tail: ["u32", 12],
	magic: ["u32", 16],
	compat_features: ["u32", 20],
	incompat_features: ["u32", 24],
	header_length: ["u32", 28],
});
export type AioRing = StructValue<typeof AioRing>;
