// SPDX-License-Identifier: GPL-2.0-only
// The service: one loop that waits for clients, for their requests and for the ends of workers. A connection costs a descriptor
// until it says something; only then a worker is started for it. So idle clients, and many at once, harm nobody.

import { chmodSync, closeSync, lstatSync, openSync, unlinkSync } from "node:fs";
import { CriuError, KernelError, messageOf, UsageError } from "../errors.ts";
import { POLLIN } from "../kernel/abi/event-files.ts";
import { log } from "../log.ts";
import { closeFd } from "../sys/file.ts";
import { loadHost } from "../sys/host.ts";
import { launch } from "../sys/launch.ts";
import { raiseFdLimit } from "../sys/limits.ts";
import { ownCommand } from "../sys/own-command.ts";
import { acceptFrom, listenAt, peekLength, readPeerCredentials } from "../sys/packet-socket.ts";
import { pollFds } from "../sys/poll.ts";
import { __WALL, openPidfd, P_PID, WEXITED, WNOHANG, waitId } from "../sys/process.ts";
import { endSignalWatch, findStopSignal, watchStopSignals } from "../sys/stop-signals.ts";

export const DEFAULT_ADDRESS = "./criu_service.socket";
const BACKLOG = 16;
/** Anybody may connect; what he may ask for is another matter. */
const MODE = 0o666;
/** Workers at once; further requests wait where they are. A user who isn't root has at most half of them. */
const MAX_WORKERS = 64;
const MAX_WORKERS_OF_USER = 32;
/** Connections that have said nothing yet; beyond them the oldest one is closed. */
const MAX_IDLE = 4096;
const LOOK_MS = 5000;
/** The connection, in a worker. */
const WORKER_FD = 3;

interface Connection {
	readonly fd: number;
	readonly pid: number;
	readonly uid: number;
}

interface Worker extends Connection {
	readonly workerPid: number;
	readonly pidfd: number;
}

/** Makes the socket. A socket that lies there is taken away: it's an earlier service's. @throws UsageError ADDRESS, CriuError */
export function bindService(address: string): number {
	loadHost();
	try {
		const there = lstatSync(address, { throwIfNoEntry: false });
		if (there !== undefined && !there.isSocket())
			throw new UsageError("ADDRESS", `${address} is there and is no socket`, { remedy: "name another --address" });
		if (there !== undefined) unlinkSync(address);
		const fd = listenAt(address, BACKLOG);
		chmodSync(address, MODE);
		log.info(`The service socket is bound to ${address}`);
		return fd;
	} catch (error) {
		if (error instanceof CriuError && !(error instanceof KernelError)) throw error;
		throw new UsageError("ADDRESS", `the service socket can't be made at ${address}`, {
			cause: error,
			remedy: "name a path in a directory that criu may write to (--address)",
		});
	}
}

class Service {
	private readonly idle = new Map<number, Connection>();
	private readonly workers = new Map<number, Worker>();
	private readonly nothing = openSync("/dev/null", "r");
	private isFull = false;

	constructor(private readonly socket: number) {}

	/** Waits for what comes next and deals with it. */
	turn(): void {
		const waiting = [...this.idle.values()];
		const running = [...this.workers.values()];
		const list = [
			{ fd: this.socket, events: this.isFull ? 0 : POLLIN },
			// Also one that has to wait for a worker may go away.
			...waiting.map((one) => ({ fd: one.fd, events: this.mayWork(one) ? POLLIN : 0 })),
			...running.map(({ pidfd }) => ({ fd: pidfd, events: POLLIN })),
		];
		const [listener = 0, ...others] = pollFds(list, LOOK_MS);
		for (const [index, worker] of running.entries())
			if ((others[waiting.length + index] ?? 0) !== 0) this.collect(worker);
		for (const [index, connection] of waiting.entries()) if ((others[index] ?? 0) !== 0) this.start(connection);
		if (listener !== 0) this.accept();
	}

	private mayWork({ uid }: Connection): boolean {
		if (this.workers.size >= MAX_WORKERS) return false;
		if (uid === 0) return true;
		return [...this.workers.values()].filter((worker) => worker.uid === uid).length < MAX_WORKERS_OF_USER;
	}

	private accept(): void {
		try {
			const fd = acceptFrom(this.socket);
			if (fd === undefined) return;
			const { pid, uid } = readPeerCredentials(fd);
			this.idle.set(fd, { fd, pid, uid });
			log.info(`Connected to pid ${pid} of user ${uid}`);
			if (this.idle.size > MAX_IDLE) this.drop([...this.idle.values()][0]);
		} catch (error) {
			// No descriptor is free: the client waits until one is.
			this.isFull = true;
			log.warn(`no further client can be taken: ${messageOf(error)}`);
		}
	}

	private drop(connection: Connection | undefined): void {
		if (connection === undefined) return;
		this.idle.delete(connection.fd);
		closeFd(connection.fd);
		this.isFull = false;
	}

	/** A client has said something, or is gone. */
	private start(connection: Connection): void {
		if (!this.mayWork(connection)) {
			if (peekLength(connection.fd) === 0) this.drop(connection);
			return;
		}
		try {
			if (peekLength(connection.fd) === 0) {
				this.drop(connection);
				return;
			}
			const command = ownCommand(["service-worker", String(WORKER_FD), "--no-default-config"]);
			const env = { ...process.env, CRIU_CONFIG_FILE: undefined };
			const workerPid = launch({ ...command, env, fds: [this.nothing, 1, 2, connection.fd] });
			const pidfd = openPidfd(workerPid);
			this.workers.set(workerPid, { ...connection, workerPid, pidfd });
			this.drop(connection);
		} catch (error) {
			log.error(`no worker can be started for pid ${connection.pid}: ${messageOf(error)}`);
			this.drop(connection);
		}
	}

	private collect(worker: Worker): void {
		const { workerPid, pidfd } = worker;
		const report = waitId(P_PID, workerPid, WEXITED | WNOHANG | __WALL);
		if (report === undefined) return;
		const how = report.kind === "exited" ? `exited with ${report.status}` : `was killed by ${report.status}`;
		log.info(`Worker(pid ${workerPid}) ${how}`);
		this.workers.delete(workerPid);
		closeFd(pidfd);
		this.isFull = false;
	}

	close(): void {
		closeSync(this.nothing);
		closeFd(this.socket);
	}
}

/** Serves until a signal ends us; workers end their requests on their own. Takes the socket's name away. */
export function runServiceLoop(socket: number, address: string): number {
	loadHost();
	raiseFdLimit();
	watchStopSignals();
	const service = new Service(socket);
	log.info("Waiting for connection...");
	let signal: string | undefined;
	while (signal === undefined) {
		service.turn();
		signal = findStopSignal();
	}
	service.close();
	endSignalWatch();
	try {
		unlinkSync(address);
	} catch {
		// Somebody else did, or another service has put its own there.
	}
	log.info(`Ended by ${signal}`);
	return 0;
}
