// SPDX-License-Identifier: GPL-2.0-only
// Seccomp: what is installed for chains in images, what threads share, damaged images, and dumps of live threads.

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ImageError, UnsupportedError } from "../../../src/errors.ts";
import { seccomp_mode, type thread_core_entry } from "../../../src/images/gen/core_pb.ts";
import { type seccomp_filter, seccomp_filterSchema } from "../../../src/images/gen/security_pb.ts";
import { create, hasField, ImageDir } from "../../../src/images/index.ts";
import { SockFilter } from "../../../src/kernel/abi/seccomp.ts";
import { SYS_seccomp } from "../../../src/kernel/abi/syscalls.x86_64.ts";
import type { RestoreContext, TaskImage, ThreadImage } from "../../../src/kinds/kind.ts";
import { asksSupervisor, encodeSeccomp, seccomp } from "../../../src/kinds/task/seccomp.ts";
import { PTRACE_O_SUSPEND_SECCOMP } from "../../../src/sys/ptrace.ts";
import { describeAsRoot } from "../../as-root.ts";
import { freezeOne } from "../../frozen.ts";
import { dumpContext, emptyDraft, emptyPlan, imageOf, restoreContext } from "./fixtures.ts";

const PID = 77;
const TSYNC = 1;
const LOG = 2;

const instruction = (code: number, k: number) => SockFilter.encode({ code, jt: 0, jf: 0, k });
const answer = (k: number) => instruction(0x06, k >>> 0);
/** Filters that differ. */
const code = (n: number, length = 1) =>
	Buffer.concat(Array.from({ length }, (_, i) => (i === length - 1 ? answer(0x7fff0000) : instruction(0, n))));
const filter = (bytes: Uint8Array, prev?: number, flags = 0): seccomp_filter => {
	const entry = create(seccomp_filterSchema, { filter: bytes, flags });
	if (prev !== undefined) entry.prev = prev;
	return entry;
};

type Wish = "strict" | number | undefined;

/** A task whose threads have these modes: strict, or the index of a filter. */
function taskOf(...wishes: Wish[]): TaskImage {
	const image = imageOf(PID);
	const threads = image.threads as ThreadImage[];
	for (const [i, wish] of wishes.entries()) {
		const thread = threads[i] ?? { tid: PID + i, core: emptyDraft().core, isLeader: false, task: image };
		if (i > 0) threads.push(thread);
		const { threadCore } = thread.core;
		if (threadCore === undefined || wish === undefined) continue;
		threadCore.seccompMode = wish === "strict" ? seccomp_mode.strict : seccomp_mode.filter;
		if (wish !== "strict") threadCore.seccompFilter = wish;
	}
	return image;
}

interface Installed {
	length: number;
	flags: number;
	bytes: Uint8Array;
}

/** What each thread installs: filters in their order, or "strict". */
function planAll(image: TaskImage, filters: readonly seccomp_filter[] | undefined, context?: RestoreContext) {
	const known = filters === undefined ? {} : { "seccomp:image": filters };
	const shared = context ?? restoreContext(known);
	const main = emptyPlan();
	seccomp.plan?.(image, main, shared);
	const found = image.threads.map((thread, i) => {
		const plan = i === 0 ? main : emptyPlan();
		seccomp.planThread?.(thread, plan, shared);
		const { ops } = plan.programs.creds;
		const installed: (Installed | "strict")[] = [];
		for (const [at, { nr, args }] of ops.entries()) {
			if (nr !== SYS_seccomp) continue;
			const [, length] = ops[at - 2]?.args ?? [];
			const [, bytes] = ops[at - 1]?.args ?? [];
			if (args[0] === 0) installed.push("strict");
			else installed.push({ length: Number(length), flags: Number(args[1]), bytes: bytes as Uint8Array });
		}
		return { installed, suspended: plan.traceOptions === PTRACE_O_SUSPEND_SECCOMP };
	});
	return { found, leaderFirst: main.leaderFirst };
}

const A = code(1, 2);
const B = code(2, 3);
const C = code(3, 4);
const install = (bytes: Uint8Array, flags = 0): Installed => ({ length: bytes.length / 8, flags, bytes });

