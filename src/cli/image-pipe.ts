// SPDX-License-Identifier: GPL-2.0-only
// Standard output or input as the way of all images (-D -): taken away from everything else that would use it.

import { UsageError } from "../errors.ts";
import { O_RDONLY, O_WRONLY } from "../kernel/abi/fcntl.ts";
import { closeFd, openAt } from "../sys/file.ts";
import { duplicateTo } from "../sys/standard-streams.ts";
import { isTerminal, takeStream } from "../sys/stream-io.ts";

const PIPE_SIZE = 1 << 20;

/**
 * A descriptor of ours for the stream. What's printed goes to standard error from here on, and standard input is the
 * terminal of standard error, or nothing.
 *
 * @throws UsageError STREAM_TERMINAL, KernelError
 */
export function takeImagePipe(direction: "output" | "input"): number {
	const isOutput = direction === "output";
	const fd = isOutput ? 1 : 0;
	if (isTerminal(fd))
		throw new UsageError("STREAM_TERMINAL", `-D - sends images through standard ${direction}, which is a terminal`, {
			remedy: "write: criu dump -t PID -D - | ssh HOST criu restore -d -D -",
		});
	const own = takeStream(fd, isOutput ? O_WRONLY : O_RDONLY, PIPE_SIZE);
	if (isOutput) duplicateTo(2, 1);
	// Programs of a terminal get it back as standard input's.
	else if (isTerminal(2)) duplicateTo(2, 0);
	else {
		const nothing = openAt("/dev/null", O_RDONLY);
		duplicateTo(nothing, 0);
		closeFd(nothing);
	}
	return own;
}
