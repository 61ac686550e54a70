// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { writeSync } from "node:fs";
import { fd_types, fdinfo_entrySchema, type file_entry, file_entrySchema } from "../../../src/images/gen/fdinfo_pb.ts";
import {
	type memfd_file_entry,
	memfd_file_entrySchema,
	type memfd_inode_entry,
	memfd_inode_entrySchema,
} from "../../../src/images/gen/file_pb.ts";
import { pagemap_headSchema } from "../../../src/images/gen/mm_pb.ts";
import { create, KINDS } from "../../../src/images/index.ts";
import * as fcntl from "../../../src/kernel/abi/fcntl.ts";
import { MFD_ALLOW_SEALING } from "../../../src/kernel/abi/mman.ts";
import * as nr from "../../../src/kernel/abi/syscalls.x86_64.ts";
import { fdTable } from "../../../src/kinds/file/fd-table.ts";
import { emptyFown } from "../../../src/kinds/file/fown.ts";
import { memfd } from "../../../src/kinds/file/memfd.ts";
import type { TaskPlan } from "../../../src/kinds/kind.ts";
import { dumpSegmentPages, listSegments, planMappedSegment } from "../../../src/kinds/mm/shared-memory.ts";
import { LocalSink } from "../../../src/pages/sink.ts";
import { closeFd, openAt, statFd, toCString } from "../../../src/sys/file.ts";
import { mustSyscall } from "../../../src/sys/host.ts";
import { emptyDraft, imageOf } from "../task/fixtures.ts";
import { bytesOf, codeOf, fileDump, filePlan, fileRestore, OwnFds, ownFile, TempDir } from "./fixtures.ts";

const FLAGS = fcntl.O_RDWR | fcntl.O_LARGEFILE;

describe("a dump of memfds", () => {
	test("has one inode for all descriptions of it, mapped or not", () => {
		using fds = new OwnFds();
		using dir = new TempDir();
		const fd = fds.make(nr.SYS_memfd_create, toCString("some name"), MFD_ALLOW_SEALING);
		writeSync(fd, "content");
		mustSyscall("", nr.SYS_fcntl, fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW);
		const reader = openAt(`/proc/self/fd/${fd}`, fcntl.O_RDONLY);
		const context = fileDump(dir.images);
		try {
			const [one, two] = [fd, reader].map((each, i) => memfd.dump(ownFile(each), i + 1, context).memfd);
			expect(memfd.matches(ownFile(fd))).toBe(true);
			expect(one).toMatchObject({ id: 1, flags: FLAGS, pos: 7n, inodeId: 1 });
			expect(two).toMatchObject({ id: 2, flags: fcntl.O_LARGEFILE, pos: 0n, inodeId: 1 });
		} finally {
			closeFd(reader);
		}
		const [segment, ...more] = listSegments(context);
		expect(more).toEqual([]);
		if (segment === undefined) throw new Error("no segment");
		const ino = Number(BigInt.asUintN(32, statFd(fd).ino));
		expect(segment.inode).toMatchObject({ name: bytesOf("some name"), size: 7n, seals: fcntl.F_SEAL_GROW, shmid: ino });
		// The last page is whole in the images, though the file ends inside of it.
		dumpSegmentPages(segment, new LocalSink(dir.images, undefined));
		const pages = dir.images.openFile("pages-1.img") ?? -1;
		expect(statFd(pages).size).toBe(4096n);
		closeFd(pages);
		closeFd(segment.fd);
	});

	test("leaves files of the same name to others", () => {
		using dir = new TempDir();
		const fd = openAt(dir.at("memfd:x"), fcntl.O_RDWR | fcntl.O_CREAT, 0o600);
		expect(memfd.matches(ownFile(fd))).toBe(false);
		closeFd(fd);
	});
});

function memfdEntry(id: number, fields: Partial<memfd_file_entry> = {}): file_entry {
	const { $typeName: _, ...rest } = fields;
	const inner = create(memfd_file_entrySchema, { id, flags: FLAGS, pos: 0n, fown: emptyFown(), inodeId: 1, ...rest });
	return create(file_entrySchema, { type: fd_types.MEMFD, id, memfd: inner });
}

function writeInode(dir: TempDir, fields: Partial<memfd_inode_entry> = {}): void {
	const { $typeName: _, ...rest } = fields;
	const inode = create(memfd_inode_entrySchema, {
		inodeId: 1n,
		name: bytesOf("name"),
		uid: 0,
		gid: 0,
		size: 4096n,
		shmid: 44,
		seals: 1,
		mode: 0o100777,
		...rest,
	});
	dir.images.writeEntries(KINDS.MEMFD_INODE, undefined, [inode]);
	using pagemap = dir.images.writer(KINDS.SHMEM_PAGEMAP, 44);
	pagemap.writeHead(create(pagemap_headSchema, { pagesId: 3 }));
	pagemap.close();
	using pages = dir.images.writer(KINDS.PAGES, 3);
	pages.openStream();
	pages.close();
}

