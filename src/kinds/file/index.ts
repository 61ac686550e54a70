// SPDX-License-Identifier: GPL-2.0-only
// All kinds of file: one line each. Order is the order of matching.

import type { fd_types } from "../../images/gen/fdinfo_pb.ts";
import type { FileKind, UnsupportedFileKind } from "../kind.ts";
import { SOCKET_KINDS } from "../socket/index.ts";
import { bpfMap } from "./bpf-map.ts";
import { epoll } from "./epoll.ts";
import { eventfd } from "./eventfd.ts";
import { fanotify } from "./fanotify.ts";
import { fifo } from "./fifo.ts";
import { inotify } from "./inotify.ts";
import { memfd } from "./memfd.ts";
import { messageQueue } from "./message-queue.ts";
import { nsFile } from "./ns-file.ts";
import { pidfd } from "./pidfd.ts";
import { pipe } from "./pipe.ts";
import { regFile } from "./reg-file.ts";
import { signalfd } from "./signalfd.ts";
import { timerfd } from "./timerfd.ts";
import { tty } from "./tty.ts";
import { UNSUPPORTED_KINDS, unknownFile } from "./unsupported.ts";

export const FILE_KINDS: readonly (FileKind | UnsupportedFileKind)[] = [
	messageQueue,
	regFile,
	pipe,
	fifo,
	tty,
	eventfd,
	signalfd,
	timerfd,
	epoll,
	memfd,
	pidfd,
	bpfMap,
	...SOCKET_KINDS,
	nsFile,
	inotify,
	fanotify,
	...UNSUPPORTED_KINDS,
	unknownFile,
];

/** The kind that restores entries of a type; undefined when none of this version does. */
export function findKindOfType(type: fd_types): FileKind | undefined {
	for (const kind of FILE_KINDS) if (!("unsupported" in kind) && kind.type === type) return kind;
	return undefined;
}
