// SPDX-License-Identifier: GPL-2.0-only
// Putting back what waited in unix sockets: the image is mapped into the task that sends, so that messages of any length go
// from there to the kernel. Source: sendmsg(2), cmsg(3), unix(7).

import type { Program } from "../../agent/program.ts";
import { MAP_ANONYMOUS, MAP_FIXED_NOREPLACE, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "../../kernel/abi/mman.ts";
import * as so from "../../kernel/abi/socket.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { statFd } from "../../sys/file.ts";
import { corruptImage } from "../file/image-checks.ts";
import { keptFilesOf } from "../file/kept-files.ts";
import type { FdArg, FilePlan } from "../kind.ts";
import { LASTING } from "../lasting.ts";
import { planIntOption } from "./sk-opts.ts";
import { QUEUES_FILE, type QueueMessage } from "./sk-queue.ts";
import { nameModel, type UnixModel } from "./unix-model.ts";
import { usualBuffers } from "./usual-buffers.ts";

const PAGE = 4096;
const MESSAGE_SIZE = 4096;
const AT = { header: 0, iov: 64, name: 128, control: 256 } as const;
const FLAGS = so.MSG_DONTWAIT | so.MSG_NOSIGNAL;
/** What the kernel counts for a message beside its bytes, generously. */
const OVERHEAD = 4096;
const MAX_BUFFER = 1 << 30;

const SEND_REMEDIES = {
	EAGAIN: "raise the sysctl net.unix.max_dgram_qlen to that of the host of the dump",
	ENOBUFS: "free memory",
	EMSGSIZE: "raise the sysctl net.core.wmem_max to that of the host of the dump",
	ETOOMANYREFS: "raise the limit of descriptors for criu: ulimit -Hn 1048576",
	ESRCH: "the process that had sent the message must run: dump again when it has been received",
} as const;

/** Maps the image once for each task; gives where. */
function mapImage({ program, plan, context }: FilePlan): bigint {
	const kept = keptFilesOf(plan);
	const at = plan.lasting + LASTING.queues;
	let size = 0;
	const image = kept.pass(QUEUES_FILE, () => {
		const fd = context.dir.openFile(QUEUES_FILE);
		if (fd === undefined) throw corruptImage(QUEUES_FILE, "it vanished while it was read");
		size = Math.ceil(Number(statFd(fd).size) / PAGE) * PAGE;
		return fd;
	});
	kept.borrow("socket queues", {
		begin: () =>
			program.syscall(
				"map what waits in sockets",
				nr.SYS_mmap,
				[at, size, PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE, image, 0],
				{ check: { equal: at }, remedies: { ENOMEM: "free memory" } },
			),
		end: (last) => last.syscall("unmap what waits in sockets", nr.SYS_munmap, [at, size]),
	});
	return at;
}

function mapMessage({ program, plan }: FilePlan): bigint {
	const at = plan.lasting + LASTING.message;
	const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
	keptFilesOf(plan).borrow("socket message", {
		begin: () =>
			program.syscall("map room for a message", nr.SYS_mmap, [at, MESSAGE_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0], {
				check: { equal: at },
				remedies: { ENOMEM: "free memory" },
			}),
		end: (last) => last.syscall("unmap room for a message", nr.SYS_munmap, [at, MESSAGE_SIZE]),
	});
	return at;
}

function controlMessage(type: number, data: Uint8Array): Uint8Array {
	const length = so.Cmsghdr.size + data.length;
	const bytes = new Uint8Array((length + 7) & ~7);
	so.Cmsghdr.write(viewOf(bytes), 0, { cmsg_len: BigInt(length), cmsg_level: so.SOL_SOCKET, cmsg_type: type });
	bytes.set(data, so.Cmsghdr.size);
	return bytes;
}

/** A message with all that belongs to it, as sendmsg(2) takes it at that place. */
export function encodeMessage(
	at: bigint,
	data: bigint,
	message: QueueMessage,
	numbers: readonly number[],
	address: Uint8Array | undefined,
): Uint8Array {
	const { length, sender } = message;
	const parts: Uint8Array[] = [];
	if (sender !== undefined) parts.push(controlMessage(so.SCM_CREDENTIALS, so.Ucred.encode(sender)));
	if (numbers.length > 0) parts.push(controlMessage(so.SCM_RIGHTS, new Uint8Array(Int32Array.from(numbers).buffer)));
	const control = parts.reduce((sum, part) => sum + part.length, 0);
	const bytes = new Uint8Array(AT.control + control);
	const view = viewOf(bytes);
	so.Iovec.write(view, AT.iov, { iov_base: data, iov_len: BigInt(length) });
	so.Msghdr.write(view, AT.header, {
		msg_name: address === undefined ? 0n : at + BigInt(AT.name),
		msg_namelen: address?.length ?? 0,
		msg_iov: at + BigInt(AT.iov),
		msg_iovlen: 1n,
		msg_control: control === 0 ? 0n : at + BigInt(AT.control),
		msg_controllen: BigInt(control),
		msg_flags: 0,
	});
	if (address !== undefined) bytes.set(address, AT.name);
	let end: number = AT.control;
	for (const part of parts) {
		bytes.set(part, end);
		end += part.length;
	}
	return bytes;
}

/** Lets a socket send all that's in the queue, whatever its buffer would hold. `has`: the size of that, when it's known. */
export function planRoom(program: Program, fd: FdArg, queue: readonly QueueMessage[], has = 0): boolean {
	const bytes = queue.reduce((sum, { length }) => sum + length * 2 + OVERHEAD, 0);
	if (bytes * 2 <= has) return false;
	planIntOption(program, fd, so.SOL_SOCKET, so.SO_SNDBUFFORCE, Math.min(bytes, MAX_BUFFER), "SO_SNDBUF");
	return true;
}

/** Adds what sends one plain message. */
function planPlain(file: FilePlan, fd: FdArg, model: UnixModel, { offset, length }: QueueMessage): void {
	file.program.syscall(
		`fill ${nameModel(model)}`,
		nr.SYS_sendto,
		[fd, mapImage(file) + BigInt(offset), length, FLAGS, 0, 0],
		{ check: { equal: length }, remedies: SEND_REMEDIES },
	);
}

/**
 * Adds what fills the queue of a socket with plain messages, through a new one that's connected to it. Tells whether that one's buffer
 * was changed for it.
 */
export function planFill(file: FilePlan, fd: FdArg, model: UnixModel): boolean {
	const { queue } = model;
	if (queue.length === 0) return false;
	const isChanged = planRoom(file.program, fd, queue, usualBuffers(file.context).send);
	for (const message of queue) planPlain(file, fd, model, message);
	return isChanged;
}

/**
 * Adds what sends one message of any kind. `numbers`: descriptors that come with it; `address`: whom to, when the socket isn't
 * connected.
 */
export function planMessage(
	file: FilePlan,
	fd: FdArg,
	model: UnixModel,
	message: QueueMessage,
	numbers: readonly number[],
	address?: Uint8Array,
): void {
	const { program } = file;
	if (numbers.length === 0 && address === undefined && message.sender === undefined) {
		planPlain(file, fd, model, message);
		return;
	}
	const data = mapImage(file) + BigInt(message.offset);
	const at = mapMessage(file);
	const bytes = encodeMessage(at, data, message, numbers, address);
	program.copy("write a message", at, bytes, bytes.length);
	program.syscall(`fill ${nameModel(model)}`, nr.SYS_sendmsg, [fd, at, FLAGS], {
		check: { equal: message.length },
		remedies: SEND_REMEDIES,
	});
}
