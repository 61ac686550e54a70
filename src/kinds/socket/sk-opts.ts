// SPDX-License-Identifier: GPL-2.0-only
// Options that sockets of all families have (SOL_SOCKET), classic BPF filters, and the owner.
// Images: sk_opts_entry in each message of a socket. Source: socket(7), net/core/sock.c.

import type { Arg, Program } from "../../agent/program.ts";
import { type CriuError, isErrno } from "../../errors.ts";
import { type sk_opts_entry, sk_opts_entrySchema } from "../../images/gen/socket_pb.ts";
import { create, hasField, shareMessage } from "../../images/index.ts";
import { BPF_MAXINSNS, SockFilter, SockFprog } from "../../kernel/abi/seccomp.ts";
import * as so from "../../kernel/abi/socket.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { SYS_fchown, SYS_setsockopt } from "../../kernel/abi/syscalls.x86_64.ts";
import { findIntOption, OptionReader, readSocketFilter } from "../../sys/socket.ts";
import { refuseFd } from "../file/anon-inode.ts";
import { corruptImage } from "../file/image-checks.ts";
import type { FdFacts } from "../kind.ts";
import { type ExtraOption, planExtras, readExtras } from "./extra-options.ts";
import { findSocketFacts } from "./socket-facts.ts";
import type { BufferSizes } from "./usual-buffers.ts";

const { SOL_SOCKET } = so;
const IFNAMSIZ = 16;
const TIMEVAL_SIZE = 16;
const MICROSECONDS = 1000000n;
const I64_MAX = (1n << 63n) - 1n;
const I32_MAX = 0x7fffffff;

/** Options that are on or off and off at first, by their field. Only sockets that pass descriptors know the last two. */
const SWITCHES = [
	["soDontroute", so.SO_DONTROUTE, "SO_DONTROUTE"],
	["soNoCheck", so.SO_NO_CHECK, "SO_NO_CHECK"],
	["soBroadcast", so.SO_BROADCAST, "SO_BROADCAST"],
	["soKeepalive", so.SO_KEEPALIVE, "SO_KEEPALIVE"],
	["soPasscred", so.SO_PASSCRED, "SO_PASSCRED"],
	["soPasssec", so.SO_PASSSEC, "SO_PASSSEC"],
] as const;

const isPassing = (name: number) => name === so.SO_PASSCRED || name === so.SO_PASSSEC;

/** Why the options of a socket can't be kept. */
export function findSkOptsBlockers(file: FdFacts): CriuError[] {
	if (findSocketFacts(file)?.hasFilter !== true) return [];
	try {
		readSocketFilter(file.ownFd, SOL_SOCKET, so.SO_GET_FILTER);
		return [];
	} catch (error) {
		if (!isErrno(error, "EACCES")) throw error;
		return [
			refuseFd(file, "has an eBPF program as its filter, which nobody can read", "detach it in the program first"),
		];
	}
}

/** What is read of every socket, in one go. */
const READ = [
	so.SO_SNDBUF,
	so.SO_RCVBUF,
	so.SO_REUSEADDR,
	so.SO_REUSEPORT,
	so.SO_PRIORITY,
	so.SO_RCVLOWAT,
	so.SO_OOBINLINE,
	so.SO_MARK,
	so.SO_BUF_LOCK,
	so.SO_SNDTIMEO_OLD,
	so.SO_RCVTIMEO_OLD,
	so.SO_LINGER,
	so.SO_BINDTODEVICE,
	...SWITCHES.map(([, name]) => name),
];
const SIZES: ReadonlyMap<number, number> = new Map([
	[so.SO_SNDTIMEO_OLD, TIMEVAL_SIZE],
	[so.SO_RCVTIMEO_OLD, TIMEVAL_SIZE],
	[so.SO_LINGER, so.Linger.size],
	[so.SO_BINDTODEVICE, IFNAMSIZ],
]);
let reader: OptionReader | undefined;

function optionReader(): OptionReader {
	reader ??= new OptionReader(READ.map((name) => ({ level: SOL_SOCKET, name, capacity: SIZES.get(name) ?? 4 })));
	return reader;
}

/** What the last socket of a sort had, one without anything special: most are alike. */
const usual = new WeakMap<readonly ExtraOption[], { passing: boolean; values: Uint8Array; opts: sk_opts_entry }>();

