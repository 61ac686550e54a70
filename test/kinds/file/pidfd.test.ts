// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { buildEndCode, openEndedProcess } from "../../../src/agent/ended-process.x86_64.ts";
import { fd_types, type file_entry, file_entrySchema } from "../../../src/images/gen/fdinfo_pb.ts";
import { type pidfd_entry, pidfd_entrySchema } from "../../../src/images/gen/file_pb.ts";
import { create } from "../../../src/images/index.ts";
import { PIDFD_NONBLOCK, PIDFD_THREAD } from "../../../src/kernel/abi/event-files.ts";
import { SYS_fcntl, SYS_pidfd_open } from "../../../src/kernel/abi/syscalls.x86_64.ts";
import type { FdinfoKind } from "../../../src/kernel/procfs/fdinfo.ts";
import { readFdinfo } from "../../../src/kernel/procfs/fdinfo.ts";
import { emptyFown } from "../../../src/kinds/file/fown.ts";
import { pidfd } from "../../../src/kinds/file/pidfd.ts";
import type { DumpedTask } from "../../../src/kinds/kind.ts";
import { closeFd, statFd } from "../../../src/sys/file.ts";
import { codeOf, fileDump, fileRestore, OwnFds, ownFile, planEntry, TempDir } from "./fixtures.ts";

function entryOf(id: number, fields: Partial<pidfd_entry>): file_entry {
	const { $typeName: _, ...rest } = fields;
	const inner = create(pidfd_entrySchema, { id, ino: 5, flags: 0, nspid: 100, fown: emptyFown(), ...rest });
	return create(file_entrySchema, { type: fd_types.PIDFD, id, pidfd: inner });
}

describe("a dump of a pidfd", () => {
	const dumpAs = (kind: FdinfoKind) => {
		using fds = new OwnFds();
		const file = ownFile(fds.make(SYS_pidfd_open, process.pid, PIDFD_NONBLOCK));
		expect(pidfd.matches(file)).toBe(true);
		const task = {
			pid: 70,
			vpid: 7,
			threads: [
				{ tid: 70, vtid: 7 },
				{ tid: 71, vtid: 9 },
			],
		} as unknown as DumpedTask;
		const dead = [{ pid: 80, vpid: 8 }] as never;
		const context = { ...fileDump(undefined), tasks: [task], dead };
		const shown = { ...file, info: { ...file.info, kind } };
		const found = pidfd.findBlockers?.(shown, context) ?? [];
		return { found, entry: found.length > 0 ? undefined : pidfd.dump(shown, 3, context).pidfd };
	};

	test.each([
		["a task", 70, 7],
		["a thread", 71, 9],
		["a zombie", 80, 8],
		["a process that is gone", -1, -1],
	])("names %s as the tree sees it", (_, pid, nspid) => {
		const { entry } = dumpAs({ type: "pidfd", pid, nsPids: [] });
		expect(entry).toMatchObject({ id: 3, nspid, flags: PIDFD_NONBLOCK });
	});

	test.each([
		["a process of others", 1, "outside of the dumped tree"],
		["a process of another namespace", 0, "can't be seen from here"],
	])("is refused for %s", (_, pid, text) => {
		const { found } = dumpAs({ type: "pidfd", pid, nsPids: [] });
		expect(found.map(({ code }) => code)).toEqual(["UNSUPPORTED_FILE"]);
		expect(found[0]?.message).toContain(text);
		expect(found[0]?.remedy).toBeTruthy();
	});
});

describe("a process that has ended", () => {
	test.each([0, 77 << 8, 9, 15, 40, 11])("is dead for all its descriptors: status %d", (status) => {
		const fds = openEndedProcess(status, [0, PIDFD_NONBLOCK]);
		try {
			expect(fds.map((fd) => readFdinfo("self", fd).kind)).toMatchObject([{ pid: -1 }, { pid: -1 }]);
			expect(statFd(fds[0] ?? -1).ino).toBe(statFd(fds[1] ?? -1).ino);
			const entry = pidfd.dump(ownFile(fds[0] ?? -1), 1, fileDump(undefined)).pidfd;
			if (entry !== undefined && Object.hasOwn(entry, "exitCode")) expect(entry.exitCode).toBe(status);
		} finally {
			for (const fd of fds) closeFd(fd);
		}
	});

	test("has code for an exit and, longer, for a signal", () => {
		expect(buildEndCode(0).length).toBeLessThan(buildEndCode(15).length);
	});
});

describe("the plan of a pidfd", () => {
	test("opens a task of the tree with its flags", () => {
		using dir = new TempDir();
		const { ops } = planEntry(pidfd, entryOf(1, { flags: PIDFD_NONBLOCK }), fileRestore(dir.images));
		expect(ops.map(({ nr, args }) => [nr, ...args])).toEqual([[SYS_pidfd_open, 100, PIDFD_NONBLOCK]]);
	});

	test("opens a thread of the tree as one", () => {
		using dir = new TempDir();
		const context = { ...fileRestore(dir.images), tasks: [{ threads: [{ tid: 100 }, { tid: 101 }] }] as never };
		const { ops } = planEntry(pidfd, entryOf(1, { nspid: 101, flags: PIDFD_THREAD }), context);
		expect(ops.map(({ nr, args }) => [nr, ...args])).toEqual([[SYS_pidfd_open, 101, PIDFD_THREAD]]);
		expect(codeOf(() => planEntry(pidfd, entryOf(1, { nspid: 101 }), context))).toBe("IMAGE_CORRUPT");
	});

	test("hands over a descriptor of a process that is gone", () => {
		using dir = new TempDir();
		const entries = [entryOf(1, { nspid: -1 }), entryOf(2, { nspid: -1, flags: PIDFD_THREAD })];
		const context = fileRestore(dir.images, entries);
		const all = entries.flatMap((entry) => planEntry(pidfd, entry, context).ops);
		expect(all.map(({ nr }) => nr)).toEqual([SYS_fcntl, SYS_fcntl]);
	});

	test.each([
		["a process outside of the tree", { nspid: 1 }],
		["a negative pid", { nspid: -2 }],
		["flags of no kernel", { flags: 0o200000 }],
		["an exit status of no process", { nspid: -1, exitCode: 0x10000 }],
	])("refuses %s", (_, fields) => {
		using dir = new TempDir();
		const entry = entryOf(1, fields);
		expect(codeOf(() => planEntry(pidfd, entry, fileRestore(dir.images, [entry])))).toBe("IMAGE_CORRUPT");
	});
});
