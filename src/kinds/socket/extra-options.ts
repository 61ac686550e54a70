// SPDX-License-Identifier: GPL-2.0-only
// Options that CRIU doesn't keep: those that a socket has changed are in our own field of its options, as they are.
// Images: sk_opts_entry.others. Source: socket(7), include/uapi/asm-generic/socket.h.

import type { Arg, Program } from "../../agent/program.ts";
import { type sockopt_entry, sockopt_entrySchema } from "../../images/gen/socket_pb.ts";
import { create } from "../../images/index.ts";
import * as so from "../../kernel/abi/socket.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { SYS_setsockopt } from "../../kernel/abi/syscalls.x86_64.ts";
import { OptionReader } from "../../sys/socket.ts";
import { corruptImage } from "../file/image-checks.ts";

/** An option and what a new socket has. */
export interface ExtraOption {
	readonly level: number;
	readonly name: number;
	readonly label: string;
	/** An int, or the bytes of something longer; empty where the length varies. */
	readonly initial: number | Uint8Array;
	/** The greatest length, where it varies. */
	readonly most?: number;
}

/** An option of SOL_SOCKET whose value is an int. */
function common(label: string, name: number, initial = 0): ExtraOption {
	return { level: so.SOL_SOCKET, name, label, initial };
}

const UNLIMITED = new Uint8Array(8).fill(0xff);

/** Options that sockets of all families may have. Order is the order of setting. */
export const COMMON_EXTRAS: readonly ExtraOption[] = [
	common("SO_DEBUG", so.SO_DEBUG),
	{ ...common("SO_TIMESTAMPING", so.SO_TIMESTAMPING_OLD), initial: new Uint8Array(8) },
	// Whether the new form is in use is one bit for all of these.
	{ ...common("SO_TIMESTAMPING_NEW", so.SO_TIMESTAMPING_NEW), initial: new Uint8Array(8) },
	common("SO_TIMESTAMP", so.SO_TIMESTAMP_OLD),
	common("SO_TIMESTAMPNS", so.SO_TIMESTAMPNS_OLD),
	common("SO_TIMESTAMP_NEW", so.SO_TIMESTAMP_NEW),
	common("SO_TIMESTAMPNS_NEW", so.SO_TIMESTAMPNS_NEW),
	common("SO_RXQ_OVFL", so.SO_RXQ_OVFL),
	common("SO_WIFI_STATUS", so.SO_WIFI_STATUS),
	common("SO_PEEK_OFF", so.SO_PEEK_OFF, -1),
	common("SO_NOFCS", so.SO_NOFCS),
	common("SO_SELECT_ERR_QUEUE", so.SO_SELECT_ERR_QUEUE),
	common("SO_BUSY_POLL", so.SO_BUSY_POLL),
	common("SO_PREFER_BUSY_POLL", so.SO_PREFER_BUSY_POLL),
	{ ...common("SO_MAX_PACING_RATE", so.SO_MAX_PACING_RATE), initial: UNLIMITED },
	common("SO_ZEROCOPY", so.SO_ZEROCOPY),
	{ ...common("SO_TXTIME", so.SO_TXTIME), initial: new Uint8Array(8) },
	common("SO_RESERVE_MEM", so.SO_RESERVE_MEM),
	common("SO_RCVMARK", so.SO_RCVMARK),
	common("SO_RCVPRIORITY", so.SO_RCVPRIORITY),
];

/** Options of unix sockets besides. */
export const UNIX_EXTRAS: readonly ExtraOption[] = [
	...COMMON_EXTRAS,
	common("SO_PASSPIDFD", so.SO_PASSPIDFD),
	common("SO_PASSRIGHTS", so.SO_PASSRIGHTS, 1),
	common("SO_INQ", so.SO_INQ),
];

/** Options with their reader and what a new socket would have read. */
interface Reading {
	readonly reader: OptionReader;
	readonly initial: Uint8Array;
}

const readings = new WeakMap<readonly ExtraOption[], Reading>();

const lengthOf = ({ initial, most }: ExtraOption) => most ?? (typeof initial === "number" ? 4 : initial.length);

function readingOf(options: readonly ExtraOption[]): Reading {
	const known = readings.get(options);
	if (known !== undefined) return known;
	const reader = new OptionReader(options.map((option) => ({ ...option, capacity: lengthOf(option) })));
	const initial = new Uint8Array(reader.values.length);
	const view = viewOf(initial);
	for (const [i, option] of options.entries()) {
		const at = reader.offsets[i] ?? 0;
		if (typeof option.initial === "number") view.setInt32(at, option.initial, true);
		else initial.set(option.initial, at);
	}
	readings.set(options, { reader, initial });
	return { reader, initial };
}

/** The options among these that a socket has changed; `options` is always the same array for a sort of socket. @throws KernelError */
export function readExtras(fd: number, options: readonly ExtraOption[]): sockopt_entry[] {
	const { reader, initial } = readingOf(options);
	if (reader.read(fd, initial) === 0) return [];
	const changed: sockopt_entry[] = [];
	for (const [i, option] of options.entries()) {
		if (!reader.has(i)) continue;
		const [at, length] = [reader.offsets[i] ?? 0, lengthOf(option)];
		let same = option.most === undefined || reader.lengthOf(i) === 0;
		for (let k = at; same && k < at + length; k++) same = reader.values[k] === initial[k];
		if (same) continue;
		const value = reader.values.slice(at, at + reader.lengthOf(i));
		changed.push(create(sockopt_entrySchema, { level: option.level, name: option.name, value }));
	}
	return changed;
}

const REMEDIES = {
	ENOPROTOOPT: "this kernel doesn't know the option: restore on the kernel of the dump or a newer one",
	EOPNOTSUPP: "this kernel doesn't know the option: restore on the kernel of the dump or a newer one",
	EPERM: "run criu as root (CAP_NET_ADMIN)",
} as const;

function fits(length: number, { initial, most }: ExtraOption): boolean {
	if (most !== undefined) return length > 0 && length <= most;
	return length === (typeof initial === "number" ? 4 : initial.length);
}

/** Adds what sets the options of an image on a new socket. @throws ImageError for others than these */
export function planExtras(
	program: Program,
	fd: Arg,
	id: number,
	entries: readonly sockopt_entry[],
	options: readonly ExtraOption[],
): void {
	if (entries.length > options.length)
		throw corruptImage("files.img", `socket ${id} has ${entries.length} options besides the usual ones`);
	for (const { level, name, value } of entries) {
		const option = options.find((one) => one.level === level && one.name === name);
		if (option === undefined) throw corruptImage("files.img", `socket ${id} has option ${name} of level ${level}`);
		if (!fits(value.length, option))
			throw corruptImage("files.img", `${option.label} of socket ${id} has ${value.length} bytes`);
		program.syscall(`set ${option.label}`, SYS_setsockopt, [fd, level, name, value, value.length], {
			remedies: REMEDIES,
		});
	}
}