function readTimeout(options: OptionReader, name: number): { sec: bigint; usec: bigint } {
	const value = options.find(READ.indexOf(name));
	if (value === undefined || value.length < TIMEVAL_SIZE) return { sec: 0n, usec: 0n };
	const view = viewOf(value);
	return { sec: view.getBigUint64(0, true), usec: view.getBigUint64(8, true) };
}

/** An instruction in CRIU's form: code << 48 | jt << 40 | jf << 32 | k. */
function encodeFilter(program: Uint8Array): bigint[] {
	const view = viewOf(program);
	return Array.from({ length: program.length / SockFilter.size }, (_, i) => {
		const { code, jt, jf, k } = SockFilter.read(view, i * SockFilter.size);
		return (BigInt(code) << 48n) | (BigInt(jt) << 40n) | (BigInt(jf) << 32n) | BigInt(k);
	});
}

function decodeFilter(instructions: readonly bigint[]): Uint8Array {
	const program = new Uint8Array(instructions.length * SockFilter.size);
	const view = viewOf(program);
	for (const [i, word] of instructions.entries())
		SockFilter.write(view, i * SockFilter.size, {
			code: Number((word >> 48n) & 0xffffn),
			jt: Number((word >> 40n) & 0xffn),
			jf: Number((word >> 32n) & 0xffn),
			k: Number(word & 0xffffffffn),
		});
	return program;
}

/**
 * The options of a socket, as images hold them. `passing`: it can pass descriptors and credentials (unix, netlink). `extras`:
 * what to keep besides, in our own field.
 *
 * @throws KernelError
 */
export function dumpSkOpts(file: FdFacts, passing: boolean, extras: readonly ExtraOption[]): sk_opts_entry {
	const { ownFd: fd, stat } = file;
	const options = optionReader();
	const last = usual.get(extras);
	const before = last?.passing === passing ? last : undefined;
	const differs = options.read(fd, before?.values) > 0;
	const others = readExtras(fd, extras);
	const hasFilter = findSocketFacts(file)?.hasFilter === true;
	const isPlain = others.length === 0 && !hasFilter && stat.uid === 0 && stat.gid === 0;
	if (before !== undefined && isPlain && !differs) return before.opts;
	const find = (name: number) => options.findInt(READ.indexOf(name));
	const int = (name: number) => find(name) ?? 0;
	const [send, receive] = [readTimeout(options, so.SO_SNDTIMEO_OLD), readTimeout(options, so.SO_RCVTIMEO_OLD)];
	const opts = create(sk_opts_entrySchema, {
		soSndbuf: int(so.SO_SNDBUF),
		soRcvbuf: int(so.SO_RCVBUF),
		soSndTmoSec: send.sec,
		soSndTmoUsec: send.usec,
		soRcvTmoSec: receive.sec,
		soRcvTmoUsec: receive.usec,
		reuseaddr: int(so.SO_REUSEADDR) !== 0,
		soReuseport: int(so.SO_REUSEPORT) !== 0,
		soPriority: int(so.SO_PRIORITY) >>> 0,
		soRcvlowat: int(so.SO_RCVLOWAT),
		soOobinline: int(so.SO_OOBINLINE),
		others,
	});
	for (const [field, name] of SWITCHES) if (passing || !isPassing(name)) opts[field] = int(name) !== 0;
	const mark = int(so.SO_MARK) >>> 0;
	if (mark !== 0) opts.soMark = mark;
	const bufLock = find(so.SO_BUF_LOCK);
	if (bufLock !== undefined) opts.soBufLock = bufLock;
	const linger = options.find(READ.indexOf(so.SO_LINGER));
	if (linger?.length === so.Linger.size) {
		const { l_onoff, l_linger } = so.Linger.read(viewOf(linger));
		if (l_onoff !== 0) opts.soLinger = l_linger >>> 0;
	}
	const device = options.find(READ.indexOf(so.SO_BINDTODEVICE));
	const end = device?.indexOf(0) ?? 0;
	if (device !== undefined && end > 0) opts.soBoundDev = device.slice(0, end);
	if (hasFilter) opts.soFilter = encodeFilter(readSocketFilter(fd, SOL_SOCKET, so.SO_GET_FILTER));
	if (opts.soFilter.length > 0 && findIntOption(fd, SOL_SOCKET, so.SO_LOCK_FILTER) === 1) opts.lockFilter = true;
	if (stat.uid !== 0) opts.ownerUid = stat.uid;
	if (stat.gid !== 0) opts.ownerGid = stat.gid;
	if (isPlain) usual.set(extras, { passing, values: options.values.slice(), opts: shareMessage(opts) });
	return opts;
}

