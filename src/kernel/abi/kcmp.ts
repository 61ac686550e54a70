// SPDX-License-Identifier: GPL-2.0-only
// Kinds of comparison of kcmp(2).
// Source: linux/kcmp.h.

import { defineStruct, type StructValue } from "./struct.ts";

export const KCMP_FILE = 0;
export const KCMP_VM = 1;
export const KCMP_FILES = 2;
export const KCMP_FS = 3;
export const KCMP_SIGHAND = 4;
export const KCMP_IO = 5;
export const KCMP_SYSVSEM = 6;
export const KCMP_EPOLL_TFD = 7;

/** The slot that KCMP_EPOLL_TFD looks at: epoll fd, watched fd, and which of several entries with that fd. */
export const KcmpEpollSlot = defineStruct("kcmp_epoll_slot", 12, {
	efd: ["u32", 0],
	tfd: ["u32", 4],
	toff: ["u32", 8],
});
export type KcmpEpollSlot = StructValue<typeof KcmpEpollSlot>;