describe("a restore", () => {
	test("installs a chain, the oldest filter first, with the flags that it had", () => {
		const filters = [filter(C, undefined, LOG), filter(B, 0, 4), filter(A, 1, LOG)];
		const { found, leaderFirst } = planAll(taskOf(2), filters);
		expect(found).toEqual([{ installed: [install(A, LOG), install(B, 4), install(C, LOG)], suspended: true }]);
		expect(leaderFirst).toBe(false);
	});

	test("leaves threads without seccomp alone, and needs no image for them", () => {
		const { found } = planAll(taskOf(undefined, undefined), undefined);
		expect(found).toEqual([
			{ installed: [], suspended: false },
			{ installed: [], suspended: false },
		]);
	});

	test("gives a leader's synchronised filters to all threads at once", () => {
		const filters = [filter(B, undefined, TSYNC), filter(A, 0, TSYNC | LOG)];
		const { found, leaderFirst } = planAll(taskOf(1, undefined, undefined), filters);
		expect(found.map(({ installed }) => installed)).toEqual([[install(A, LOG), install(B, TSYNC)], [], []]);
		expect(found.every(({ suspended }) => suspended)).toBe(true);
		expect(leaderFirst).toBe(true);
	});

	test("synchronises no thread of a process of one, nor a filter without that flag", () => {
		expect(planAll(taskOf(0), [filter(A, undefined, TSYNC)]).found[0]?.installed).toEqual([install(A)]);
		expect(planAll(taskOf(0, undefined), [filter(A)]).found.map(({ installed }) => installed)).toEqual([
			[install(A)],
			[],
		]);
	});

	test("shares the filters that all chains begin with", () => {
		const filters = [filter(B), filter(A, 0), filter(C), filter(A, 2), filter(A)];
		const { found, leaderFirst } = planAll(taskOf(1, 3, 4), filters);
		expect(found.map(({ installed }) => installed)).toEqual([[install(A, TSYNC), install(B)], [install(C)], []]);
		expect(leaderFirst).toBe(true);
	});

	test("shares nothing where one thread has no filter or another flag", () => {
		const without = planAll(taskOf(undefined, 0, 0), [filter(A)]);
		expect(without.found.map(({ installed }) => installed)).toEqual([[], [install(A)], [install(A)]]);
		expect(without.found.map(({ suspended }) => suspended)).toEqual([false, true, true]);
		expect(without.leaderFirst).toBe(false);
		const flags = planAll(taskOf(0, 1), [filter(A), filter(A, undefined, LOG)]);
		expect(flags.found.map(({ installed }) => installed)).toEqual([[install(A)], [install(A, LOG)]]);
	});

	test("puts threads into strict mode", () => {
		const { found } = planAll(taskOf("strict", undefined, 0), [filter(A)]);
		expect(found.map(({ installed }) => installed)).toEqual([["strict"], [], [install(A)]]);
		expect(found.map(({ suspended }) => suspended)).toEqual([true, false, true]);
	});

	test("takes the mode of the whole task from images of old versions", () => {
		const image = taskOf(undefined, undefined);
		const { tc } = image.core;
		if (tc !== undefined) Object.assign(tc, { oldSeccompMode: seccomp_mode.filter, oldSeccompFilter: 0 });
		expect(planAll(image, [filter(A)]).found.map(({ installed }) => installed)).toEqual([[install(A, TSYNC)], []]);
		if (tc !== undefined) tc.oldSeccompMode = seccomp_mode.strict;
		expect(planAll(image, undefined).found.map(({ installed }) => installed)).toEqual([["strict"], ["strict"]]);
	});
});

