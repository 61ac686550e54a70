// SPDX-License-Identifier: GPL-2.0-only
// The structures that the engine and the host library share, as cparts/host/host.h lays them out; the build compares both.

import { defineStruct } from "../kernel/abi/struct.ts";

/** In the address of a piece: its pages are shared copy-on-write and have to stay so. */
export const PIECE_SHARED = 1;
/** In the address of a piece: it is memory of ours, of any length. */
export const PIECE_LOCAL = 2;

/** The process runs on: what isn't there any more counts as zeros. */
export const PUMP_LIVE = 1;
/** The pieces are sent one after the other. */
export const PUMP_STREAM = 2;
/** The output is a pipe, or whatever else has no positions. */
export const PUMP_PIPE = 4;

/** `struct cr_fd_move`. */
export const CrFdMove = defineStruct("cr_fd_move", 8, {
	from: ["i32", 0],
	to: ["i32", 4],
});

/** `struct cr_spawn`. */
export const CrSpawn = defineStruct("cr_spawn", 56, {
	flags: ["u64", 0],
	set_tid: ["u64", 8],
	set_tid_size: ["u64", 16],
	moves: ["u64", 24],
	nr_moves: ["u32", 32],
	exec_fd: ["i32", 36],
	close_from: ["i32", 40],
	die_with_parent: ["i32", 44],
	stage: ["i32", 48],
	error: ["i32", 52],
});

/** `struct cr_piece`. */
export const CrPiece = defineStruct("cr_piece", 16, {
	address: ["u64", 0],
	bytes: ["u64", 8],
});

/** `struct cr_pump`. */
export const CrPump = defineStruct("cr_pump", 56, {
	pieces: ["u64", 0],
	nr_pieces: ["u64", 8],
	offset: ["u64", 16],
	pid: ["i32", 24],
	mem_fd: ["i32", 28],
	out_fd: ["i32", 32],
	nr_threads: ["u32", 36],
	failed_at: ["u64", 40],
	failed_write: ["i32", 48],
	flags: ["u32", 52],
});

/** `struct cr_progress`. */
export const CrProgress = defineStruct("cr_progress", 40, {
	counter: ["u64", 0],
	what: ["u8", 8, 24],
	tty_fd: ["i32", 32],
	json_fd: ["i32", 36],
});

/** `struct cr_stuck`. */
export const CrStuck = defineStruct("cr_stuck", 32, {
	text: ["u64", 0],
	length: ["u64", 8],
	armed: ["u64", 16],
	seconds: ["u32", 24],
	log_fd: ["i32", 28],
});

/** Mirrors CR_LATE_SHARED and CR_LATE_HUGE (cparts/host/host.h). */
export const LATE_SHARED = 1;
export const LATE_HUGE = 2;

/** `struct cr_late`. */
export const CrLate = defineStruct("cr_late", 32, {
	address: ["u64", 0],
	bytes: ["u64", 8],
	offset: ["u64", 16],
	flags: ["u64", 24],
});

/** `struct cr_late_task`. */
export const CrLateTask = defineStruct("cr_late_task", 32, {
	pieces: ["u64", 0],
	nr_pieces: ["u64", 8],
	pid: ["i32", 16],
	mem_fd: ["i32", 20],
	out_fd: ["i32", 24],
	uffd: ["i32", 28],
});

/** `struct cr_snapshot`. */
export const CrSnapshot = defineStruct("cr_snapshot", 40, {
	tasks: ["u64", 0],
	nr_tasks: ["u64", 8],
	handle: ["u64", 16],
	failed_at: ["u64", 24],
	failed_write: ["i32", 32],
	pad: ["i32", 36],
});

/** `struct cr_seize`. */
export const CrSeize = defineStruct("cr_seize", 40, {
	tids: ["u64", 0],
	results: ["u64", 8],
	others: ["u64", 16],
	nr_tids: ["u32", 24],
	nr_others: ["u32", 28],
	leader: ["i32", 32],
	options: ["u32", 36],
});

/** Mirrors `struct cr_guard` (cparts/host/host.h). */
export const CrGuard = defineStruct("cr_guard", 48, {
	pipe_fd: ["i32", 0],
	state_fd: ["i32", 4],
	timeout_ms: ["i32", 8],
	pad: ["i32", 12],
	end: ["bytes", 16, 16],
	late: ["bytes", 32, 16],
});

