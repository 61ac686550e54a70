// SPDX-License-Identifier: GPL-2.0-only
// Asks the kernel about sockets: all of a family in a network namespace, or one of them.
// Source: sock_diag(7), net/core/sock_diag.c.

import { KernelError } from "../../errors.ts";
import { closeFd } from "../../sys/file.ts";
import { mustSyscall, syscall } from "../../sys/host.ts";
import { errnoNumber } from "../abi/errno.ts";
import {
	NETLINK_SOCK_DIAG,
	NLM_F_ACK,
	NLM_F_DUMP,
	NLM_F_REQUEST,
	NLMSG_DONE,
	NLMSG_ERROR,
	NLMSG_MIN_TYPE,
	NLMSG_NOOP,
	NLMSG_OVERRUN,
} from "../abi/netlink.ts";
import { SOCK_DIAG_BY_FAMILY } from "../abi/sock-diag.ts";
import { AF_NETLINK, MSG_TRUNC, SOCK_CLOEXEC, SOCK_RAW } from "../abi/socket.ts";
import { viewOf } from "../abi/struct.ts";
import { SYS_recvfrom, SYS_sendto, SYS_socket } from "../abi/syscalls.x86_64.ts";
import { encodeMessage, netlinkParseError, parseMessages } from "./message.ts";

/** The kernel's datagrams of a dump are at most 32 KiB long (net/netlink/af_netlink.c). */
const BUFFER_SIZE = 64 * 1024;

/** A connection to the kernel's sock_diag, in the network namespace of this process. */
export class SockDiag {
	private readonly buffer = new Uint8Array(BUFFER_SIZE);
	private seq = 0;

	private constructor(private readonly fd: number) {}

	/** @throws KernelError */
	static open(): SockDiag {
		return new SockDiag(
			mustSyscall("for questions about sockets", SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG),
		);
	}

	[Symbol.dispose](): void {
		closeFd(this.fd);
	}

	/**
	 * Asks for all sockets that a request (struct unix_diag_req and the like) describes. `each` gets the payload of every
	 * answer, which is valid during that call only. Sockets that come and go meanwhile may make the kernel pass over others:
	 * look up alone what is missed. Gives false when this kernel can't tell of that family.
	 *
	 * @throws KernelError, CriuError NETLINK_PARSE
	 */
	dump(request: Uint8Array, each: (payload: Uint8Array) => void): boolean {
		// The kernel makes its datagrams as long as the longest buffer that was read into before. In the first one of a
		// connection there's room for a page only, and a socket that needs more (a unix one with a thousand waiting connections)
		// would end the dump without a word.
		if (this.seq === 0) this.ask(new Uint8Array(), NLM_F_ACK, () => undefined, NLMSG_NOOP);
		return this.ask(request, NLM_F_DUMP, each) !== errnoNumber("ENOENT");
	}

	/**
	 * Asks for the one socket that a request names. Gives its payload; undefined when there is none or the kernel can't tell.
	 *
	 * @throws KernelError, CriuError NETLINK_PARSE
	 */
	find(request: Uint8Array): Uint8Array | undefined {
		let found: Uint8Array | undefined;
		this.ask(request, 0, (payload) => {
			found = payload.slice();
		});
		return found;
	}

	/** Gives the errno of an answer that there is nothing (ENOENT), else 0. */
	private ask(
		request: Uint8Array,
		flags: number,
		each: (payload: Uint8Array) => void,
		type: number = SOCK_DIAG_BY_FAMILY,
	): number {
		const seq = ++this.seq;
		const message = encodeMessage(type, NLM_F_REQUEST | flags, seq, request);
		mustSyscall("of a question about sockets", SYS_sendto, this.fd, message, message.length, 0, 0, 0);
		for (;;) {
			for (const { type, seq: of, payload } of parseMessages(this.receive())) {
				if (of !== seq) continue;
				if (type === NLMSG_DONE || type === NLMSG_ERROR) {
					const errno = payload.length < 4 ? 0 : -viewOf(payload).getInt32(0, true);
					if (errno === 0 || errno === errnoNumber("ENOENT")) return errno;
					throw new KernelError("sock_diag", errno);
				}
				if (type === NLMSG_OVERRUN) throw netlinkParseError("data was lost");
				if (type < NLMSG_MIN_TYPE) continue;
				each(payload);
				if (flags === 0) return 0;
			}
		}
	}

	private receive(): Uint8Array {
		for (;;) {
			const length = syscall(SYS_recvfrom, this.fd, this.buffer, this.buffer.length, MSG_TRUNC, 0, 0);
			if (length === -errnoNumber("EINTR")) continue;
			if (length < 0) throw new KernelError("recvfrom", -length, "of the answer about sockets");
			if (length > this.buffer.length) throw netlinkParseError(`an answer of ${length} bytes`);
			return this.buffer.subarray(0, length);
		}
	}
}