function checkTimeout(id: number, sec: bigint, usec: bigint): void {
	if (sec > I64_MAX || usec >= MICROSECONDS)
		throw corruptImage("files.img", `a time limit of socket ${id} is ${sec} s ${usec} µs`);
}

/** The options of a socket in an image, checked. @throws ImageError */
export function checkSkOpts(id: number, opts: sk_opts_entry | undefined): sk_opts_entry {
	if (opts === undefined) throw corruptImage("files.img", `socket ${id} has no options`);
	const bad = (what: string) => corruptImage("files.img", `${what} of socket ${id}`);
	if (opts.soSndbuf > I32_MAX || opts.soRcvbuf > I32_MAX) throw bad("a buffer's size");
	checkTimeout(id, opts.soSndTmoSec, opts.soSndTmoUsec);
	checkTimeout(id, opts.soRcvTmoSec, opts.soRcvTmoUsec);
	if (opts.soRcvlowat > I32_MAX) throw bad("SO_RCVLOWAT");
	if (opts.soLinger > I32_MAX) throw bad("SO_LINGER");
	if ((opts.soBufLock & ~(so.SOCK_SNDBUF_LOCK | so.SOCK_RCVBUF_LOCK)) !== 0) throw bad("SO_BUF_LOCK");
	if (opts.soFilter.length > BPF_MAXINSNS) throw bad("the filter");
	const device = trimName(opts.soBoundDev);
	if (device.length >= IFNAMSIZ || device.includes(0)) throw bad("the device");
	return opts;
}

/** A name without the NUL that may end it. */
function trimName(name: Uint8Array): Uint8Array {
	return name.at(-1) === 0 ? name.subarray(0, -1) : name;
}

const OPTION_REMEDIES = { EPERM: "run criu as root (CAP_NET_ADMIN)" } as const;

/** Adds one setsockopt of an int. */
export function planIntOption(
	program: Program,
	fd: Arg,
	level: number,
	name: number,
	value: number,
	label: string,
): void {
	const bytes = new Uint8Array(Int32Array.of(value).buffer);
	program.syscall(`set ${label}`, SYS_setsockopt, [fd, level, name, bytes, 4], { remedies: OPTION_REMEDIES });
}

function planTimeout(program: Program, fd: Arg, name: number, sec: bigint, usec: bigint, label: string): void {
	if (sec === 0n && usec === 0n) return;
	const value = new Uint8Array(BigUint64Array.of(sec, usec).buffer);
	program.syscall(`set ${label}`, SYS_setsockopt, [fd, SOL_SOCKET, name, value, TIMEVAL_SIZE]);
}

/** Adds what gives a socket its buffers' sizes. The kernel doubles what it's told. `has`: those that it has by now, unlocked. */
function planBuffers(program: Program, fd: Arg, opts: sk_opts_entry, has: BufferSizes | undefined): void {
	if (
		has?.send === opts.soSndbuf &&
		has.receive === opts.soRcvbuf &&
		hasField(opts, "soBufLock") &&
		opts.soBufLock === 0
	)
		return;
	const int = (name: number, value: number, label: string) =>
		planIntOption(program, fd, SOL_SOCKET, name, value, label);
	int(so.SO_SNDBUFFORCE, opts.soSndbuf >>> 1, "SO_SNDBUF");
	int(so.SO_RCVBUFFORCE, opts.soRcvbuf >>> 1, "SO_RCVBUF");
	const both = so.SOCK_SNDBUF_LOCK | so.SOCK_RCVBUF_LOCK;
	// Set like that they don't grow by themselves any more.
	if (hasField(opts, "soBufLock") && opts.soBufLock !== both) int(so.SO_BUF_LOCK, opts.soBufLock, "SO_BUF_LOCK");
}