function taskOf(pid: number, fds: readonly (readonly [number, number])[]) {
	const list = fds.map(([fd, id]) => create(fdinfo_entrySchema, { id, fd, flags: 0, type: fd_types.MEMFD }));
	const image = imageOf(pid, { ...emptyDraft(), fds: list });
	return { image: { ...image, ids: { ...image.ids, filesId: pid } }, plan: { ...filePlan(), pid } as TaskPlan };
}

function planTasks(dir: TempDir, entries: readonly file_entry[], tasks: readonly ReturnType<typeof taskOf>[]) {
	const context = { ...fileRestore(dir.images, entries), tasks: tasks.map(({ image }) => image) };
	for (const { image, plan } of tasks) fdTable.plan?.(image, plan, context);
	return context;
}

const numbersOf = (plan: TaskPlan) => plan.programs.files.ops.map((op) => op.nr);

describe("the plan of memfds", () => {
	test("makes the memory once; the first writable description is that of its making", () => {
		using dir = new TempDir();
		writeInode(dir);
		const entries = [memfdEntry(1, { pos: 9n }), memfdEntry(2), memfdEntry(3, { flags: fcntl.O_WRONLY })];
		const task = taskOf(100, [
			[4, 1],
			[5, 2],
			[6, 3],
		]);
		planTasks(dir, entries, [task]);
		const calls = numbersOf(task.plan);
		expect(calls.filter((one) => one === nr.SYS_memfd_create)).toHaveLength(1);
		expect(calls.filter((one) => one === nr.SYS_openat)).toHaveLength(2);
		expect(calls.filter((one) => one === nr.SYS_lseek)).toHaveLength(1);
	});

	test("takes the memory from the task that has made it", () => {
		using dir = new TempDir();
		writeInode(dir);
		const entries = [memfdEntry(1), memfdEntry(2, { flags: fcntl.O_RDONLY })];
		const parent = taskOf(100, [[4, 1]]);
		const child = taskOf(101, [[4, 2]]);
		planTasks(dir, entries, [parent, child]);
		expect(numbersOf(child.plan)).not.toContain(nr.SYS_memfd_create);
		expect([...child.plan.awaits]).toEqual([100]);
	});

	test("uses memory that was mapped before anybody had files", () => {
		using dir = new TempDir();
		writeInode(dir);
		const entries = [memfdEntry(1)];
		const parent = taskOf(100, [[4, 1]]);
		const child = taskOf(101, []);
		const context = { ...fileRestore(dir.images, entries), tasks: [parent.image, child.image] };
		const inode = dir.images.readEntries(KINDS.MEMFD_INODE)[0] as memfd_inode_entry;
		planMappedSegment(inode, { start: 0n, end: 4096n }, child.plan.programs.memory, child.plan, context);
		fdTable.plan?.(parent.image, parent.plan, context);
		expect(numbersOf(parent.plan)).not.toContain(nr.SYS_memfd_create);
		expect(numbersOf(parent.plan)).toContain(nr.SYS_pidfd_getfd);
		// The child isn't made yet when the parent's first stages run.
		expect([...parent.plan.awaits]).toEqual([]);
	});

	test.each([
		["against writing at once", fcntl.F_SEAL_WRITE, "files"],
		["against future writing when all mappings are there", fcntl.F_SEAL_FUTURE_WRITE, "release"],
	] as const)("seals it %s", (_, seals, stage) => {
		using dir = new TempDir();
		writeInode(dir, { seals });
		const task = taskOf(100, [[4, 1]]);
		planTasks(dir, [memfdEntry(1)], [task]);
		const sealing = (one: "files" | "release") =>
			task.plan.programs[one].ops.filter((op) => op.args[1] === fcntl.F_ADD_SEALS).length;
		expect([sealing("files"), sealing("release")]).toEqual(stage === "files" ? [1, 0] : [0, 1]);
	});

	test("maps nothing of an empty one", () => {
		using dir = new TempDir();
		writeInode(dir, { size: 0n });
		const task = taskOf(100, [[4, 1]]);
		planTasks(dir, [memfdEntry(1)], [task]);
		expect(numbersOf(task.plan)).not.toContain(nr.SYS_mmap);
	});

	test.each([
		["an unknown inode", { inodeId: 2 }, {}],
		["impossible flags", { flags: 3 }, {}],
		["a position beyond all files", { pos: 1n << 63n }, {}],
		["a size beyond all memory", {}, { size: 1n << 60n }],
		["unknown seals", {}, { seals: 0x1000 }],
		["a name with a NUL", {}, { name: bytesOf("a\0b") }],
		["a name that's too long", {}, { name: new Uint8Array(250).fill(97) }],
		["no owner", {}, { uid: 0xffffffff }],
	])("refuses %s", (_, file, inode) => {
		using dir = new TempDir();
		writeInode(dir, inode);
		const run = () => planTasks(dir, [memfdEntry(1, file)], [taskOf(100, [[4, 1]])]);
		expect(codeOf(run)).toBe("IMAGE_CORRUPT");
	});
});
