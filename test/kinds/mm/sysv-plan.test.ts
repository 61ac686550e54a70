// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { Program } from "../../../src/agent/program.ts";
import {
	type ipc_desc_entry,
	ipc_desc_entrySchema,
	type ipc_shm_entry,
	ipc_shm_entrySchema,
} from "../../../src/images/gen/ipc_pb.ts";
import { mm_entrySchema, pagemap_headSchema, type vma_entry, vma_entrySchema } from "../../../src/images/gen/mm_pb.ts";
import { create, KINDS } from "../../../src/images/index.ts";
import * as ipc from "../../../src/kernel/abi/ipc.ts";
import * as nr from "../../../src/kernel/abi/syscalls.x86_64.ts";
import type { RestoreContext, TaskImage, TaskPlan } from "../../../src/kinds/kind.ts";
import { planSysvMemory } from "../../../src/kinds/mm/sysv-plan.ts";
import { defaultOptions } from "../../../src/options.ts";
import { syscall } from "../../../src/sys/host.ts";
import { TempDir } from "../file/fixtures.ts";
import { emptyPlan, imageOf } from "../task/fixtures.ts";

/** An id whose place hardly any host has in use. */
const ID = 3 * 32768 + 31999;
const NAMESPACE = 3;
const BASE = 0x10000n;

function segment(fields: Partial<ipc_shm_entry> = {}, desc: Partial<ipc_desc_entry> = {}): ipc_shm_entry {
	const { $typeName: _a, ...rest } = fields;
	const { $typeName: _b, ...own } = desc;
	return create(ipc_shm_entrySchema, {
		desc: create(ipc_desc_entrySchema, { key: 0, uid: 0, gid: 0, cuid: 0, cgid: 0, mode: 0o600, id: ID, ...own }),
		size: 8192n,
		inPagemaps: true,
		...rest,
	});
}

function attachment(fields: Partial<vma_entry> = {}): vma_entry {
	const { $typeName: _, ...rest } = fields;
	const size = { start: BASE, end: BASE + 8192n, pgoff: 0n };
	const kind = { shmid: BigInt(ID), prot: 3, flags: 0x21, status: 0x501, fd: -1n, fdflags: 2 };
	return create(vma_entrySchema, { ...size, ...kind, ...rest });
}

/** Plans the attachments of tasks one after the other. Gives what the operations are for, by task. */
function plan(entries: readonly ipc_shm_entry[], tasks: readonly (readonly vma_entry[])[]): TaskPlan[] {
	using dir = new TempDir();
	dir.images.writeEntries(KINDS.IPCNS_SHM, NAMESPACE, entries);
	for (const { desc } of entries) {
		using writer = dir.images.writer(KINDS.SHMEM_PAGEMAP, desc?.id ?? 0);
		writer.writeHead(create(pagemap_headSchema, { pagesId: 1 }));
		writer.close();
	}
	const images: TaskImage[] = tasks.map((vmas, i) => {
		const image = imageOf(1);
		const ids = { ...image.ids, ipcNsId: NAMESPACE };
		return { ...image, tid: i + 1, ids, mm: create(mm_entrySchema, { vmas: [...vmas] }) };
	});
	const known = new Map<string, unknown>();
	const context = {
		options: defaultOptions(),
		dir: dir.images,
		tasks: images,
		once<T>(key: string, make: () => T): T {
			if (!known.has(key)) known.set(key, make());
			return known.get(key) as T;
		},
	} as unknown as RestoreContext;
	return images.map((image, i) => {
		const own = { ...emptyPlan(), pid: image.tid, scratch: 0x7000_0000_0000n };
		planSysvMemory(image, tasks[i] ?? [], own.programs.memory, own, context);
		return own;
	});
}

const calls = (program: Program) => program.ops.map((op) => op.nr);
const callsOf = (plans: readonly TaskPlan[]) => plans.map(({ programs }) => calls(programs.memory));

