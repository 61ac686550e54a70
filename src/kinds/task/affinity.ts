// SPDX-License-Identifier: GPL-2.0-only
// The CPUs that a thread is bound to, in a field of our own: kept where they are others than criu's, which a new process
// starts with. Source: sched_setaffinity(2). Images: core-PID.img, thread_core_entry.

import { readFileSync } from "node:fs";
import { hasField } from "../../images/index.ts";
import { SYS_sched_getaffinity, SYS_sched_setaffinity } from "../../kernel/abi/syscalls.x86_64.ts";
import { log } from "../../log.ts";
import { mustSyscall } from "../../sys/host.ts";
import type {
	DumpContext,
	DumpedThread,
	RestoreContext,
	TaskKind,
	ThreadDraft,
	ThreadImage,
	ThreadPlan,
} from "../kind.ts";
import { corruptCore, getThreadCore } from "./image-checks.ts";

/** Room for 8192 CPUs, the most that kernels are built for. */
const MASK_BYTES = 1024;
const ONLINE = "/sys/devices/system/cpu/online";

/** A CPU mask without the zero bytes at its end: the kernel's are as long as its own limit of CPUs. */
function trimMask(mask: Uint8Array): Uint8Array {
	// A loop, as this is done for each thread: a function called for each byte takes a hundred times as long.
	let end = mask.length;
	while (end > 0 && mask[end - 1] === 0) end--;
	return mask.subarray(0, end);
}

/** The CPUs of a thread, 0 for our own: bit by bit, the first byte has those from 0 to 7. */
function readAffinity(tid: number): Uint8Array {
	const bytes = new Uint8Array(MASK_BYTES);
	const length = mustSyscall(`of task ${tid}`, SYS_sched_getaffinity, tid, bytes.length, bytes);
	return trimMask(bytes.subarray(0, length));
}

const readOwn = (context: DumpContext | RestoreContext) => context.once("own:affinity", () => readAffinity(0));

function equals(a: Uint8Array, b: Uint8Array): boolean {
	return Buffer.compare(a, b) === 0;
}

/** The mask of a list as the kernel writes it: `0-3,8`. @throws TypeError */
export function parseCpuList(text: string): Uint8Array {
	const mask = new Uint8Array(MASK_BYTES);
	for (const part of text.trim().split(",")) {
		const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part);
		if (match === null) throw new TypeError(`${part} is no range of CPUs`);
		const [, first, last = first] = match;
		for (let cpu = Number(first); cpu <= Number(last) && cpu < 8 * MASK_BYTES; cpu++) {
			const at = cpu >> 3;
			mask[at] = (mask[at] ?? 0) | (1 << (cpu & 7));
		}
	}
	return trimMask(mask);
}

/** The CPUs of this machine; undefined when sysfs isn't there to tell. */
function readOnline(): Uint8Array | undefined {
	try {
		return parseCpuList(readFileSync(ONLINE, "latin1"));
	} catch {
		return undefined;
	}
}

function dumpAffinity({ tid }: DumpedThread, draft: ThreadDraft, _ask: unknown, context: DumpContext): undefined {
	const mask = readAffinity(tid);
	if (draft.core.threadCore !== undefined && !equals(mask, readOwn(context))) draft.core.threadCore.cpuAffinity = mask;
	return undefined;
}

function planAffinity(image: ThreadImage, plan: ThreadPlan, context: RestoreContext): void {
	const core = getThreadCore(image);
	if (!hasField(core, "cpuAffinity")) return;
	const wanted = trimMask(core.cpuAffinity);
	if (wanted.length === 0 || wanted.length > MASK_BYTES)
		throw corruptCore(image, `thread_core.cpu_affinity has ${core.cpuAffinity.length} bytes and names no CPU`);
	if (equals(wanted, readOwn(context))) return;
	const online = context.once("host:cpus", readOnline);
	const there = online === undefined ? wanted : trimMask(wanted.map((byte, i) => byte & (online[i] ?? 0)));
	if (!equals(there, wanted)) log.warn(`task ${image.tid} was bound to CPUs that this machine hasn't`);
	if (there.length === 0) return;
	// Others than those of its cpuset (cgroups(7)) can't be had: EINVAL.
	plan.programs.state.syscall("bind to CPUs", SYS_sched_setaffinity, [0, there.length, there], {
		check: { okOr: "EINVAL" },
	});
}

/** The CPUs that a thread may run on. */
export const affinity: TaskKind = { name: "affinity", dumpThread: dumpAffinity, planThread: planAffinity };
