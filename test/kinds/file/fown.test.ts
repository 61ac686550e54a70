// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { Program } from "../../../src/agent/program.ts";
import { fown_entrySchema } from "../../../src/images/gen/fown_pb.ts";
import { create } from "../../../src/images/index.ts";
import { F_OWNER_PID, F_SETOWN, F_SETSIG, O_PATH } from "../../../src/kernel/abi/fcntl.ts";
import { SYS_fcntl, SYS_setresuid } from "../../../src/kernel/abi/syscalls.x86_64.ts";
import { emptyFown, planFown, readFown } from "../../../src/kinds/file/fown.ts";
import type { DumpedTask } from "../../../src/kinds/kind.ts";
import { openAt, scopedFd } from "../../../src/sys/file.ts";
import { mustSyscall } from "../../../src/sys/host.ts";
import { codeOf } from "./fixtures.ts";

const task = { pid: process.pid, vpid: process.pid } as DumpedTask;
const owner = { uid: 0, euid: 0, signum: 0, pidType: F_OWNER_PID, pid: 1234 };

describe("the owner of a file", () => {
	test("is read with its signal and the ids of who set it", () => {
		using file = scopedFd(openAt("/dev/null", 0));
		expect(readFown(task, file.fd)).toEqual(emptyFown());
		mustSyscall("signal", SYS_fcntl, file.fd, F_SETSIG, 10);
		mustSyscall("owner", SYS_fcntl, file.fd, F_SETOWN, process.pid);
		const uid = process.getuid?.() ?? 0;
		expect(readFown(task, file.fd)).toMatchObject({
			signum: 10,
			pid: process.pid,
			pidType: F_OWNER_PID,
			uid,
			euid: uid,
		});
	});

	test("of a handle (O_PATH) is nobody", () => {
		using file = scopedFd(openAt("/dev/null", O_PATH));
		expect(readFown(task, file.fd)).toEqual(emptyFown());
	});

	test("takes no operation where there is none", () => {
		const program = new Program();
		planFown(program, 3, emptyFown());
		planFown(program, 3, undefined);
		expect(program.ops).toEqual([]);
	});

	test("is set as the user who set it, with a way back to root", () => {
		const program = new Program();
		planFown(program, 3, create(fown_entrySchema, { ...owner, uid: 1000, euid: 1001, signum: 10 }));
		expect(program.ops.map((op) => op.nr)).toEqual([SYS_fcntl, SYS_setresuid, SYS_fcntl, SYS_setresuid]);
		expect(program.ops[1]?.args).toEqual([1000, 1001, 0]);
		expect(program.ops[3]?.args).toEqual([0, 0, 0]);
	});

	test.each([
		["signal", { signum: 65 }],
		["pid", { pid: 5000000 }],
		["type", { pidType: 7 }],
	])("with an impossible %s is refused", (_, fields) => {
		const fown = create(fown_entrySchema, { ...owner, ...fields });
		expect(codeOf(() => planFown(new Program(), 3, fown))).toBe("IMAGE_CORRUPT");
	});
});