describe("planSysvMemory", () => {
	test("makes a segment that's gone in the first task that has it, under its id, and fills it elsewhere", () => {
		const [none, first, second] = plan([segment()], [[], [attachment()], [attachment()]]);
		if (none === undefined || first === undefined || second === undefined) throw new Error("no plan");
		expect(calls(none.programs.memory)).toEqual([]);
		expect(calls(first.programs.memory)).toEqual([
			nr.SYS_openat,
			nr.SYS_write,
			nr.SYS_close,
			nr.SYS_shmget,
			nr.SYS_shmat,
			nr.SYS_shmdt,
			nr.SYS_shmctl,
			nr.SYS_shmat,
		]);
		expect(first.undo).toHaveLength(1);
		expect(calls(second.programs.memory)).toEqual([nr.SYS_shmat]);
		expect([...second.awaits]).toEqual([2]);
	});

	test("leaves it to the one who made it originally where that comes earlier", () => {
		const [first, second] = callsOf(plan([segment({ creator: 1 })], [[], [attachment()]]));
		expect(first).toContain(nr.SYS_shmget);
		expect(second).toEqual([nr.SYS_shmat]);
	});

	test("makes another user's segment as that user, and is root again", () => {
		const [only] = plan([segment({}, { cuid: 5, cgid: 6 })], [[attachment()]]);
		const ids = only?.programs.memory.ops.flatMap(({ nr: call, args }) => (call === nr.SYS_setresuid ? [args[1]] : []));
		expect(ids).toEqual([5, 0]);
	});

	test("removes a removed one again once it's attached", () => {
		const [first, second] = plan([segment({}, { mode: 0o600 | ipc.SHM_DEST })], [[attachment()], [attachment()]]);
		const last = first?.programs.memory.ops.at(-1);
		expect([last?.nr, last?.args[1]]).toEqual([nr.SYS_shmctl, ipc.IPC_RMID]);
		expect(calls(second?.programs.memory ?? new Program())).toEqual([nr.SYS_shmat]);
	});

	test("attaches parts elsewhere and moves them", () => {
		const part = attachment({ start: BASE + 4096n, pgoff: 4096n });
		const [only] = callsOf(plan([segment()], [[part]]));
		expect(only?.slice(-3)).toEqual([nr.SYS_shmat, nr.SYS_mremap, nr.SYS_munmap]);
	});

	test("attaches read-only what was", () => {
		const [only] = plan([segment()], [[attachment({ prot: 1, fdflags: 0 })]]);
		expect(only?.programs.memory.ops.at(-1)?.args[2]).toBe(ipc.SHM_RDONLY);
	});

	test("takes the segment that's still there if it's the same, and no other", () => {
		const id = syscall(nr.SYS_shmget, 0, 8192, ipc.IPC_CREAT | 0o600);
		try {
			const theSame = segment({ creator: 1, changed: 1n }, { id });
			const vma = attachment({ shmid: BigInt(id) });
			expect(() => plan([theSame], [[vma]])).toThrow("another segment has that id");
			expect(() => plan([segment({ size: 4096n }, { id })], [[vma]])).toThrow("another segment has that id");
			const info = new Uint8Array(ipc.ShmidDs.size);
			syscall(nr.SYS_shmctl, id, ipc.IPC_STAT, info);
			const changed = ipc.ShmidDs.read(new DataView(info.buffer)).shm_ctime;
			const [only] = plan([segment({ changed }, { id })], [[vma]]);
			expect(calls(only?.programs.memory ?? new Program())).not.toContain(nr.SYS_shmget);
			expect(only?.undo).toEqual([]);
		} finally {
			syscall(nr.SYS_shmctl, id, ipc.IPC_RMID, 0);
		}
	});

	test.each<[string, readonly ipc_shm_entry[], vma_entry]>([
		["a segment that's missing", [], attachment()],
		["a segment that's there twice", [segment(), segment()], attachment()],
		["an empty segment", [segment({ size: 0n })], attachment()],
		["a huge one", [segment({ size: 1n << 60n })], attachment()],
		["unknown bits of the mode", [segment({}, { mode: 0o70600 })], attachment()],
		["unknown flags", [segment({ hugetlbFlag: 1 })], attachment()],
		["an owner that is no id", [segment({}, { cuid: 0xffffffff })], attachment()],
		["an id that is none", [segment({}, { id: 0x80000000 })], attachment()],
		["an attachment behind the end", [segment()], attachment({ pgoff: 4096n })],
		["a private attachment", [segment()], attachment({ flags: 0x22 })],
	])("refuses %s", (_, entries, vma) => {
		expect(() => plan(entries, [[vma]])).toThrow(expect.objectContaining({ code: "IMAGE_CORRUPT" }));
	});
});
