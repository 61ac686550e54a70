// SPDX-License-Identifier: GPL-2.0-only
// Internet sockets: addresses, and the checks of what images say.

import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Program } from "../../../src/agent/program.ts";
import { CriuError } from "../../../src/errors.ts";
import { fd_types, file_entrySchema } from "../../../src/images/gen/fdinfo_pb.ts";
import { inet_sk_entrySchema, ip_opts_entrySchema, sk_opts_entrySchema } from "../../../src/images/gen/socket_pb.ts";
import { create, ImageDir } from "../../../src/images/index.ts";
import { SYS_bind, SYS_listen, SYS_shutdown } from "../../../src/kernel/abi/syscalls.x86_64.ts";
import { emptyFown } from "../../../src/kinds/file/fown.ts";
import type { FilePlan } from "../../../src/kinds/kind.ts";
import { encodeSockaddr, parseSockaddr, showAddress } from "../../../src/kinds/socket/inet-address.ts";
import { planInet } from "../../../src/kinds/socket/inet-plan.ts";
import type { Options } from "../../../src/options.ts";
import { fileRestore } from "../file/fixtures.ts";

const opts = { soSndbuf: 1, soRcvbuf: 1, soSndTmoSec: 0n, soSndTmoUsec: 0n, soRcvTmoSec: 0n, soRcvTmoUsec: 0n };
const sound = {
	id: 1,
	ino: 2,
	family: 2,
	type: 1,
	proto: 6,
	state: 10,
	srcPort: 80,
	dstPort: 0,
	flags: 2,
	backlog: 5,
	srcAddr: [0x0100007f],
	dstAddr: [0],
	fown: emptyFown(),
	opts: create(sk_opts_entrySchema, opts),
	ipOpts: create(ip_opts_entrySchema),
};

function plan(change: Partial<typeof sound>, options: Partial<Options> = {}): Program {
	const dir = mkdtempSync(join(tmpdir(), "inet-"));
	try {
		using images = ImageDir.open(dir);
		const isk = create(inet_sk_entrySchema, { ...sound, ...change });
		const entry = create(file_entrySchema, { type: fd_types.INETSK, id: 1, isk });
		const program = new Program();
		planInet(entry, { program, context: fileRestore(images, [entry], options) } as FilePlan);
		return program;
	} finally {
		rmSync(dir, { recursive: true });
	}
}

function codeOf(work: () => unknown): string {
	try {
		work();
		return "";
	} catch (error) {
		return error instanceof CriuError ? error.code : String(error);
	}
}

describe("addresses", () => {
	test.each([
		["127.0.0.1:80", [127, 0, 0, 1]],
		["[::1]:80", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]],
		["[::]:80", new Array<number>(16).fill(0)],
		["[2001:db8::1:0:0:1]:80", [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]],
		["[fe80::]:80", [0xfe, 0x80, ...new Array<number>(14).fill(0)]],
		["[::ffff:10.0.0.1]:80", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 1]],
	])("%s is shown, and goes through the kernel's form", (text, host) => {
		const address = { host: Uint8Array.from(host), port: 80, scope: 0 };
		expect(showAddress(address)).toBe(text);
		expect(parseSockaddr(encodeSockaddr(address))).toEqual(address);
	});

	test("others are none", () => {
		expect(parseSockaddr(Uint8Array.of(1, 0, 3))).toBeUndefined();
		expect(parseSockaddr(Uint8Array.of(2, 0, 3))).toBeUndefined();
		expect(parseSockaddr(new Uint8Array(0))).toBeUndefined();
	});
});

describe("images of internet sockets", () => {
	test("a listening socket is bound before it listens", () => {
		const calls = plan({}).ops.map(({ nr }) => nr);
		expect(calls.indexOf(SYS_bind)).toBeGreaterThan(0);
		expect(calls.indexOf(SYS_listen)).toBeGreaterThan(calls.indexOf(SYS_bind));
	});

	test("a connection needs --tcp-close, and is neither bound nor connected", () => {
		const connection = { state: 1, dstPort: 4242 };
		expect(codeOf(() => plan(connection))).toBe("TCP_CONNECTION");
		const calls = plan(connection, { tcpClose: true }).ops.map(({ nr }) => nr);
		expect(calls).toContain(SYS_shutdown);
		expect(calls).not.toContain(SYS_bind);
	});

	test.each([
		["a port", { srcPort: 65536 }, "IMAGE_CORRUPT"],
		["an address of the other family", { srcAddr: [0, 0, 0, 0] }, "IMAGE_CORRUPT"],
		["no address", { dstAddr: [] }, "IMAGE_CORRUPT"],
		["a family", { family: 3 }, "IMAGE_CORRUPT"],
		["a backlog", { backlog: 0x80000000 }, "IMAGE_CORRUPT"],
		["flags", { flags: 0x10000000 }, "IMAGE_CORRUPT"],
		["an id", { id: 2 }, "IMAGE_CORRUPT"],
		["a type", { type: 5 }, "UNSUPPORTED_FILE"],
		["a protocol", { proto: 262 }, "UNSUPPORTED_FILE"],
		["a type of service", { ipOpts: create(ip_opts_entrySchema, { tos: 256 }) }, "IMAGE_CORRUPT"],
	])("%s that can't be is refused", (_, change, code) => {
		expect(codeOf(() => plan(change as Partial<typeof sound>))).toBe(code);
	});
});
