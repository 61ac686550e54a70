// SPDX-License-Identifier: GPL-2.0-only
// A bare client of dist/criu for tests: workers and a service, requests as messages, also broken ones.

import { closeSync, constants, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
	type criu_optsSchema,
	type criu_req_type,
	criu_reqSchema,
	criu_respSchema,
} from "../../src/images/gen/rpc_pb.ts";
import { create, decodeMessage, encodeMessage } from "../../src/images/index.ts";
import { closeFd } from "../../src/sys/file.ts";
import { connectTo, makePair, receivePacket, sendPacket } from "../../src/sys/packet-socket.ts";
import { __WALL, P_PID, WEXITED, WNOHANG, waitId } from "../../src/sys/process.ts";

export const CRIU = join(import.meta.dir, "../../dist/criu");
const LIMIT = 1024 * 1024;

export type Opts = MessageInitShape<typeof criu_optsSchema>;

/** Encodes a request. */
export function encodeRequest(type: criu_req_type, opts?: Opts, rest: object = {}): Uint8Array {
	return encodeMessage(
		criu_reqSchema,
		create(criu_reqSchema, { type, ...rest, ...(opts === undefined ? {} : { opts }) }),
	);
}

/** One conversation. */
export class Client {
	constructor(
		readonly fd: number,
		/** The worker's end and stderr, where it's ours. */
		readonly worker?: { exited: Promise<number>; stderr: Promise<string>; stdout: Promise<string>; pid: number },
	) {}

	send(bytes: Uint8Array): boolean {
		return sendPacket(this.fd, bytes);
	}

	/** The next response, as far as it's of interest; undefined when the other side is gone. */
	receive() {
		const packet = receivePacket(this.fd, LIMIT);
		if (packet === undefined) return undefined;
		return { ...decodeMessage(criu_respSchema, packet.bytes, { file: "response" }), passed: packet.fd };
	}

	request(type: criu_req_type, opts?: Opts, rest?: object) {
		this.send(encodeRequest(type, opts, rest));
		return this.receive();
	}

	close(): void {
		closeFd(this.fd);
	}
}

/** A worker of its own, as `criu swrk`. */
export function startWorker(
	options: { cwd?: string; words?: string[]; env?: Record<string, string>; more?: number[] } = {},
): Client {
	const [ours, theirs] = makePair();
	const child = Bun.spawn([CRIU, "swrk", "3", ...(options.words ?? [])], {
		cwd: options.cwd ?? tmpdir(),
		env: { PATH: "/usr/bin:/bin", ...options.env },
		stdio: ["ignore", "pipe", "pipe", theirs, ...(options.more ?? [])],
	});
	closeFd(theirs);
	return new Client(ours, {
		exited: child.exited,
		stderr: new Response(child.stderr).text(),
		stdout: new Response(child.stdout).text(),
		pid: child.pid,
	});
}

/** A service in a directory of its own. Use with `await using`. */
export class TestService {
	private constructor(
		readonly dir: string,
		private readonly child: Bun.Subprocess,
	) {}

	static async start(): Promise<TestService> {
		const dir = mkdtempSync(join(tmpdir(), "criu-service-"));
		const words = ["service", "--address", "sock", "-W", dir, "-o", "service.log", "-v4", "--status-fd", "3"];
		const child = Bun.spawn([CRIU, ...words, "--pidfile", "pid"], { stdio: ["ignore", "pipe", "pipe", "pipe"] });
		const ready = child.stdio[3] as unknown as number;
		const chunk = await Bun.file(ready).stream().getReader().read();
		if (chunk.value?.[0] !== 0) throw new Error("the service told no readiness");
		return new TestService(dir, child);
	}

	get address(): string {
		return join(this.dir, "sock");
	}

	get pid(): number {
		return this.child.pid;
	}

	get log(): string {
		return readFileSync(join(this.dir, "service.log"), "utf8");
	}

	connect(): Client {
		return new Client(connectTo(this.address));
	}

	async stop(): Promise<number> {
		this.child.kill("SIGTERM");
		return await this.child.exited;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.stop();
		rmSync(this.dir, { recursive: true, force: true });
	}
}

/** A program to dump, in a session of its own. */
export async function startTarget(): Promise<{ pid: number; kill(): Promise<void> }> {
	const child = Bun.spawn(["setsid", "sh", "-c", "echo ready; exec sleep 1000 >/dev/null"], {
		stdin: "ignore",
		stdout: "pipe",
		stderr: "ignore",
	});
	const reader = child.stdout.getReader();
	await reader.read();
	// The pipe is closed when the program has become what it stays.
	for (let more = await reader.read(); !more.done; ) more = await reader.read();
	return {
		pid: child.pid,
		kill: async () => {
			try {
				process.kill(child.pid, "SIGKILL");
			} catch {
				// Gone already.
			}
			await child.exited;
		},
	};
}

/** A directory for images, with a descriptor of it. */
export function makeImagesDir() {
	const dir = mkdtempSync(join(tmpdir(), "criu-rpc-"));
	const fd = openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY);
	return {
		dir,
		fd,
		[Symbol.dispose]: () => {
			closeSync(fd);
			rmSync(dir, { recursive: true, force: true });
		},
	};
}

export function isAlive(pid: number): boolean {
	try {
		return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "latin1"));
	} catch {
		return false;
	}
}

/** Ends a process and waits until its number is free. */
export async function endAndWait(pid: number): Promise<void> {
	try {
		process.kill(pid, "SIGKILL");
	} catch {
		// It's a zombie, or gone.
	}
	while (existsSync(`/proc/${pid}`)) {
		try {
			// Only our own children; others are reaped by who adopted them.
			waitId(P_PID, pid, WEXITED | WNOHANG | __WALL);
		} catch {
			// Not ours.
		}
		await Bun.sleep(3);
	}
}
