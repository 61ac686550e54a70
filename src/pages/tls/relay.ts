// SPDX-License-Identifier: GPL-2.0-only
// A process between a connection and the code that uses it: speaks TLS with the other side, and plainly with ours. The runtime's TLS
// is asynchronous, while pages are moved by blocking calls; so it has a process of its own. How one side ends, the other is told.

import { X509Certificate } from "node:crypto";
import { readFileSync, writeSync } from "node:fs";
import type { FdSocketOptions, Socket, SocketHandler, TLSOptions } from "bun";
import { messageOf } from "../../errors.ts";
import { SO_LINGER, SOL_SOCKET } from "../../kernel/abi/socket.ts";
import { SYS_setsockopt } from "../../kernel/abi/syscalls.x86_64.ts";
import { loadHost, syscall } from "../../sys/host.ts";
import { Framer } from "./framer.ts";
import { isNamed } from "./material.ts";
import { RecordWatch } from "./records.ts";
import * as relay from "./refusal.ts";

/** In which a handshake has to be made. */
const HANDSHAKE_MS = 60_000;
/** For the other side to take the farewell and close. */
const FAREWELL_MS = 5000;

/** SSL_OP_NO_TICKET: the original takes nothing but data after the handshake (GnuTLS answers "again", which it takes for a failure). */
const NO_TICKET = 0x4000;

type End = Socket<undefined>;

/** The runtime's socket for a descriptor that's connected already; its types don't know of it. */
function adopt(fd: number, socket: SocketHandler<undefined>): Promise<End> {
	const connect = Bun.connect as unknown as (options: FdSocketOptions<undefined>) => Promise<End>;
	return connect({ fd, allowHalfOpen: true, socket });
}

/** Bytes in one direction, no more of them than the taker takes. */
class Flow {
	private readonly waiting: Uint8Array[] = [];
	private isOver = false;

	constructor(
		private readonly from: () => End,
		private readonly to: () => End,
		/** Called when all has gone. */
		private readonly over: () => void,
	) {}

	take(bytes: Uint8Array): void {
		if (this.waiting.length > 0) {
			this.waiting.push(bytes.slice());
			return;
		}
		const done = Math.max(0, this.to().write(bytes));
		if (done === bytes.length) return;
		this.waiting.push(bytes.slice(done));
		this.from().pause();
	}

	drain(): void {
		for (let next = this.waiting[0]; next !== undefined; next = this.waiting[0]) {
			const done = Math.max(0, this.to().write(next));
			if (done < next.length) {
				this.waiting[0] = next.subarray(done);
				return;
			}
			this.waiting.shift();
		}
		if (this.isOver) this.over();
		else this.from().resume();
	}

	end(): void {
		if (this.isOver) return;
		this.isOver = true;
		if (this.waiting.length === 0) this.over();
	}
}

/** Tells the code that we work for, if it's still there. */
function tell(news: relay.RelayNews): void {
	try {
		writeSync(relay.NEWS_FD, `${JSON.stringify(news)}\n`);
	} catch {
		// It has gone: its end of the plain connection says so, too.
	}
}

/** What to say of a handshake that has come to its end; undefined when the other side is who it has to be. */
function judge(
	tls: End,
	isDone: boolean,
	error: Error | null,
	{ host }: relay.RelayConfig,
): relay.RelayNews | undefined {
	const { code = "", message = "" } = (error ?? {}) as { code?: string; message?: string };
	const peer = tls.getPeerX509Certificate?.() as X509Certificate | undefined;
	if (peer === undefined || peer === null) {
		if (isDone) return relay.failHandshake("the other side shows no certificate");
		return relay.failHandshake(code === "ECONNRESET" ? "the connection was cut" : message);
	}
	// The runtime compares names, too, with one that we haven't given it, and only once it has nothing else to object to.
	const isOnlyNamed = code === "ERR_TLS_CERT_ALTNAME_INVALID";
	if (error !== null && error !== undefined && !isOnlyNamed) return relay.refuseCertificate(code, message);
	if (!isOnlyNamed && !(isDone && tls.authorized)) return relay.failHandshake("the other side isn't known for sure");
	const certificate = new X509Certificate(peer.raw);
	if (host === undefined || isNamed(certificate, host)) return undefined;
	return relay.refuseName(certificate.subjectAltName ?? certificate.subject.replaceAll("\n", ", "), host);
}

class Relay {
	private plain!: End;
	private tls!: End;
	private raw!: End;
	private readonly records = new RecordWatch();
	private readonly framer: Framer;
	private readonly outward = new Flow(
		() => this.plain,
		() => this.tls,
		() => this.sayFarewell(),
	);
	private readonly inward = new Flow(
		() => this.tls,
		() => this.plain,
		() => this.endPlain(),
	);
	private isReady = false;
	private heard = false;
	private ended = false;
	private farewell = false;

