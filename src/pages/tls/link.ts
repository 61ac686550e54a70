// SPDX-License-Identifier: GPL-2.0-only
// Our end of an encrypted connection: a plain socket to a process of ours that speaks TLS with the other side.

import { CriuError, KernelError } from "../../errors.ts";
import { errnoNumber } from "../../kernel/abi/errno.ts";
import { POLLIN } from "../../kernel/abi/event-files.ts";
import { SYS_lseek, SYS_memfd_create, SYS_read } from "../../kernel/abi/syscalls.x86_64.ts";
import { log } from "../../log.ts";
import { makeStreamPair } from "../../sys/fd-stream.ts";
import { closeFd, openAt, scopedFd, toCString, writeAll } from "../../sys/file.ts";
import { mustSyscall, syscall } from "../../sys/host.ts";
import { launch } from "../../sys/launch.ts";
import { ownCommand } from "../../sys/own-command.ts";
import { makePipe } from "../../sys/pipe.ts";
import { pollFds } from "../../sys/poll.ts";
import { __WALL, openPidfd, P_PID, WEXITED, waitId } from "../../sys/process.ts";
import { setTimeouts } from "../../sys/tcp.ts";
import type { PageLink } from "../wire.ts";
import type { RelayConfig, RelayNews, Role } from "./refusal.ts";

const EINTR = errnoNumber("EINTR");
const MFD_CLOEXEC = 1;
const O_RDWR = 2;
/** Until the relay, which has lost its connection, has told why. */
const REASON_MS = 2000;
/** Until the other side has taken the farewell; a relay that still waits then ends by itself. */
const FAREWELL_MS = 6000;

function writeConfig(config: RelayConfig): number {
	const fd = mustSyscall("for a relay", SYS_memfd_create, toCString("criu-tls"), MFD_CLOEXEC);
	writeAll(fd, new TextEncoder().encode(JSON.stringify(config)));
	mustSyscall("of a memfd", SYS_lseek, fd, 0, 0);
	return fd;
}

export class TlsLink implements PageLink {
	private text = "";
	private last: RelayNews | undefined;

	private constructor(
		readonly fd: number,
		private readonly news: number,
		private readonly pid: number,
	) {}

	/**
	 * Takes over a connection, and makes the handshake. Blocks.
	 *
	 * @throws CriuError TLS_HANDSHAKE, TLS_CERTIFICATE, TLS_NAME: nothing of ours was sent
	 */
	static start(connection: number, config: RelayConfig): TlsLink {
		using given = scopedFd(connection);
		const [ours, theirs] = makeStreamPair();
		using end = scopedFd(theirs);
		const [news, writer] = makePipe();
		using out = scopedFd(writer);
		let link: TlsLink | undefined;
		try {
			using memory = scopedFd(writeConfig(config));
			const command = ownCommand(["tls-relay", "--no-default-config"]);
			const env = { ...process.env, CRIU_CONFIG_FILE: undefined };
			// Apart from our group: what a terminal sends to all of it is for us to act on.
			using nothing = scopedFd(openAt("/dev/null", O_RDWR));
			const fds = [nothing.fd, nothing.fd, nothing.fd, given.fd, end.fd, out.fd, memory.fd];
			link = new TlsLink(ours, news, launch({ ...command, env, fds, newSession: true }));
		} finally {
			if (link === undefined) for (const fd of [ours, news]) closeFd(fd);
		}
		setTimeouts(ours);
		for (const one of [given, end, out]) one[Symbol.dispose]();
		try {
			link.awaitReady(config.role);
			return link;
		} catch (error) {
			closeFd(ours);
			link[Symbol.dispose]();
			throw error;
		}
	}

	/** The next news; undefined when the relay has ended. */
	private read(): RelayNews | undefined {
		for (;;) {
			const end = this.text.indexOf("\n");
			if (end >= 0) {
				this.last = JSON.parse(this.text.slice(0, end)) as RelayNews;
				this.text = this.text.slice(end + 1);
				return this.last;
			}
			const bytes = new Uint8Array(4096);
			const ret = syscall(SYS_read, this.news, bytes, bytes.length);
			if (ret === -EINTR) continue;
			if (ret < 0) throw new KernelError("read", -ret, "of what the relay tells");
			if (ret === 0) return undefined;
			this.text += new TextDecoder().decode(bytes.subarray(0, ret), { stream: true });
		}
	}

	private awaitReady(role: Role): void {
		const news = this.read();
		if (news?.state === "ready") {
			log.info(`TLS handshake completed (${news.protocol}) with ${news.peer.replaceAll("\n", ", ")}, as ${role}`);
			return;
		}
		if (news?.state === "failed") throw new CriuError(news.code, news.message, { remedy: news.remedy });
		throw new CriuError("TLS_RELAY", "the process that was to encrypt the connection has ended", {
			remedy: "try again; look whether something ends processes (dmesg)",
		});
	}

	endedWell(): boolean {
		const news = this.last?.state === "ended" ? this.last : this.read();
		if (news?.state !== "ended") return false;
		if (!news.clean) log.warn(`the encrypted connection ended without a farewell ${news.reason}`);
		return news.clean;
	}

	explain(error: unknown): unknown {
		if (!(error instanceof CriuError) || error.code !== "PAGE_CONNECTION") return error;
		if (this.last?.state !== "ended") {
			const [events = 0] = pollFds([{ fd: this.news, events: POLLIN }], REASON_MS);
			if (events === 0) return error;
			this.read();
		}
		if (this.last?.state !== "ended") return error;
		const { heard, reason } = this.last;
		if (heard && reason === "") return error;
		const what = heard
			? `the encrypted connection was cut: ${reason}`
			: "the other side has closed the connection after the TLS handshake: it doesn't accept our certificate, most likely";
		return new CriuError("PAGE_CONNECTION", what, {
			cause: error,
			remedy: "look into its log; its --tls-cacert, --tls-cacrl and --address have to go with our --tls-cert",
		});
	}

	/** Waits, for a limited time, until the relay has ended, so that all that was sent has gone. */
	[Symbol.dispose](): void {
		closeFd(this.news);
		using pidfd = scopedFd(openPidfd(this.pid));
		const [events = 0] = pollFds([{ fd: pidfd.fd, events: POLLIN }], FAREWELL_MS);
		if (events !== 0) waitId(P_PID, this.pid, WEXITED | __WALL);
	}
}
