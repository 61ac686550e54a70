// SPDX-License-Identifier: GPL-2.0-only
// What a client has open besides directories, and names by its own numbers: where it waits for a server to be ready, and
// the socket in which CRIU keeps pidfds between pre-dumps.

import { closeSync, constants, openSync } from "node:fs";
import { tellReady } from "../engine/status-fd.ts";
import { KernelError, UsageError } from "../errors.ts";
import type { criu_opts } from "../images/gen/rpc_pb.ts";
import { O_CLOEXEC } from "../kernel/abi/fcntl.ts";
import { AF_UNIX, SO_DOMAIN, SO_TYPE, SOCK_DGRAM, SOL_SOCKET } from "../kernel/abi/socket.ts";
import { closeFd } from "../sys/file.ts";
import type { PeerCredentials } from "../sys/packet-socket.ts";
import { getPidfdFd, openPidfd } from "../sys/process.ts";
import { getIntOption } from "../sys/socket.ts";

/** Where a client waits for one byte. */
export interface ReadinessFile {
	/** Writes the byte, once. @throws UsageError STATUS_FD */
	tell(): void;
	close(): void;
}

/** Opens the client's status_fd anew; undefined when it named none. @throws UsageError STATUS_FD */
export function openStatusFd(opts: criu_opts, { pid }: PeerCredentials): ReadinessFile | undefined {
	if (!Object.hasOwn(opts, "statusFd")) return undefined;
	const { statusFd } = opts;
	let fd: number | undefined;
	try {
		fd = openSync(`/proc/${pid}/fd/${statusFd}`, constants.O_WRONLY | constants.O_NONBLOCK | O_CLOEXEC);
	} catch (error) {
		throw new UsageError("STATUS_FD", `status_fd: descriptor ${statusFd} of the client (pid ${pid}) can't be opened`, {
			cause: error,
			remedy: "send the number of a pipe or file that is open for writing; sockets can't be opened again",
		});
	}
	return {
		tell() {
			if (fd === undefined) return;
			const ours = fd;
			// It's closed there.
			fd = undefined;
			tellReady(ours, "status_fd");
		},
		close() {
			if (fd !== undefined) closeSync(fd);
			fd = undefined;
		},
	};
}

/**
 * Checks pidfd_store_sk, as CRIU does. It isn't needed: who notes the writes between two pre-dumps ends with the processes, so
 * that others with their pids can't be taken for them.
 *
 * @throws UsageError PIDFD_STORE
 */
export function checkPidfdStore(opts: criu_opts, { pid }: PeerCredentials): void {
	if (!Object.hasOwn(opts, "pidfdStoreSk")) return;
	const { pidfdStoreSk } = opts;
	const refuse = (why: string, cause?: unknown) =>
		new UsageError("PIDFD_STORE", `pidfd_store_sk: descriptor ${pidfdStoreSk} of the client (pid ${pid}) ${why}`, {
			cause,
			remedy: "send the number of an open unix socket of type SOCK_DGRAM, or leave pidfd_store_sk out",
		});
	let domain: number;
	let type: number;
	try {
		const pidfd = openPidfd(pid);
		try {
			const fd = getPidfdFd(pidfd, pidfdStoreSk);
			try {
				domain = getIntOption(fd, SOL_SOCKET, SO_DOMAIN);
				type = getIntOption(fd, SOL_SOCKET, SO_TYPE);
			} finally {
				closeFd(fd);
			}
		} finally {
			closeFd(pidfd);
		}
	} catch (error) {
		if (!(error instanceof KernelError)) throw error;
		throw refuse("can't be taken as a socket", error);
	}
	if (domain !== AF_UNIX || type !== SOCK_DGRAM) throw refuse("is no unix socket of type SOCK_DGRAM");
}
