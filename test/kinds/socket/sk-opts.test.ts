// SPDX-License-Identifier: GPL-2.0-only
// Options of all sockets: read from live sockets, checked, and set again.

import { describe, expect, test } from "bun:test";
import { Program } from "../../../src/agent/program.ts";
import { ImageError } from "../../../src/errors.ts";
import { sk_opts_entrySchema, sockopt_entrySchema } from "../../../src/images/gen/socket_pb.ts";
import { create } from "../../../src/images/index.ts";
import * as so from "../../../src/kernel/abi/socket.ts";
import * as nr from "../../../src/kernel/abi/syscalls.x86_64.ts";
import { inetExtras } from "../../../src/kinds/socket/inet-options.ts";
import { checkSkOpts, dumpSkOpts, planSkOpts } from "../../../src/kinds/socket/sk-opts.ts";
import { mustSyscall } from "../../../src/sys/host.ts";
import { OwnFds, ownFile } from "../file/fixtures.ts";

/** Carries out the calls of a program here. */
function runHere(program: Program): void {
	for (const { nr: call, args } of program.ops)
		mustSyscall("for a test", call, ...args.map((arg) => arg as number | Uint8Array));
}

function set(fd: number, name: number, value: Uint8Array | number): void {
	const bytes = typeof value === "number" ? new Uint8Array(Int32Array.of(value).buffer) : value;
	mustSyscall("for a test", nr.SYS_setsockopt, fd, so.SOL_SOCKET, name, bytes, bytes.length);
}

const INET_EXTRAS = inetExtras({ family: so.AF_INET, type: so.SOCK_DGRAM, protocol: 17 });

describe("options of sockets", () => {
	test("a changed socket's are all set on a new one", () => {
		using fds = new OwnFds();
		const [old, fresh] = [fds.make(nr.SYS_socket, 2, 2, 0), fds.make(nr.SYS_socket, 2, 2, 0)];
		for (const [name, value] of [
			[so.SO_SNDBUF, 30000],
			[so.SO_BROADCAST, 1],
			[so.SO_KEEPALIVE, 1],
			[so.SO_PRIORITY, 5],
			[so.SO_RCVLOWAT, 12],
			[so.SO_MARK, 77],
			[so.SO_NO_CHECK, 1],
			[so.SO_OOBINLINE, 1],
			[so.SO_RXQ_OVFL, 1],
			[so.SO_TIMESTAMPNS_OLD, 1],
			[so.SO_PEEK_OFF, 3],
		] as const)
			set(old, name, value);
		set(old, so.SO_RCVTIMEO_OLD, new Uint8Array(BigInt64Array.of(3n, 250000n).buffer));
		set(old, so.SO_LINGER, so.Linger.encode({ l_onoff: 1, l_linger: 30 }));
		set(old, so.SO_BINDTODEVICE, new TextEncoder().encode("lo"));
		mustSyscall("for a test", nr.SYS_fchown, old, 33, 34);
		const opts = dumpSkOpts(ownFile(old), false, INET_EXTRAS);
		expect(opts.soMark).toBe(77);
		expect(new TextDecoder().decode(opts.soBoundDev)).toBe("lo");
		expect([opts.ownerUid, opts.ownerGid]).toEqual([33, 34]);
		const program = new Program();
		planSkOpts(program, fresh, 1, checkSkOpts(1, opts), INET_EXTRAS);
		runHere(program);
		expect({ ...dumpSkOpts(ownFile(fresh), false, INET_EXTRAS), soBoundDev: opts.soBoundDev }).toEqual(opts);
	});

	test("buffers are left as they are only where they have their sizes, and weren't locked", () => {
		const sizes = {
			soSndbuf: 3000,
			soRcvbuf: 4000,
			soSndTmoSec: 0n,
			soSndTmoUsec: 0n,
			soRcvTmoSec: 0n,
			soRcvTmoUsec: 0n,
		};
		const count = (soBufLock: number | undefined, has?: { send: number; receive: number }) => {
			const program = new Program();
			const opts = create(sk_opts_entrySchema, { ...sizes, ...(soBufLock === undefined ? {} : { soBufLock }) });
			planSkOpts(program, 3, 1, checkSkOpts(1, opts), INET_EXTRAS, has);
			return program.ops.length;
		};
		const has = { send: 3000, receive: 4000 };
		expect(count(0, has)).toBe(0);
		expect([count(0), count(0, { ...has, send: 3001 }), count(0, { ...has, receive: 1 })]).toEqual([3, 3, 3]);
		expect([count(so.SOCK_SNDBUF_LOCK, has), count(undefined, has)]).toEqual([3, 2]);
	});

	test("a new socket has nothing beyond what CRIU keeps", () => {
		using fds = new OwnFds();
		const opts = dumpSkOpts(ownFile(fds.make(nr.SYS_socket, 2, 1, 0)), false, INET_EXTRAS);
		expect(opts.others).toEqual([]);
	});

	const sound = { soSndbuf: 1, soRcvbuf: 1, soSndTmoSec: 0n, soSndTmoUsec: 0n, soRcvTmoSec: 0n, soRcvTmoUsec: 0n };
	test.each([
		["a negative buffer", { soSndbuf: 0x80000000 }],
		["too many microseconds", { soRcvTmoUsec: 1000000n }],
		["too many seconds", { soSndTmoSec: 1n << 63n }],
		["a long device name", { soBoundDev: new Uint8Array(16).fill(97) }],
		["a NUL in a device name", { soBoundDev: Uint8Array.of(97, 0, 98) }],
		["unknown bits of the lock", { soBufLock: 4 }],
		["a long filter", { soFilter: new Array<bigint>(4097).fill(0n) }],
	])("%s is refused", (_, wrong) => {
		expect(() => checkSkOpts(1, create(sk_opts_entrySchema, { ...sound, ...wrong }))).toThrow(ImageError);
	});

	test.each([
		["an unknown option", { level: 1, name: 9999, value: new Uint8Array(4) }],
		["a long value", { level: 1, name: so.SO_RXQ_OVFL, value: new Uint8Array(5) }],
	])("%s is refused", (_, other) => {
		const opts = create(sk_opts_entrySchema, { ...sound, others: [create(sockopt_entrySchema, other)] });
		expect(() => planSkOpts(new Program(), 3, 1, opts, INET_EXTRAS)).toThrow(ImageError);
	});
});
