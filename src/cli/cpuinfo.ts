// SPDX-License-Identifier: GPL-2.0-only
// `criu cpuinfo dump` and `criu cpuinfo check`.

import { checkCpuinfo, writeCpuinfo } from "../engine/cpuinfo.x86_64.ts";
import { openImages } from "../engine/open-images.ts";
import { log } from "../log.ts";
import { loadHost } from "../sys/host.ts";
import type { CommandContext } from "./command-context.ts";
import { commandControl } from "./control.ts";

/** Writes or compares; the exit code. */
export function runCpuinfo({ options, words: [action] }: CommandContext): number {
	loadHost();
	using dir = openImages(options, "write", commandControl(options));
	if (action === "dump") {
		writeCpuinfo(dir);
		dir.finish();
	} else {
		const { fpu, ins, cpu } = options.cpuCap;
		const cap = fpu || ins || cpu ? options.cpuCap : { ...options.cpuCap, fpu: true, ins: true, cpu: true };
		checkCpuinfo(dir, cap);
		log.info("The CPU is fit for the images");
	}
	return 0;
}