/** Adds what binds a new socket to its device: comes before an address. Options are checked. */
export function planBoundDevice(program: Program, fd: Arg, opts: sk_opts_entry): void {
	const device = trimName(opts.soBoundDev);
	if (device.length === 0) return;
	const name = new TextDecoder("latin1").decode(device);
	const remedies = { ENODEV: `give this host a network device ${name}`, EPERM: OPTION_REMEDIES.EPERM };
	program.syscall(
		`bind a socket to device ${name}`,
		SYS_setsockopt,
		[fd, SOL_SOCKET, so.SO_BINDTODEVICE, device, device.length],
		{ remedies },
	);
}

/**
 * Adds what sets the options of a new socket, but for device, SO_REUSEADDR, SO_REUSEPORT and the filter, which have places of
 * their own in its making. Options are checked. `has`: the sizes of buffers that nobody has changed since it was made.
 *
 * @throws ImageError
 */
export function planSkOpts(
	program: Program,
	fd: Arg,
	id: number,
	opts: sk_opts_entry,
	extras: readonly ExtraOption[],
	has?: BufferSizes,
): void {
	const int = (name: number, value: number, label: string) =>
		planIntOption(program, fd, SOL_SOCKET, name, value, label);
	planBuffers(program, fd, opts, has);
	planTimeout(program, fd, so.SO_SNDTIMEO_OLD, opts.soSndTmoSec, opts.soSndTmoUsec, "SO_SNDTIMEO");
	planTimeout(program, fd, so.SO_RCVTIMEO_OLD, opts.soRcvTmoSec, opts.soRcvTmoUsec, "SO_RCVTIMEO");
	for (const [field, name, label] of SWITCHES) if (opts[field]) int(name, 1, label);
	if (opts.soPriority !== 0) int(so.SO_PRIORITY, opts.soPriority | 0, "SO_PRIORITY");
	if (hasField(opts, "soRcvlowat") && opts.soRcvlowat !== 1) int(so.SO_RCVLOWAT, opts.soRcvlowat, "SO_RCVLOWAT");
	if (opts.soMark !== 0) int(so.SO_MARK, opts.soMark | 0, "SO_MARK");
	if (opts.soOobinline !== 0) int(so.SO_OOBINLINE, 1, "SO_OOBINLINE");
	if (hasField(opts, "soLinger")) {
		const linger = so.Linger.encode({ l_onoff: 1, l_linger: opts.soLinger });
		program.syscall("set SO_LINGER", SYS_setsockopt, [fd, SOL_SOCKET, so.SO_LINGER, linger, linger.length]);
	}
	planExtras(program, fd, id, opts.others, extras);
	if (opts.ownerUid !== 0 || opts.ownerGid !== 0)
		program.syscall("give a socket its owner", SYS_fchown, [fd, opts.ownerUid, opts.ownerGid]);
}

/** Adds what sets SO_REUSEADDR and SO_REUSEPORT as they were. */
export function planReuse(program: Program, fd: Arg, opts: sk_opts_entry, now = { address: false, port: false }): void {
	const { reuseaddr, soReuseport } = opts;
	if (reuseaddr !== now.address)
		planIntOption(program, fd, SOL_SOCKET, so.SO_REUSEADDR, reuseaddr ? 1 : 0, "SO_REUSEADDR");
	if (soReuseport !== now.port)
		planIntOption(program, fd, SOL_SOCKET, so.SO_REUSEPORT, soReuseport ? 1 : 0, "SO_REUSEPORT");
}

/** Adds what gives a socket its filter: comes when what waits in it is there. Options are checked. */
export function planSkFilter(program: Program, fd: Arg, opts: sk_opts_entry): void {
	if (opts.soFilter.length === 0) return;
	const filter = decodeFilter(opts.soFilter);
	const args = program.out(SockFprog.size);
	program.store("tell the length of a filter", args, opts.soFilter.length, 2);
	program.store("point to a filter", { out: args.out + SockFprog.offsets.filter, length: 8 }, filter, 8);
	program.syscall(
		`attach a filter of ${opts.soFilter.length} instructions`,
		SYS_setsockopt,
		[fd, SOL_SOCKET, so.SO_ATTACH_FILTER, args, SockFprog.size],
		{ remedies: { EINVAL: "the images hold a filter that this kernel doesn't take: dump again" } },
	);
	if (opts.lockFilter) planIntOption(program, fd, SOL_SOCKET, so.SO_LOCK_FILTER, 1, "SO_LOCK_FILTER");
}
