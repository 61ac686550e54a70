// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { fd_types, file_entrySchema } from "../../../src/images/gen/fdinfo_pb.ts";
import { signalfd_entrySchema } from "../../../src/images/gen/file_pb.ts";
import { create } from "../../../src/images/index.ts";
import { O_NONBLOCK, O_RDWR } from "../../../src/kernel/abi/fcntl.ts";
import { SYS_signalfd4 } from "../../../src/kernel/abi/syscalls.x86_64.ts";
import { emptyFown } from "../../../src/kinds/file/fown.ts";
import { signalfd } from "../../../src/kinds/file/signalfd.ts";
import { codeOf, fileDump, fileRestore, OwnFds, ownFile, planEntry, TempDir } from "./fixtures.ts";

const MASK = (1n << 9n) | (1n << 63n);

describe("a signalfd", () => {
	test("is dumped with the signals that it accepts", () => {
		using fds = new OwnFds();
		const file = ownFile(fds.make(SYS_signalfd4, -1, BigUint64Array.of(MASK), 8, O_NONBLOCK));
		expect(signalfd.matches(file)).toBe(true);
		expect(signalfd.findBlockers?.(file, fileDump(undefined))).toEqual([]);
		const { sgfd } = signalfd.dump(file, 3, fileDump(undefined));
		expect(sgfd).toMatchObject({ id: 3, sigmask: MASK, flags: O_RDWR | O_NONBLOCK });
	});

	test.each([
		["its mask and flags", O_RDWR | O_NONBLOCK, "nothing"],
		["nothing with flags of no kernel", 0o200000, "IMAGE_CORRUPT"],
	])("is planned with %s", (_, flags, code) => {
		using dir = new TempDir();
		const sgfd = create(signalfd_entrySchema, { id: 1, flags, fown: emptyFown(), sigmask: MASK });
		const entry = create(file_entrySchema, { type: fd_types.SIGNALFD, id: 1, sgfd });
		const run = () => planEntry(signalfd, entry, fileRestore(dir.images)).ops;
		expect(codeOf(run)).toBe(code);
		if (code !== "nothing") return;
		const mask = new Uint8Array(BigUint64Array.of(MASK).buffer);
		expect(run().map(({ args }) => args)).toEqual([[-1, mask, 8, O_NONBLOCK]]);
	});
});
