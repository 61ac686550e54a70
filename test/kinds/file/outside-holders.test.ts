// SPDX-License-Identifier: GPL-2.0-only
// Who has the ends of pipes that a tree hasn't: found among the processes of this machine, and told after the dump.

import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { readFdLink } from "../../../src/kernel/procfs/links.ts";
import { readStat } from "../../../src/kernel/procfs/stat.ts";
import { findHoldersOf, showHolders } from "../../../src/kinds/file/outside-holders.ts";
import type { DumpedTask } from "../../../src/kinds/kind.ts";
import { showPath } from "../../../src/sys/file.ts";

const taskOf = (pid: number) => ({ pid, stat: readStat(pid) }) as DumpedTask;

const commOf = (pid: number) => (pid === 0 ? "" : readFileSync(`/proc/${pid}/comm`, "latin1").trim());

test("holders of pipes are found, the tree's own processes left out", async () => {
	// The shell has the end that feeds the reader.
	const script = "exec 5> >(exec cat >/dev/null); read -r";
	const shell = Bun.spawn(["/bin/bash", "-c", script], { stdio: ["pipe", "ignore", "ignore"] });
	try {
		const children = `/proc/${shell.pid}/task/${shell.pid}/children`;
		let reader = 0;
		while (commOf(reader) !== "cat" || !existsSync(`/proc/${shell.pid}/fd/5`)) {
			await Bun.sleep(1);
			reader = Number(readFileSync(children, "latin1").split(" ")[0]);
		}
		const pipe = showPath(readFdLink(reader, 0));
		const found = findHoldersOf([pipe], { tasks: [taskOf(reader)] });
		expect(found).toEqual(new Map([[pipe, [{ pid: shell.pid, fd: expect.any(Number), comm: "bash" }]]]));
		const both = { tasks: [taskOf(shell.pid), taskOf(reader)] };
		expect(findHoldersOf([pipe], both)).toEqual(new Map([[pipe, []]]));
	} finally {
		shell.stdin.end();
		await shell.exited;
	}
});

test("holders are shown by pid and name, a few of them", () => {
	const holder = (pid: number) => ({ pid, fd: 3, comm: "cat" });
	expect(showHolders([])).toBe("a process that isn't to be seen here");
	expect(showHolders([holder(1), holder(2)])).toBe("pid 1 (cat), pid 2 (cat)");
	expect(showHolders([1, 2, 3, 4, 5].map(holder))).toBe("pid 1 (cat), pid 2 (cat), pid 3 (cat) and 2 others");
});
