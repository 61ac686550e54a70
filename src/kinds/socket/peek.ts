// SPDX-License-Identifier: GPL-2.0-only
// Looking at what waits in a socket without taking it. Whoever looks gets copies of descriptors on their way: they are the
// caller's. Source: recv(2) MSG_PEEK, socket(7) SO_PEEK_OFF, unix(7), cmsg(3).

import { CriuError, KernelError } from "../../errors.ts";
import { faultPoint } from "../../fault.ts";
import { errnoNumber } from "../../kernel/abi/errno.ts";
import * as so from "../../kernel/abi/socket.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { closeFd } from "../../sys/file.ts";
import { addressOf, mustSyscall, syscall } from "../../sys/host.ts";
import { type Mapping, mapPrivate } from "../../sys/memory.ts";
import type { LooksGuard } from "./looks-guard.ts";

/** What one look can show. */
export const PEEK_SIZE = 256 * 1024;
const CONTROL_SIZE = 4096;
const NAME_SIZE = 256;
/** What the kernel shows for ids that it can't tell (sysctl fs.overflowuid). */
const NOBODY = 65534;
const EAGAIN = errnoNumber("EAGAIN");
/** What sockets for messages in order give that have no peer yet: nothing can wait there. */
const ENOTCONN = errnoNumber("ENOTCONN");
const EFAULT = errnoNumber("EFAULT");
const FLAGS = so.MSG_PEEK | so.MSG_DONTWAIT | so.MSG_CMSG_CLOEXEC;
/** Where things lie in the room. */
const AT = { header: 0, iov: 64, name: 128, other: 512, otherIov: 576, control: 1024, data: 8192 } as const;
const NOTHING = new Uint8Array(0);

/** Who has sent a message, as SCM_CREDENTIALS tells; the pid as we see it. */
export interface Sender {
	readonly pid: number;
	readonly uid: number;
	readonly gid: number;
}

/** One look at a queue. */
export interface Peeked {
	/** Bytes of the message, or of a stream as far as it could be seen at once. */
	readonly length: number;
	/** The bytes that fit in one look; valid until the next one. */
	readonly seen: Uint8Array;
	/** Descriptors of ours. */
	readonly fds: readonly number[];
	readonly sender: Sender | undefined;
	/** The sender's name: sun_path. */
	readonly name: Uint8Array;
	/** The sender's address as a whole, struct sockaddr. */
	readonly address: Uint8Array;
	/** Control messages as they came; valid until the next look. */
	readonly control: Uint8Array;
	/** The kernel had more to tell than there was room for: descriptors, when no room was given. */
	readonly truncated: boolean;
	/** A control message that nothing is known about. */
	readonly unknown: string | undefined;
}

let room: Mapping | undefined;
let controlAddress = 0n;

/** Room that the kernel writes to; made at first use, for good. */
function getRoom(): Mapping {
	if (room !== undefined) return room;
	room = mapPrivate(AT.data + PEEK_SIZE);
	const { address, view } = room;
	const base = BigInt(address);
	// What differs from look to look is written each time.
	so.Iovec.write(view, AT.iov, { iov_base: base + BigInt(AT.data), iov_len: 0n });
	so.Msghdr.write(view, AT.header, {
		msg_name: base + BigInt(AT.name),
		msg_namelen: 0,
		msg_iov: base + BigInt(AT.iov),
		msg_iovlen: 1n,
		msg_control: 0n,
		msg_controllen: 0n,
		msg_flags: 0,
	});
	controlAddress = base + BigInt(AT.control);
	return room;
}

/** Time stamps and the like are of the moment of receiving, not of the message. */
const PASSED_OVER: ReadonlySet<number> = new Set([
	so.SCM_SECURITY,
	so.SO_TIMESTAMP_OLD,
	so.SO_TIMESTAMPNS_OLD,
	so.SO_TIMESTAMPING_OLD,
	so.SO_TIMESTAMP_NEW,
	so.SO_TIMESTAMPNS_NEW,
	so.SO_TIMESTAMPING_NEW,
	so.SO_INQ,
]);

/** A message that was sent when nobody asked for credentials has nobody's. */
function senderOf(sender: Sender): Sender | undefined {
	const { pid, uid, gid } = sender;
	return pid === 0 && uid === NOBODY && gid === NOBODY ? undefined : sender;
}

interface Control {
	readonly fds: number[];
	sender: Sender | undefined;
	unknown: string | undefined;
}

/** What came beside a message, part by part. Source: cmsg(3). */
export function* controlMessages(control: Uint8Array): Generator<{ level: number; type: number; data: Uint8Array }> {
	const view = viewOf(control);
	for (let at = 0; at + so.Cmsghdr.size <= control.length; ) {
		const { cmsg_len, cmsg_level: level, cmsg_type: type } = so.Cmsghdr.read(view, at);
		const end = at + Number(cmsg_len);
		const data = at + so.Cmsghdr.size;
		if (end < data || end > control.length) return;
		yield { level, type, data: control.subarray(data, end) };
		at += (Number(cmsg_len) + 7) & ~7;
	}
}

function readControl(control: Uint8Array): Control {
	const found: Control = { fds: [], sender: undefined, unknown: undefined };
	if (control.length === 0) return found;
	for (const { level, type, data } of controlMessages(control)) {
		const view = viewOf(data);
		if (level !== so.SOL_SOCKET) found.unknown = `level ${level}, type ${type}`;
		else if (type === so.SCM_RIGHTS)
			for (let i = 0; i + 4 <= data.length; i += 4) found.fds.push(view.getInt32(i, true));
		else if (type === so.SCM_CREDENTIALS && data.length >= so.Ucred.size) found.sender = senderOf(so.Ucred.read(view));
		else if (type === so.SCM_PIDFD && data.length >= 4) closeFd(view.getInt32(0, true));
		else if (!PASSED_OVER.has(type)) found.unknown = `type ${type}`;
	}
	return found;
}

