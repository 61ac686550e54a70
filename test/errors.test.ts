// SPDX-License-Identifier: GPL-2.0-only
import { expect, test } from "bun:test";
import { about, BugError, KernelError } from "../src/errors.ts";

/** The error of an action. */
function failure(action: () => unknown): unknown {
	try {
		action();
		return undefined;
	} catch (error) {
		return error;
	}
}

test("a failed system call is told with the object that it was about, once", () => {
	const fail = (what: string) => () => {
		throw new KernelError("statx", 5, what);
	};
	const named = failure(() => about(() => "pid 7: fd 3 (/a)", fail("of fd 9")));
	expect(named).toBeInstanceOf(KernelError);
	expect(named).toMatchObject({ code: "EIO", message: "statx of fd 9 (pid 7: fd 3 (/a)): input/output error (EIO)" });
	expect(failure(() => about(() => "pid 7", fail("")))).toMatchObject({
		message: "statx (pid 7): input/output error (EIO)",
	});
	for (const what of ["of fd 9 of pid 7", "/proc/7/exe"])
		expect(failure(() => about(() => "pid 7", fail(what)))).toMatchObject({
			message: `statx ${what}: input/output error (EIO)`,
		});
	const bug = new BugError("x");
	const broken = () => {
		throw bug;
	};
	expect(failure(() => about(() => "pid 7", broken))).toBe(bug);
});

test("a failed system call has a remedy, its own or that of its errno", () => {
	expect(new KernelError("open", 24).remedy).toContain("ulimit -n");
	expect(new KernelError("open", 24, "", { remedy: "close some" }).remedy).toBe("close some");
	expect(new KernelError("open", 5).remedy).toContain("dmesg");
});
