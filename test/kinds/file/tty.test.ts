// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { readSync, writeSync } from "node:fs";
import { fd_types, type file_entry, file_entrySchema } from "../../../src/images/gen/fdinfo_pb.ts";
import {
	TtyType,
	tty_data_entrySchema,
	tty_file_entrySchema,
	type tty_info_entry,
	tty_info_entrySchema,
	tty_pty_entrySchema,
} from "../../../src/images/gen/tty_pb.ts";
import { create, KINDS } from "../../../src/images/index.ts";
import { AT_FDCWD, O_CLOEXEC, O_NOCTTY, O_RDWR } from "../../../src/kernel/abi/fcntl.ts";
import { TCGETS, TIOCGPTPEER, TIOCSPTLCK } from "../../../src/kernel/abi/ioctl.ts";
import { viewOf } from "../../../src/kernel/abi/struct.ts";
import { SYS_ioctl, SYS_openat } from "../../../src/kernel/abi/syscalls.x86_64.ts";
import { Termios } from "../../../src/kernel/abi/termios.ts";
import { emptyFown } from "../../../src/kinds/file/fown.ts";
import { tty } from "../../../src/kinds/file/tty.ts";
import { decodeTermios, encodeTermios, readInfos, readSettings } from "../../../src/kinds/file/tty-info.ts";
import { encodeData, feedSlave, peekQueue, readTtyData } from "../../../src/kinds/file/tty-queue.ts";
import { toCString } from "../../../src/sys/file.ts";
import { mustSyscall } from "../../../src/sys/host.ts";
import { describeAsRoot } from "../../as-root.ts";
import { bytesOf, codeOf, fileRestore, OwnFds, planEntry, regEntry, TempDir } from "./fixtures.ts";

function makePty(fds: OwnFds): { master: number; slave: number } {
	const master = fds.make(SYS_openat, AT_FDCWD, toCString("/dev/ptmx"), O_RDWR | O_NOCTTY | O_CLOEXEC, 0);
	mustSyscall("unlock", SYS_ioctl, master, TIOCSPTLCK, new Int32Array([0]));
	return { master, slave: fds.make(SYS_ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC) };
}

function ttyEntry(id: number, ttyInfoId: number): file_entry {
	const entry = create(tty_file_entrySchema, { id, ttyInfoId, flags: O_RDWR, fown: emptyFown(), regfId: 9 });
	return create(file_entrySchema, { type: fd_types.TTY, id, tty: entry });
}

function infoOf(id: number, fields: Partial<tty_info_entry> = {}): tty_info_entry {
	const { $typeName: _, ...rest } = fields;
	const pty = create(tty_pty_entrySchema, { index: id >>> 1 });
	const base = { locked: false, exclusive: false, packetMode: false, sid: 0, pgrp: 0, rdev: 0 };
	return create(tty_info_entrySchema, { id, type: TtyType.PTY, pty, ...base, ...rest });
}

describeAsRoot("what waits in a terminal", () => {
	test("is told line by line, and stays", () => {
		using fds = new OwnFds();
		const { master, slave } = makePty(fds);
		writeSync(master, "one\nend\x04\x04part");
		const before = readSettings(slave, TCGETS, Termios.size);
		for (let turn = 0; turn < 2; turn++) {
			const { data, lines } = peekQueue(slave, master, false);
			expect(new TextDecoder().decode(data)).toBe("one\nendpart");
			expect(lines).toEqual([8, 7, 1]);
		}
		expect(readSettings(slave, TCGETS, Termios.size)).toEqual(before);
		const text = Buffer.alloc(64);
		expect(readSync(slave, text)).toBe(4);
		expect(readSync(slave, text)).toBe(3);
		expect(readSync(slave, text)).toBe(0);
	});

	test("is fed to a new one as it was, also from images that tell no lines", () => {
		using fds = new OwnFds();
		const { master, slave } = makePty(fds);
		feedSlave(master, slave, { data: bytesOf("a\nbc\nd"), lines: [] });
		expect(peekQueue(slave, master, false).lines).toEqual([4, 6]);
		expect(new TextDecoder().decode(peekQueue(slave, master, false).data)).toBe("a\nbc\nd");
	});
});

describe("images of terminals", () => {
	test("keep settings", () => {
		const c_cc = Uint8Array.from({ length: 19 }, (_, i) => i + 1);
		const settings = { c_iflag: 1, c_oflag: 2, c_cflag: 3, c_lflag: 4, c_line: 5, c_cc };
		const bytes = Termios.encode(settings);
		expect(encodeTermios(bytes).cCc[0]).toBe(0x04030201);
		expect(Termios.read(viewOf(decodeTermios(encodeTermios(bytes))))).toEqual(settings);
		const short = encodeTermios(bytes);
		short.cCc.length = 18;
		expect(codeOf(() => decodeTermios(short))).toBe("IMAGE_CORRUPT");
	});

	test.each([
		["one id twice", [infoOf(6), infoOf(6)]],
		["no pty where there must be one", [infoOf(6, { pty: undefined as never })]],
		["a pty where there is none", [infoOf(6, { type: TtyType.VT })]],
		["some settings without the others", [infoOf(6, { termios: encodeTermios(new Uint8Array(Termios.size)) })]],
	])("are refused with %s", (_, infos) => {
		using dir = new TempDir();
		dir.images.writeEntries(KINDS.TTY_INFO, undefined, infos);
		expect(codeOf(() => readInfos(fileRestore(dir.images)))).toBe("IMAGE_CORRUPT");
	});

	test.each([
		["lines longer than the data", [{ ttyId: 6, data: bytesOf("abc"), lines: [8] }]],
		["more than a terminal holds", [{ ttyId: 6, data: new Uint8Array(40000), lines: [] }]],
		["the data of one twice", [0, 1].map(() => ({ ttyId: 6, data: bytesOf("a"), lines: [] }))],
	])("are refused with %s", (_, entries) => {
		using dir = new TempDir();
		const messages = entries.map(({ ttyId, data, lines }) => encodeData(ttyId, { data, lines }));
		expect(messages[0]?.$typeName).toBe(create(tty_data_entrySchema).$typeName);
		dir.images.writeEntries(KINDS.TTY_DATA, undefined, messages);
		expect(codeOf(() => readTtyData(fileRestore(dir.images)))).toBe("IMAGE_CORRUPT");
	});

	test.each([
		["a pty of another number", [infoOf(6, { pty: create(tty_pty_entrySchema, { index: 4 }) })], "IMAGE_CORRUPT"],
		["a number beyond all ptys", [infoOf(5001)], "IMAGE_CORRUPT"],
		["none of that id", [], "IMAGE_CORRUPT"],
		[
			"an external one that nobody gave",
			[infoOf(6, { type: TtyType.EXT_TTY, pty: undefined as never })],
			"NEEDS_INHERIT_FD",
		],
		["one of an unknown type", [infoOf(6, { type: TtyType.UNKNOWN, pty: undefined as never })], "UNSUPPORTED_TTY"],
	])("are refused with %s", (_, infos, code) => {
		using dir = new TempDir();
		dir.images.writeEntries(KINDS.TTY_INFO, undefined, infos as tty_info_entry[]);
		const entry = ttyEntry(1, infos[0]?.id ?? 6);
		const context = fileRestore(dir.images, [entry, regEntry(9, "/dev/pts/3")]);
		expect(codeOf(() => planEntry(tty, entry, context))).toBe(code);
	});
});
