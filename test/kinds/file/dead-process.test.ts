// SPDX-License-Identifier: GPL-2.0-only
import { expect, test } from "bun:test";
import { pidOfPath } from "../../../src/kinds/file/dead-process.ts";
import { bytesOf } from "./fixtures.ts";

test.each([
	["/proc/7", 7],
	["/proc/4194303/oom_score_adj", 4194303],
	["/proc/7/attr/current", 7],
	["/proc/7/fd", 7],
	["/proc/7/fd/3", undefined],
	["/proc/7/task/7", undefined],
	["/proc/7/root/etc", undefined],
	["/proc/7/..", undefined],
	["/proc/07", undefined],
	["/proc/self", undefined],
	["/tmp/proc/7", undefined],
])("the pid whose files can be opened by %s is %p", (path, pid) => {
	expect(pidOfPath(bytesOf(path))).toBe(pid);
});