describe("a damaged image", () => {
	const refuse = (
		filters: seccomp_filter[],
		text: RegExp,
		first = 0,
		error: typeof ImageError | typeof UnsupportedError = ImageError,
	) => {
		expect(() => planAll(taskOf(first), filters)).toThrow(error);
		expect(() => planAll(taskOf(first), filters)).toThrow(text);
	};

	test("is refused for an index that no filter has", () => {
		refuse([filter(A)], /no filter 1, only 1/, 1);
		refuse([], /no filter 0/);
		refuse([filter(A, 4294967295)], /no filter 4294967295/);
	});

	test("is refused for a chain that leads back into itself", () => {
		refuse([filter(A, 0)], /leads back/);
		refuse([filter(A, 1), filter(B, 0)], /leads back/, 1);
	});

	test("is refused for filters that are no whole instructions, none, or too many", () => {
		refuse([filter(A.subarray(0, 15))], /15 bytes/);
		refuse([filter(new Uint8Array(0))], /0 bytes/);
		refuse([filter(code(1, 4097))], /4097 instructions, allowed are 4096/);
		planAll(taskOf(0), [filter(code(1, 4096))]);
	});

	test("is refused for a chain longer than the kernel takes", () => {
		const chain = (count: number) =>
			Array.from({ length: count }, (_, i) => filter(code(1, 4092), i > 0 ? i - 1 : undefined));
		planAll(taskOf(7), chain(8));
		refuse(chain(9), /longer than the kernel allows/, 8);
		refuse([...chain(8), filter(code(1, 5), 7)], /longer than the kernel allows/, 8);
	});

	test("is refused for unknown flags, and for filters with a supervisor", () => {
		refuse([filter(A, undefined, 0x40)], /unknown flags 0x40/);
		refuse([filter(A, undefined, 0x80000000)], /unknown flags 0x80000000/);
		refuse([filter(A, undefined, 8)], /supervisor/, 0, UnsupportedError);
		refuse([filter(A, undefined, 0x28)], /supervisor/, 0, UnsupportedError);
	});

	test("is refused for an unknown mode, and for filter mode without a filter", () => {
		const image = taskOf(0);
		const thread = image.core.threadCore as thread_core_entry;
		Object.assign(thread, { seccompMode: 3 });
		expect(() => planAll(image, [filter(A)])).toThrow(/seccomp_mode is 3/);
		const bare = taskOf(undefined);
		Object.assign(bare.core.threadCore as thread_core_entry, { seccompMode: seccomp_mode.filter });
		expect(() => planAll(bare, [filter(A)])).toThrow(/seccomp_filter is missing/);
	});

	test("is told when it's missing", () => {
		const path = mkdtempSync(join(tmpdir(), "seccomp-"));
		try {
			using dir = ImageDir.open(path);
			const context = { ...restoreContext(), dir };
			expect(() => planAll(taskOf(0), undefined, context)).toThrow(/seccomp.img is missing/);
			writeFileSync(join(path, "seccomp.img"), "nonsense");
			expect(() => planAll(taskOf(0), undefined, { ...restoreContext(), dir })).toThrow(ImageError);
		} finally {
			rmSync(path, { recursive: true });
		}
	});

	test("of any bytes is planned or refused, never more", () => {
		let seed = 99;
		const random = () => {
			seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
			return seed >>> 16;
		};
		for (let i = 0; i < 2000; i++) {
			const count = random() % 5;
			const filters = Array.from({ length: count }, () =>
				filter(
					new Uint8Array(random() % 4 === 0 ? random() % 40 : (random() % 5) * 8),
					random() % 3 === 0 ? undefined : random() % 6,
					random() % 4 === 0 ? random() : random() % 8,
				),
			);
			const image = taskOf(random() % 6, random() % 2 === 0 ? undefined : random() % 6, "strict");
			try {
				planAll(image, filters);
			} catch (error) {
				expect(error instanceof ImageError || error instanceof UnsupportedError).toBe(true);
			}
		}
	});
});

describe("filters that ask a supervisor", () => {
	test("are found by their constant answers", () => {
		expect(asksSupervisor(Buffer.concat([instruction(0x20, 0), answer(0x7fc00000)]))).toBe(true);
		expect(asksSupervisor(Buffer.concat([instruction(0x20, 0), answer(0x7fc00007), answer(0)]))).toBe(true);
		expect(asksSupervisor(Buffer.concat([instruction(0x15, 0x7fc00000), answer(0x7fff0000)]))).toBe(false);
		expect(asksSupervisor(Buffer.concat([instruction(0x00, 0x7fc00000), instruction(0x16, 0)]))).toBe(true);
		expect(asksSupervisor(Buffer.concat([instruction(0x00, 0x50001), instruction(0x16, 0)]))).toBe(false);
		expect(asksSupervisor(new Uint8Array(0))).toBe(false);
	});
});

