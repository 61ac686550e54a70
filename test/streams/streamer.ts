// SPDX-License-Identifier: GPL-2.0-only
// An image streamer for tests, of either criu: bun streamer.ts capture|serve DIR STORE [FAULT]
// Captured images become files in STORE, served ones come from there, and STORE.served tells which were, in order. Says "ready", then ends with the run. FAULT is NAME:BYTES: it
// dies when so much of the first image whose name begins so has passed.

import { appendFileSync, closeSync, existsSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { POLLIN } from "../../src/kernel/abi/event-files.ts";
import { acceptStream, listenStream, takeFd } from "../../src/sys/fd-stream.ts";
import { loadHost } from "../../src/sys/host.ts";
import { pollFds } from "../../src/sys/poll.ts";
import { countWaiting, readStream, writeStream } from "../../src/sys/stream-io.ts";

const [mode, dir = "", store = "", fault = ""] = process.argv.slice(2);
const [faultName = "", faultBytes = ""] = fault === "" ? [] : fault.split(":");
const PIECE = 1 << 16;

function allows(name: string, done: number): number {
	return faultName !== "" && name.startsWith(faultName) ? Number(faultBytes) - done : Number.POSITIVE_INFINITY;
}

function receiveName(socket: number): string | undefined {
	const head = new Uint8Array(4);
	if (readStream(socket, head) < 4) return undefined;
	const message = new Uint8Array(new DataView(head.buffer).getUint32(0, true));
	readStream(socket, message);
	// Field 1, a string of less than 128 bytes.
	if (message[0] !== 0x0a || message[1] !== message.length - 2) throw new Error(`a request of bytes ${message}`);
	return new TextDecoder().decode(message.subarray(2));
}

interface Incoming {
	readonly name: string;
	readonly fd: number;
	readonly file: number;
	done: number;
}

/** Takes what one pipe has; false at its end. */
function take(image: Incoming): boolean {
	const limit = allows(image.name, image.done);
	if (limit <= 0) process.exit(9);
	// Other images come meanwhile: no more is read than waits there.
	const bytes = new Uint8Array(Math.min(PIECE, limit, countWaiting(image.fd)));
	const got = readStream(image.fd, bytes);
	writeSync(image.file, bytes, 0, got);
	image.done += got;
	if (got > 0) return true;
	closeSync(image.fd);
	closeSync(image.file);
	return false;
}

function capture(socket: number): void {
	let images: Incoming[] = [];
	for (let open = true; open || images.length > 0; ) {
		const asked = open ? [{ fd: socket, events: POLLIN }] : [];
		const states = pollFds([...images.map(({ fd }) => ({ fd, events: POLLIN })), ...asked], -1);
		images = images.filter((image, index) => states[index] === 0 || take(image));
		if (!open || states.at(-1) === 0) continue;
		const name = receiveName(socket);
		const pipe = name === undefined ? undefined : takeFd(socket);
		open = pipe !== undefined;
		if (name === undefined || pipe === undefined) continue;
		images.push({ name, fd: pipe.fd, file: openSync(join(store, name), "wx", 0o600), done: 0 });
	}
}

/** One after the other, each once, as the original's. */
function serve(socket: number): void {
	const served = new Set<string>();
	for (let name = receiveName(socket); name !== undefined; name = receiveName(socket)) {
		const exists = existsSync(join(store, name)) && !served.has(name);
		served.add(name);
		writeStream(socket, Uint8Array.of(2, 0, 0, 0, 0x08, exists ? 1 : 0));
		if (!exists) continue;
		appendFileSync(`${store}.served`, `${name}\n`);
		const pipe = takeFd(socket);
		if (pipe === undefined) return;
		const bytes = readFileSync(join(store, name));
		const limit = allows(name, 0);
		writeStream(pipe.fd, bytes.subarray(0, Math.min(limit, bytes.length)));
		if (limit < bytes.length) process.exit(9);
		closeSync(pipe.fd);
	}
}

loadHost();
const path = join(dir, mode === "capture" ? "streamer-capture.sock" : "streamer-serve.sock");
rmSync(path, { force: true });
const listener = listenStream(path, 1);
writeSync(1, "ready\n");
const socket = acceptStream(listener);
if (mode === "capture") capture(socket);
else serve(socket);
