// SPDX-License-Identifier: GPL-2.0-only
// Clients of the service who are not its own user: what they may ask for, and the rights with which it's done for them.
// Source: credentials(7), setfsuid(2), ptrace(2) "Ptrace access mode checking", unix(7) SO_PEERCRED, SO_PEERGROUPS.

import { UsageError } from "../errors.ts";
import { criu_req_type } from "../images/gen/rpc_pb.ts";
import { SO_PEERGROUPS, SOL_SOCKET } from "../kernel/abi/socket.ts";
import * as nr from "../kernel/abi/syscalls.x86_64.ts";
import { mustSyscall, syscall } from "../sys/host.ts";
import type { PeerCredentials } from "../sys/packet-socket.ts";
import { findOption } from "../sys/socket.ts";

const MAX_GROUPS = 65536;

/** What anybody may ask for: it changes nothing, or only what he could change himself. */
const FOR_ALL: ReadonlySet<criu_req_type> = new Set([
	criu_req_type.VERSION,
	criu_req_type.CHECK,
	criu_req_type.FEATURE_CHECK,
	criu_req_type.DUMP,
	criu_req_type.CPUINFO_CHECK,
	criu_req_type.CPUINFO_DUMP,
]);

/**
 * True for a client for whom the service may do all that it can do: root, and the service's own user. Of a criu with a set-user-ID bit
 * that is also who has started it: he could run it himself.
 */
export function isTrusted({ uid }: PeerCredentials): boolean {
	return uid === 0 || uid === process.geteuid?.() || uid === process.getuid?.();
}

/** Refuses what would give a user more rights than he has. @throws UsageError CALLER_RIGHTS */
export function checkRights(type: criu_req_type, { uid }: PeerCredentials, hasConfigFile: boolean): void {
	if (FOR_ALL.has(type) && !hasConfigFile) return;
	const what = hasConfigFile ? "a file of options" : `a request ${criu_req_type[type]}`;
	throw new UsageError("CALLER_RIGHTS", `user ${uid} may not send ${what} to the service of another user`, {
		remedy: "ask root, or use criu swrk with capabilities of your own",
	});
}

/**
 * From here on this thread opens and makes files with the rights of the client. There's no way back.
 *
 * @throws KernelError
 */
export function takeFileRights(socket: number, { uid, gid }: PeerCredentials): void {
	const groups = findOption(socket, SOL_SOCKET, SO_PEERGROUPS, MAX_GROUPS * 4) ?? new Uint8Array(0);
	mustSyscall("of the client", nr.SYS_setgroups, groups.length / 4, groups);
	syscall(nr.SYS_setfsgid, gid);
	syscall(nr.SYS_setfsuid, uid);
	// Only asking again tells whether it was done.
	if (syscall(nr.SYS_setfsgid, -1) === gid && syscall(nr.SYS_setfsuid, -1) === uid) return;
	throw new UsageError("CALLER_RIGHTS", `the rights of user ${uid} can't be taken`, {
		remedy: "run the service as root with CAP_SETUID and CAP_SETGID",
	});
}
