// SPDX-License-Identifier: GPL-2.0-only
// The socket by which a program had itself dumped. Its other end is criu's own, so it's dumped as a closed one; the restored
// program finds the answer to its request in it, which says that it was restored, and then the end. So does CRIU's library
// tell one from the other. Images: files.img (unix_sk_entry with uflags USK_SERVICE).

import type { Program } from "../../agent/program.ts";
import { criu_dump_respSchema, criu_req_type, type criu_resp, criu_respSchema } from "../../images/gen/rpc_pb.ts";
import { create, encodeMessage } from "../../images/index.ts";
import { MSG_DONTWAIT, MSG_NOSIGNAL } from "../../kernel/abi/socket.ts";
import { SYS_close, SYS_sendto } from "../../kernel/abi/syscalls.x86_64.ts";
import type { FdArg } from "../kind.ts";

/** What the restored client reads. */
function restoredAnswer(): criu_resp {
	const dump = create(criu_dump_respSchema, { restored: true });
	return create(criu_respSchema, { type: criu_req_type.DUMP, success: true, dump });
}

/** Adds what leaves the answer in the socket: by its other end, which is closed then. */
export function planAnswer(program: Program, other: FdArg): void {
	const bytes = encodeMessage(criu_respSchema, restoredAnswer());
	const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
	program.syscall("tell the program that it was restored", SYS_sendto, [other, bytes, bytes.length, flags, 0, 0]);
	program.syscall("close the other end", SYS_close, [other]);
}
