// SPDX-License-Identifier: GPL-2.0-only
// Checks that the task kinds share when they read core-PID.img: parts that must be there, numbers that must fit.

import { ImageError } from "../../errors.ts";
import type { task_core_entry, thread_core_entry } from "../../images/gen/core_pb.ts";
import type { CoreImage } from "../kind.ts";

/** The name of a task's core image. */
export function coreFile(image: CoreImage): string {
	return `core-${image.tid}.img`;
}

/** The error for a value that no dump can have written. `problem` names the field: "tc.comm has 300 bytes". */
export function corruptCore(image: CoreImage, problem: string): ImageError {
	const file = coreFile(image);
	return new ImageError("IMAGE_CORRUPT", `${file}: ${problem}`, {
		file,
		remedy: "dump again; the images were damaged",
	});
}

/** The part of the core that belongs to the whole task. @throws ImageError IMAGE_CORRUPT when it's missing */
export function getTaskCore(image: CoreImage): task_core_entry {
	const { tc } = image.core;
	if (tc === undefined) throw corruptCore(image, "tc is missing");
	return tc;
}

/** The part of the core that belongs to the thread. @throws ImageError IMAGE_CORRUPT when it's missing */
export function getThreadCore(image: CoreImage): thread_core_entry {
	const { threadCore } = image.core;
	if (threadCore === undefined) throw corruptCore(image, "thread_core is missing");
	return threadCore;
}

/** Gives an integer that lies in [low, high]. @throws ImageError IMAGE_CORRUPT naming the field */
export function checkRange<T extends number | bigint>(
	image: CoreImage,
	field: string,
	value: T,
	low: number | bigint,
	high: number | bigint,
): T {
	if (value < low || value > high) throw corruptCore(image, `${field} is ${value}, allowed are ${low} to ${high}`);
	return value;
}
