// SPDX-License-Identifier: GPL-2.0-only
// Clocks, interval timers and time structs.
// Source: linux/time.h, linux/timerfd.h, linux/time_types.h.

import { defineStruct, type StructValue } from "./struct.ts";

export const CLOCK_REALTIME = 0;
export const ITIMER_REAL = 0;
export const CLOCK_MONOTONIC = 1;
export const ITIMER_VIRTUAL = 1;
export const TIMER_ABSTIME = 1;
export const CLOCK_PROCESS_CPUTIME_ID = 2;
export const ITIMER_PROF = 2;
export const CLOCK_THREAD_CPUTIME_ID = 3;
export const CLOCK_MONOTONIC_RAW = 4;
export const CLOCK_REALTIME_COARSE = 5;
export const CLOCK_MONOTONIC_COARSE = 6;
export const CLOCK_BOOTTIME = 7;
export const CLOCK_REALTIME_ALARM = 8;
export const CLOCK_BOOTTIME_ALARM = 9;
export const CLOCK_SGI_CYCLE = 10;
export const CLOCK_TAI = 11;

/** Seconds and nanoseconds. */
export const Timespec = defineStruct("timespec", 16, {
	tv_sec: ["i64", 0],
	tv_nsec: ["i64", 8],
});
export type Timespec = StructValue<typeof Timespec>;

/** Seconds and microseconds. */
export const Timeval = defineStruct("timeval", 16, {
	tv_sec: ["i64", 0],
	tv_usec: ["i64", 8],
});
export type Timeval = StructValue<typeof Timeval>;

/** Value of setitimer(2). */
export const Itimerval = defineStruct("itimerval", 32, {
	it_interval: [Timeval, 0],
	it_value: [Timeval, 16],
});
export type Itimerval = StructValue<typeof Itimerval>;

/** Value of timer_settime(2) and timerfd_settime(2). */
export const Itimerspec = defineStruct("itimerspec", 32, {
	it_interval: [Timespec, 0],
	it_value: [Timespec, 16],
});
export type Itimerspec = StructValue<typeof Itimerspec>;
