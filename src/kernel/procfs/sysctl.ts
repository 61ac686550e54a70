// SPDX-License-Identifier: GPL-2.0-only
// Numbers among the settings of the kernel. Source: proc_sys(5), fs/proc/proc_sysctl.c.

import { readFileSync } from "node:fs";
import { procParseError } from "./parse.ts";
import { withKernelErrors } from "./reader.ts";

/** A setting that is one number, by its name below /proc/sys. @throws KernelError, CriuError PROC_PARSE */
export function readSysctl(name: string): number {
	const file = `/proc/sys/${name}`;
	// Not into the buffer for other files of /proc: the kernel allocates as much as there is room for, or fails.
	const text = withKernelErrors(file, () => readFileSync(file, "latin1")).trim();
	if (!/^-?\d{1,15}$/.test(text)) throw procParseError(file, "it isn't a number");
	return Number(text);
}
