// SPDX-License-Identifier: GPL-2.0-only
// wait4(2), waitid(2): options and wait statuses.
// Source: linux/wait.h, wait(2).

export const P_ALL = 0;
export const P_PID = 1;
export const WNOHANG = 1;
export const P_PGID = 2;
export const WSTOPPED = 2;
export const WUNTRACED = 2;
export const P_PIDFD = 3;
export const WEXITED = 4;
export const WCONTINUED = 8;
export const WNOWAIT = 16777216;
export const __WNOTHREAD = 0x20000000;
export const __WALL = 0x40000000;
export const __WCLONE = 0x80000000;

/** True when the status tells of a normal exit. */
export function WIFEXITED(status: number): boolean {
	return (status & 0x7f) === 0;
}

/** The exit code, 0 to 255. Counts when WIFEXITED. */
export function WEXITSTATUS(status: number): number {
	return (status >> 8) & 0xff;
}

/** True when the status tells of a death by a signal. */
export function WIFSIGNALED(status: number): boolean {
	return (status & 0x7f) !== 0 && (status & 0x7f) !== 0x7f;
}

/** The killing signal. Counts when WIFSIGNALED. */
export function WTERMSIG(status: number): number {
	return status & 0x7f;
}

/** True when a core file was written. Counts when WIFSIGNALED. */
export function WCOREDUMP(status: number): boolean {
	return (status & 0x80) !== 0;
}

/** True when the status tells of a stop. */
export function WIFSTOPPED(status: number): boolean {
	return (status & 0xff) === 0x7f;
}

/** The stopping signal; its upper bits (0x80 of PTRACE_O_TRACESYSGOOD) included. Counts when WIFSTOPPED. */
export function WSTOPSIG(status: number): number {
	return (status >> 8) & 0xff;
}

/** The PTRACE_EVENT_* of a ptrace stop, 0 when it is none. Counts when WIFSTOPPED. */
export function ptraceEventOf(status: number): number {
	return status >> 16;
}

/** True when the task was continued by SIGCONT. */
export function WIFCONTINUED(status: number): boolean {
	return status === 0xffff;
}