/**
 * Looks at what would be received next, or at where SO_PEEK_OFF points. `limit`: how many bytes of a stream; `whole`: tells
 * the length of a message that is longer. `withFiles`: descriptors are wanted. Undefined: nothing is there.
 *
 * @throws KernelError, CriuError
 */
export function peekOnce(
	fd: number,
	{ limit = PEEK_SIZE, whole, withFiles }: { limit?: number; whole: boolean; withFiles: boolean },
): Peeked | undefined {
	const { address, bytes, view } = getRoom();
	const { offsets } = so.Msghdr;
	// Lengths are far below 4 GiB: their upper halves stay 0.
	view.setUint32(AT.iov + so.Iovec.offsets.iov_len, limit, true);
	view.setUint32(AT.header + offsets.msg_namelen, NAME_SIZE, true);
	view.setBigUint64(AT.header + offsets.msg_control, withFiles ? controlAddress : 0n, true);
	view.setUint32(AT.header + offsets.msg_controllen, withFiles ? CONTROL_SIZE : 0, true);
	const length = syscall(nr.SYS_recvmsg, fd, address + AT.header, FLAGS | (whole ? so.MSG_TRUNC : 0));
	if (length === -EAGAIN || length === -ENOTCONN) return undefined;
	if (length < 0) throw new KernelError("recvmsg", -length, "of what waits in a socket");
	const nameEnd = AT.name + Math.min(view.getUint32(AT.header + offsets.msg_namelen, true), NAME_SIZE);
	const controlLength = withFiles ? view.getUint32(AT.header + offsets.msg_controllen, true) : 0;
	const control = controlLength === 0 ? NOTHING : bytes.subarray(AT.control, AT.control + controlLength);
	const parts = readControl(control);
	const truncated = (view.getUint32(AT.header + offsets.msg_flags, true) & so.MSG_CTRUNC) !== 0;
	if (withFiles && truncated) {
		for (const copy of parts.fds) closeFd(copy);
		throw new CriuError("FD_LIMIT", "the files on their way through a socket are more than criu can open", {
			remedy: "raise the limit of descriptors for criu: ulimit -Hn 1048576",
		});
	}
	return {
		length,
		seen: bytes.subarray(AT.data, AT.data + Math.min(length, limit)),
		...parts,
		name: nameEnd <= AT.name + 2 ? NOTHING : bytes.slice(AT.name + 2, nameEnd),
		address: nameEnd === AT.name ? NOTHING : bytes.slice(AT.name, nameEnd),
		control,
		truncated,
	};
}

/**
 * A look at a stream goes on up to the end of the first message that brings files. Gives how many bytes come before that
 * message: the kernel stops there when it can't write the last byte of `length`.
 *
 * @throws KernelError
 */
export function countBeforeFiles(fd: number, length: number): number {
	const { address, view } = getRoom();
	const base = BigInt(address);
	so.Iovec.write(view, AT.otherIov, { iov_base: base + BigInt(AT.data), iov_len: BigInt(length - 1) });
	so.Iovec.write(view, AT.otherIov + so.Iovec.size, { iov_base: 0n, iov_len: 1n });
	so.Msghdr.write(view, AT.other, {
		msg_name: 0n,
		msg_namelen: 0,
		msg_iov: base + BigInt(AT.otherIov),
		msg_iovlen: 2n,
		msg_control: 0n,
		msg_controllen: 0n,
		msg_flags: 0,
	});
	const before = syscall(nr.SYS_recvmsg, fd, address + AT.other, FLAGS);
	if (before === -EFAULT) return 0;
	if (before < 0) throw new KernelError("recvmsg", -before, "of what waits in a socket");
	return before;
}

const offsetWord = new Int32Array(1);

/** Lets looks begin `offset` bytes behind the start; -1: at the start, always. Only within keepingPeekOffset. @throws KernelError */
export function setPeekOffset(fd: number, offset: number): void {
	offsetWord[0] = offset;
	mustSyscall("for a look at what waits", nr.SYS_setsockopt, fd, so.SOL_SOCKET, so.SO_PEEK_OFF, offsetWord, 4);
}

/** Runs what moves the place of looks, and puts it back where it was, even if we're killed meanwhile. */
export function keepingPeekOffset<T>(fd: number, before: number, guard: LooksGuard, run: () => T): T {
	guard.arm(fd, before);
	try {
		const result = run();
		faultPoint("look:moved");
		return result;
	} finally {
		setPeekOffset(fd, before);
		guard.disarm();
	}
}

/** Reads a part of a queue again: a message as a whole, or so many bytes of a stream. @throws KernelError, CriuError */
export function peekBytes(fd: number, offset: number, length: number, before: number, guard: LooksGuard): Uint8Array {
	const bytes = new Uint8Array(length);
	keepingPeekOffset(fd, before, guard, () => {
		setPeekOffset(fd, offset);
		const got = mustSyscall(
			"of what waits in a socket",
			nr.SYS_recvfrom,
			fd,
			addressOf(bytes),
			length,
			so.MSG_PEEK | so.MSG_DONTWAIT,
		);
		if (got !== length)
			throw new CriuError("SOCKET_QUEUE", `a socket's queue shows ${got} bytes where it had ${length}`, {
				remedy: "try again",
			});
	});
	return bytes;
}
