// SPDX-License-Identifier: GPL-2.0-only
// Resource limits and their names, getrusage(2), priorities.
// Source: asm-generic/resource.h, linux/resource.h.

import { defineStruct, type StructValue } from "./struct.ts";

export const RLIMIT_CPU = 0;
export const RLIMIT_FSIZE = 1;
export const RLIMIT_DATA = 2;
export const RLIMIT_STACK = 3;
export const RLIMIT_CORE = 4;
export const RLIMIT_RSS = 5;
export const RLIMIT_NPROC = 6;
export const RLIMIT_NOFILE = 7;
export const RLIMIT_MEMLOCK = 8;
export const RLIMIT_AS = 9;
export const RLIMIT_LOCKS = 10;
export const RLIMIT_SIGPENDING = 11;
export const RLIMIT_MSGQUEUE = 12;
export const RLIMIT_NICE = 13;
export const RLIMIT_RTPRIO = 14;
export const RLIMIT_RTTIME = 15;
export const RLIM_NLIMITS = 16;

export const PRIO_MIN = -20;
export const RUSAGE_BOTH = -2;
export const RUSAGE_CHILDREN = -1;
export const PRIO_PROCESS = 0;
export const RUSAGE_SELF = 0;
export const PRIO_PGRP = 1;
export const RUSAGE_THREAD = 1;
export const PRIO_USER = 2;
export const PRIO_MAX = 20;

/** "unlimited" in rlimit64 and prlimit(2). */
export const RLIM64_INFINITY = 0xffffffffffffffffn;

/** Limit names by number, without the prefix. */
export const RLIMIT_NAMES = [
	"CPU",
	"FSIZE",
	"DATA",
	"STACK",
	"CORE",
	"RSS",
	"NPROC",
	"NOFILE",
	"MEMLOCK",
	"AS",
	"LOCKS",
	"SIGPENDING",
	"MSGQUEUE",
	"NICE",
	"RTPRIO",
	"RTTIME",
] as const;

/** A limit of prlimit64(2). */
export const Rlimit64 = defineStruct("rlimit64", 16, {
	rlim_cur: ["u64", 0],
	rlim_max: ["u64", 8],
});
export type Rlimit64 = StructValue<typeof Rlimit64>;
