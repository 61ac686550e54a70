// SPDX-License-Identifier: GPL-2.0-only
import { expect, test } from "bun:test";
import { errnoNumber } from "../../../src/kernel/abi/errno.ts";
import { IN_MODIFY, IN_Q_OVERFLOW, InotifyEvent } from "../../../src/kernel/abi/event-files.ts";
import { F_GETFL, O_NONBLOCK } from "../../../src/kernel/abi/fcntl.ts";
import * as nr from "../../../src/kernel/abi/syscalls.x86_64.ts";
import { makeOverflown } from "../../../src/kinds/file/overflown.ts";
import { scopedFd, toCString } from "../../../src/sys/file.ts";
import { mustSyscall, syscall } from "../../../src/sys/host.ts";

test("an inotify that has overflown holds the word of that and nothing else, and its first watch is number 1", () => {
	using inotify = scopedFd(makeOverflown(O_NONBLOCK));
	expect(mustSyscall("", nr.SYS_fcntl, inotify.fd, F_GETFL, 0)).toBe(O_NONBLOCK);
	const buffer = new Uint8Array(4096);
	expect(mustSyscall("", nr.SYS_read, inotify.fd, buffer, buffer.length)).toBe(InotifyEvent.size);
	expect(InotifyEvent.read(new DataView(buffer.buffer))).toMatchObject({ wd: -1, mask: IN_Q_OVERFLOW, len: 0 });
	expect(syscall(nr.SYS_read, inotify.fd, buffer, buffer.length)).toBe(-errnoNumber("EAGAIN"));
	expect(mustSyscall("", nr.SYS_inotify_add_watch, inotify.fd, toCString("/"), IN_MODIFY)).toBe(1);
});
