// SPDX-License-Identifier: GPL-2.0-only
// Places of the mappings that a new process has while its files are made (`TaskPlan.lasting`). What else is mapped meanwhile,
// at `TaskPlan.scratch`, may be as large as the program's shared memory, and so lies behind all of them.

/** Offsets, each with room up to the next. */
export const LASTING = {
	/** What waits in pipes, one after the other. */
	pipes: 0n,
	/** One message to a socket. */
	message: 1n << 32n,
	/** The image of what waits in sockets. */
	queues: 1n << 33n,
} as const;

/** Length of all of it. */
export const LASTING_ROOM = 1n << 36n;