/** Mirrors `struct cr_looks` (cparts/host/host.h). */
export const CrLooks = defineStruct("cr_looks", 32, {
	fd: ["i32", 0],
	before: ["i32", 4],
	pidfd: ["i32", 8],
	pad: ["i32", 12],
	stack: ["u64", 16],
	stack_size: ["u64", 24],
});

/** `struct cr_step`. */
export const CrStep = defineStruct("cr_step", 32, {
	tids: ["u64", 0],
	results: ["u64", 8],
	nr_tids: ["u32", 16],
	timeout_ms: ["u32", 20],
	request: ["u32", 24],
});

/** Mirrors `struct cr_sockopt` (cparts/host/host.h). */
export const CrSockopt = defineStruct("cr_sockopt", 24, {
	level: ["i32", 0],
	name: ["i32", 4],
	offset: ["u32", 8],
	capacity: ["u32", 12],
	length: ["u32", 16],
	result: ["i32", 20],
});

/** Mirrors `struct cr_fd` (cparts/host/host.h). */
export const CrFd = defineStruct("cr_fd", 344, {
	fd: ["i32", 0],
	other_fd: ["i32", 4],
	shared: ["i32", 8],
	own_fd: ["i32", 12],
	info_at: ["u32", 16],
	info_length: ["u32", 20],
	link_at: ["u32", 24],
	link_length: ["u32", 28],
	owner_type: ["i32", 32],
	owner: ["i32", 36],
	signum: ["i32", 40],
	owner_uids: ["u32", 44, 2],
	path_error: ["i32", 52],
	status: ["bytes", 56, 144],
	path_status: ["bytes", 200, 144],
});

/** Mirrors `struct cr_fds` (cparts/host/host.h). */
export const CrFds = defineStruct("cr_fds", 80, {
	list: ["u64", 0],
	text: ["u64", 8],
	text_size: ["u64", 16],
	used: ["u64", 24],
	prefix: ["u64", 32],
	prefix_length: ["u64", 40],
	nr: ["u32", 48],
	done: ["u32", 52],
	pid: ["i32", 56],
	pidfd: ["i32", 60],
	other_pid: ["i32", 64],
	call: ["i32", 68],
	by_two: ["i32", 72],
	pad: ["i32", 76],
});

/** Mirrors `struct cr_pipe_peek` (cparts/host/host.h). */
export const CrPipePeek = defineStruct("cr_pipe_peek", 48, {
	data: ["u64", 0],
	capacity: ["u32", 8],
	fd: ["i32", 12],
	read_end: ["i32", 16],
	write_end: ["i32", 20],
	other_size: ["u32", 24],
	size: ["u32", 28],
	bytes: ["u32", 32],
	copied: ["u32", 36],
	packets: ["u32", 40],
});

/** Mirrors `struct cr_requeue` (cparts/host/host.h). */
export const CrRequeue = defineStruct("cr_requeue", 88, {
	raw: ["u64", 0],
	lines: ["u64", 8],
	own: ["u64", 16],
	locks: ["u64", 24],
	data: ["u64", 32],
	ends: ["u64", 40],
	capacity: ["u32", 48],
	max_ends: ["u32", 52],
	fd: ["i32", 56],
	other_fd: ["i32", 60],
	packets: ["i32", 64],
	length: ["u32", 68],
	nr_ends: ["u32", 72],
	error: ["i32", 76],
	stopped: ["i32", 80],
	pad: ["i32", 84],
});

/** Mirrors `struct cr_lazy_fd` (cparts/host/host.h). */
export const CrLazyFd = defineStruct("cr_lazy_fd", 8, {
	fd: ["i32", 0],
	is_pidfd: ["i32", 4],
});

/** Mirrors `struct cr_lazy_guard` (cparts/host/host.h). */
export const CrLazyGuard = defineStruct("cr_lazy_guard", 32, {
	list: ["u64", 0],
	pad: ["i32", 8],
	pidfd: ["i32", 12],
	stack: ["u64", 16],
	stack_size: ["u64", 24],
});

/** `struct cr_launch`. */
export const CrLaunch = defineStruct("cr_launch", 48, {
	path: ["u64", 0],
	argv: ["u64", 8],
	envp: ["u64", 16],
	fds: ["u64", 24],
	nr_fds: ["u32", 32],
	new_session: ["i32", 36],
	error: ["i32", 40],
	pad: ["i32", 44],
});