const SOURCE = `
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
static pthread_barrier_t barrier;
static void install(unsigned n, unsigned flags)
{
	struct sock_filter code[] = { BPF_STMT(BPF_LD | BPF_IMM, n), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog program = { 2, code };
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program))
		_exit(2);
}
static void *run(void *arg)
{
	if (arg)
		install(3, 0);
	pthread_barrier_wait(&barrier);
	for (;;)
		pause();
}
int main(int argc, char **argv)
{
	pthread_t thread;
	pthread_barrier_init(&barrier, NULL, 3);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	install(1, SECCOMP_FILTER_FLAG_LOG);
	install(2, 0);
	pthread_create(&thread, NULL, run, argc > 1 && !strcmp(argv[1], "apart") ? argv : NULL);
	pthread_create(&thread, NULL, run, NULL);
	pthread_barrier_wait(&barrier);
	write(1, "r", 1);
	for (;;)
		pause();
}
`;

let program: { dir: string; path: string } | undefined;

function build(): string {
	if (program !== undefined) return program.path;
	const dir = mkdtempSync(join(tmpdir(), "seccomp-"));
	const path = join(dir, "target");
	program = { dir, path };
	writeFileSync(`${path}.c`, SOURCE);
	const gcc = Bun.spawnSync(["gcc", "-O1", "-pthread", "-o", path, `${path}.c`]);
	if (!gcc.success) throw new Error(gcc.stderr.toString());
	return path;
}

afterAll(() => {
	if (program !== undefined) rmSync(program.dir, { recursive: true });
});

/** Dumps the threads of a live process with two filters and three threads. */
async function dumpTarget(mode: string) {
	await using target = Bun.spawn(["setsid", build(), mode], { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
	await target.stdout.getReader().read();
	using frozen = freezeOne(target.pid, 10);
	const context = dumpContext();
	expect(seccomp.findBlockers?.(frozen.task, context)).toEqual([]);
	const cores = frozen.task.threads.map((thread) => {
		const draft = emptyDraft();
		seccomp.dumpThread?.(thread, draft, undefined as never, context);
		const { threadCore } = draft.core;
		if (threadCore === undefined || !hasField(threadCore, "seccompMode")) return undefined;
		return [threadCore.seccompMode, threadCore.seccompFilter];
	});
	return { cores, filters: encodeSeccomp(context).seccompFilters };
}

const constants = (filters: readonly seccomp_filter[]) =>
	filters.map((entry) => ({
		k: new DataView(entry.filter.buffer, entry.filter.byteOffset).getUint32(4, true),
		flags: entry.flags,
		prev: hasField(entry, "prev") ? entry.prev : undefined,
	}));

describeAsRoot("a dump", () => {
	test("tells filters that all threads have by the leader alone, newest first, for all threads", async () => {
		const { cores, filters } = await dumpTarget("same");
		expect(constants(filters)).toEqual([
			{ k: 2, flags: TSYNC, prev: undefined },
			{ k: 1, flags: TSYNC | LOG, prev: 0 },
		]);
		expect(cores).toEqual([[2, 1], undefined, undefined]);
	});

	test("tells each thread's own chain where they differ, and equal chains once", async () => {
		const { cores, filters } = await dumpTarget("apart");
		expect(constants(filters)).toEqual([
			{ k: 2, flags: 0, prev: undefined },
			{ k: 1, flags: LOG, prev: 0 },
			{ k: 3, flags: 0, prev: undefined },
			{ k: 2, flags: 0, prev: 2 },
			{ k: 1, flags: LOG, prev: 3 },
		]);
		expect(cores).toEqual([
			[2, 1],
			[2, 4],
			[2, 1],
		]);
	});
});
