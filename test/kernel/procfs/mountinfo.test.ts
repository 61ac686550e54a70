// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { parseMountinfo, readMountinfo } from "../../../src/kernel/procfs/mountinfo.ts";
import { bytes, expectParseError, text } from "./samples.ts";

describe("parseMountinfo", () => {
	test("gives the fields of proc_pid_mountinfo(5)", () => {
		const sample =
			"36 35 98:1048575 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n" +
			"37 36 0:5 / / rw shared:7 propagate_from:3 unbindable future:9 - fuse.sshfs a\\040b:/ rw\n";
		expect(parseMountinfo(bytes(sample))).toEqual([
			{
				mntId: 36,
				parentMntId: 35,
				devMajor: 98,
				devMinor: 1048575,
				root: bytes("/mnt1"),
				mountpoint: bytes("/mnt2"),
				options: "rw,noatime",
				shared: 0,
				master: 1,
				propagateFrom: 0,
				unbindable: false,
				fstype: "ext3",
				source: bytes("/dev/root"),
				superOptions: bytes("rw,errors=continue"),
			},
			{
				mntId: 37,
				parentMntId: 36,
				devMajor: 0,
				devMinor: 5,
				root: bytes("/"),
				mountpoint: bytes("/"),
				options: "rw",
				shared: 7,
				master: 0,
				propagateFrom: 3,
				unbindable: true,
				fstype: "fuse.sshfs",
				source: bytes("a b:/"),
				superOptions: bytes("rw"),
			},
		]);
	});

	test("undoes octal escapes, and only those", () => {
		const [mount] = parseMountinfo(
			bytes("1 0 0:1 /a\\134040b /x\\040y\\011z\\012\\134\xff\\9\\40 rw - tmpfs \\043x rw\n"),
		);
		expect(text(mount?.root ?? bytes(""))).toBe("/a\\040b");
		expect(text(mount?.mountpoint ?? bytes(""))).toBe("/x y\tz\n\\\xff\\9\\40");
		expect(text(mount?.source ?? bytes(""))).toBe("#x");
	});

	test("an empty source and super options with blanks", () => {
		const [first, second] = parseMountinfo(bytes("1 0 0:1 / / rw - tmpfs  rw,size=4k\n2 0 0:1 / / rw - x y a b c\n"));
		expect([first?.source.length, text(first?.superOptions ?? bytes(""))]).toEqual([0, "rw,size=4k"]);
		expect(text(second?.superOptions ?? bytes(""))).toBe("a b c");
	});

	test("a mount point called like a dash isn't the separator", () => {
		const [mount] = parseMountinfo(bytes("1 0 0:1 / /- rw - tmpfs - rw\n"));
		expect([text(mount?.mountpoint ?? bytes("")), mount?.fstype, text(mount?.source ?? bytes(""))]).toEqual([
			"/-",
			"tmpfs",
			"-",
		]);
	});

	test.each([
		"x\n",
		"1 2\n",
		"1 2 0:1\n",
		"1 2 0:1 / / rw\n",
		"1 2 0:1 / / rw -\n",
		"1 2 0:1 / / rw shared:1 \n",
		"1 2 01 / / rw - a b c\n",
	])("refuses %j", (sample) => {
		expectParseError(() => parseMountinfo(bytes(sample), "/proc/1/mountinfo"), "/proc/1/mountinfo");
	});

	test("our own mounts hold proc", () => {
		expect(readMountinfo("self").some((mount) => mount.fstype === "proc")).toBe(true);
	});
});
