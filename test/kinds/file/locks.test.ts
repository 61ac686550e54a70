// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { fdinfo_entrySchema } from "../../../src/images/gen/fdinfo_pb.ts";
import { file_lock_entrySchema } from "../../../src/images/gen/file_pb.ts";
import { create, KINDS } from "../../../src/images/index.ts";
import { LOCK_EX, LOCK_NB, O_RDWR } from "../../../src/kernel/abi/fcntl.ts";
import { SYS_flock, SYS_memfd_create } from "../../../src/kernel/abi/syscalls.x86_64.ts";
import { checkLock, fileLocks, findLockBlockers } from "../../../src/kinds/file/locks.ts";
import { toCString } from "../../../src/sys/file.ts";
import { mustSyscall } from "../../../src/sys/host.ts";
import { imageOf } from "../task/fixtures.ts";
import { codeOf, fileDump, filePlan, fileRestore, OwnFds, ownFile, regEntry, TempDir } from "./fixtures.ts";

const POSIX = 1;
const FLOCK = 2;
const LEASE = 8;
const fields = { flag: POSIX, type: 1, pid: 100, fd: 5, start: 0n, len: 0n };

describe("a lock of an image", () => {
	test.each([
		["a record lock to the end", {}, "nothing"],
		["a record lock in the middle", { start: 10n, len: 20n, type: 0 }, "nothing"],
		["a lease that is being broken", { flag: LEASE, type: 4 | 2 }, "nothing"],
		["an old mandatory flock", { flag: FLOCK, type: 32 | 64 }, "nothing"],
		["no kind", { flag: 3 }, "IMAGE_CORRUPT"],
		["no type", { type: 7 }, "IMAGE_CORRUPT"],
		["nothing locked", { type: 2 }, "IMAGE_CORRUPT"],
		["a lease broken to a write lease", { flag: LEASE, type: 4 | 1 }, "IMAGE_CORRUPT"],
		["a negative descriptor", { fd: -1 }, "IMAGE_CORRUPT"],
		["a descriptor beyond all limits", { fd: 1 << 30 }, "IMAGE_CORRUPT"],
		["a start before the file", { start: -1n }, "IMAGE_CORRUPT"],
		["an end beyond all files", { start: 1n, len: (1n << 63n) - 1n }, "IMAGE_CORRUPT"],
	])("is checked: %s", (_, changes, code) => {
		expect(codeOf(() => checkLock(create(file_lock_entrySchema, { ...fields, ...changes })))).toBe(code);
	});

	function planOf(changes: Partial<typeof fields>, fileLocksOption = true) {
		using dir = new TempDir();
		dir.images.writeEntries(KINDS.FILE_LOCKS, undefined, [create(file_lock_entrySchema, { ...fields, ...changes })]);
		const image = { ...imageOf(100), fds: [create(fdinfo_entrySchema, { id: 1, flags: 0, type: 1, fd: 5 })] };
		const entries = [regEntry(1, "/file", { flags: O_RDWR })];
		const context = { ...fileRestore(dir.images, entries, { fileLocks: fileLocksOption }), tasks: [image] };
		const plan = filePlan();
		fileLocks.plan?.(image, plan, context);
		return plan.programs.state.ops;
	}

	test("of a process or descriptor that isn't there is refused", () => {
		expect(codeOf(() => planOf({ pid: 101 }))).toBe("IMAGE_CORRUPT");
		expect(codeOf(() => planOf({ fd: 6 }))).toBe("IMAGE_CORRUPT");
	});

	test("is set again with --file-locks, and only then", () => {
		expect(planOf({ flag: FLOCK }).map(({ nr, args }) => [nr, ...args])).toEqual([[SYS_flock, 5, LOCK_EX | LOCK_NB]]);
		expect(planOf({ flag: FLOCK }, false)).toEqual([]);
	});

	test("a broken lease is set, silenced, broken, and gets its file's owner back", () => {
		expect(planOf({ flag: LEASE, type: 4 | 2 }).map(({ what }) => what)).toEqual([
			"set the lease on fd 5",
			"let nobody have the file's signals",
			"break the lease on fd 5",
		]);
	});
});

describe("a descriptor with a lock", () => {
	test("is refused without --file-locks, and not with it", () => {
		using fds = new OwnFds();
		const fd = fds.make(SYS_memfd_create, toCString("locked"), 0);
		expect(findLockBlockers(ownFile(fd), fileDump(undefined))).toEqual([]);
		mustSyscall("for a test", SYS_flock, fd, LOCK_EX);
		const file = ownFile(fd);
		const [refusal] = findLockBlockers(file, fileDump(undefined));
		expect(refusal).toMatchObject({ code: "FILE_LOCKS", remedy: expect.stringContaining("--file-locks") });
		const context = { ...fileDump(undefined, { fileLocks: true }), tasks: [file.task] };
		expect(findLockBlockers(file, context)).toEqual([]);
	});
});