	constructor(
		private readonly config: relay.RelayConfig,
		private readonly finish: (code: number) => void,
	) {
		this.framer = new Framer(config.speech);
	}

	async run(): Promise<void> {
		this.plain = await adopt(relay.PLAIN_FD, {
			data: (_plain, bytes) => {
				for (const record of this.framer.split(bytes)) this.outward.take(record);
			},
			drain: () => this.inward.drain(),
			end: () => this.outward.end(),
			close: (_plain, error) => this.plainClosed(error),
		});
		this.plain.pause();
		this.raw = await adopt(relay.CONNECTION_FD, { data: (_raw, bytes) => this.records.take(bytes) });
		const { ca, crl, cert, key } = this.config;
		const isServer = this.config.role === "server";
		const options: TLSOptions = {
			ca,
			cert,
			key,
			requestCert: true,
			rejectUnauthorized: false,
			secureOptions: NO_TICKET,
		};
		if (crl !== undefined) options.crl = crl;
		const timer = setTimeout(() => this.fail(relay.failHandshake("it takes too long")), HANDSHAKE_MS);
		const upgrade = {
			isServer,
			tls: { ...options, isServer },
			socket: {
				handshake: (tls: End, isDone: boolean, error: Error | null) => {
					clearTimeout(timer);
					this.handshakeDone(tls, isDone, error);
				},
				data: (_tls: End, bytes: Uint8Array) => this.take(bytes),
				drain: () => this.outward.drain(),
				end: () => this.tlsEnded(undefined),
				close: (_tls: End, error?: Error) => this.tlsClosed(error),
				error: (_tls: End, error: Error) => this.tlsClosed(error),
			},
		};
		[, this.tls] = this.raw.upgradeTLS<undefined>(upgrade);
	}

	private fail(news: relay.RelayNews): void {
		tell(news);
		this.abort();
	}

	private handshakeDone(tls: End, isDone: boolean, error: Error | null): void {
		if (this.isReady) return;
		const problem = judge(tls, isDone, error, this.config);
		if (problem !== undefined) {
			tell(problem);
			// Whoever waits for us sees the end, not a reset; nothing was taken from it.
			this.tls = tls;
			tls.end();
			this.finish(1);
			return;
		}
		this.isReady = true;
		tell({ state: "ready", peer: tls.getPeerX509Certificate().subject, protocol: tls.getTLSVersion() });
		this.plain.resume();
	}

	private take(bytes: Uint8Array): void {
		// Nothing is passed on before the other side is known.
		if (!this.isReady) return;
		this.heard = true;
		this.inward.take(bytes);
	}

	private tlsEnded(reason: string | undefined): void {
		if (!this.isReady) {
			this.fail(relay.failHandshake("the connection was cut"));
			return;
		}
		if (this.ended) return;
		this.ended = true;
		const clean = reason === undefined && this.records.endsWithAlert;
		tell({ state: "ended", clean, heard: this.heard, reason: reason ?? "" });
		this.inward.end();
	}

	private tlsClosed(error: Error | undefined): void {
		if (this.farewell) {
			this.finish(0);
			return;
		}
		this.tlsEnded(error === undefined ? undefined : messageOf(error));
	}

	/** All that came has been passed on. */
	private endPlain(): void {
		if (this.farewell) {
			this.finish(0);
			return;
		}
		this.plain.shutdown();
	}

	private plainClosed(error: Error | undefined): void {
		// What was sent to our code it didn't read: it has failed, and the other side has to know.
		if (error !== undefined || !this.isReady) {
			this.abort();
			return;
		}
		this.outward.end();
	}

	/** All that our code had to say has been said. */
	private sayFarewell(): void {
		if (this.farewell) return;
		this.farewell = true;
		if (this.ended) {
			this.tls.end();
			this.finish(0);
			return;
		}
		// To close with bytes unread would reset the connection, and take from the other side what is on its way.
		this.tls.shutdown();
		setTimeout(() => this.finish(0), FAREWELL_MS);
	}

	/** Resets the connection, so that its end isn't taken for a good one. */
	private abort(): void {
		syscall(SYS_setsockopt, relay.CONNECTION_FD, SOL_SOCKET, SO_LINGER, new Int32Array([1, 0]), 8);
		this.finish(1);
	}
}

/** Serves one connection, which is descriptor 3; the exit code. */
export function runRelay(): Promise<number> {
	loadHost();
	return new Promise((resolve) => {
		const config = JSON.parse(readFileSync(relay.CONFIG_FD, "utf8")) as relay.RelayConfig;
		const one = new Relay(config, resolve);
		one.run().catch((error: unknown) => {
			tell(relay.failHandshake(messageOf(error)));
			resolve(1);
		});
	});
}
