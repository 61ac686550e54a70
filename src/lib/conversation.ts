// SPDX-License-Identifier: LGPL-2.1-only
// One conversation with criu: a worker of our own, or the service. Nothing here blocks: between looks at the socket the program's
// own work goes on. JavaScript runtimes have no sockets of type SOCK_SEQPACKET, hence our own.

import { type criu_req, criu_reqSchema, type criu_resp, criu_respSchema } from "../images/gen/rpc_pb.ts";
import { decodeMessage, encodeMessage } from "../images/index.ts";
import { POLLIN } from "../kernel/abi/event-files.ts";
import { closeFd } from "../sys/file.ts";
import { loadHost } from "../sys/host.ts";
import { connectTo, makePair, receivePacket, sendPacket } from "../sys/packet-socket.ts";
import { pollFds } from "../sys/poll.ts";
import { CriuCallError } from "./errors.ts";
import type { Connection } from "./types.ts";

const LIMIT = 16 * 1024 * 1024;
/** Pauses between looks: short at first, as most calls take some milliseconds. */
const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 20;
/** Number of the connection in a worker, and of the first descriptor that it inherits. */
const WORKER_FD = 3;
export const FIRST_INHERITED = WORKER_FD + 1;

/** A response with the descriptor that came with it. */
export interface Reply {
	readonly response: criu_resp;
	readonly fd: number | undefined;
}

/** A connection; to be closed by who opened it. */
export class Conversation {
	private isOpen = true;

	private constructor(
		private readonly socket: number,
		private readonly worker: Bun.Subprocess | undefined,
	) {}

	/** `inherited`: descriptors that a worker of our own gets. @throws Error when there's no such program or service */
	static open({ service, criu = "criu" }: Connection, inherited: readonly number[] = []): Conversation {
		loadHost();
		if (service !== undefined) return new Conversation(connectTo(service), undefined);
		const [ours, theirs] = makePair();
		try {
			const command = [criu, "swrk", String(WORKER_FD)];
			return new Conversation(
				ours,
				Bun.spawn(command, { stdio: ["ignore", "ignore", "ignore", theirs, ...inherited] }),
			);
		} catch (error) {
			closeFd(ours);
			throw error;
		} finally {
			closeFd(theirs);
		}
	}

	/** Sends a request or an answer. That criu has gone, the next `receive` tells, after what it may have said before. */
	send(request: criu_req): void {
		if (this.isOpen) sendPacket(this.socket, encodeMessage(criu_reqSchema, request));
	}

	/** The next response; undefined when criu has gone without one. @throws CriuCallError for what is no response */
	async receive(): Promise<Reply | undefined> {
		if (!this.isOpen) return undefined;
		for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 1.2, LONGEST_PAUSE_MS)) {
			const [events = 0] = pollFds([{ fd: this.socket, events: POLLIN }], 0);
			if (events !== 0) break;
			await Bun.sleep(pause);
			// By now the number may be somebody else's.
			if (!this.isOpen) return undefined;
		}
		const packet = receivePacket(this.socket, LIMIT);
		if (packet === undefined) return undefined;
		try {
			return { response: decodeMessage(criu_respSchema, packet.bytes, { file: "response" }), fd: packet.fd };
		} catch (error) {
			if (packet.fd !== undefined) closeFd(packet.fd);
			throw new CriuCallError(`criu has sent what is no response: ${String(error)}`, undefined, undefined);
		}
	}

	/** Asks criu to take back what it has begun. A worker of ours tells when it has; the service does so on its own. */
	cancel(): boolean {
		this.worker?.kill("SIGTERM");
		return this.worker !== undefined;
	}

	/** Ends the conversation; resolves when a worker of ours has ended. */
	async close(): Promise<void> {
		this.isOpen = false;
		closeFd(this.socket);
		await this.worker?.exited;
	}
}
