// SPDX-License-Identifier: GPL-2.0-only
// The giving side of lazy memory: `dump --lazy-pages`, whose processes stand still until the other side has their pages, and
// `page-server --lazy-pages`, which has them from images.

import { isErrno, UsageError } from "../errors.ts";
import { ImageDir } from "../images/index.ts";
import { POLLIN } from "../kernel/abi/event-files.ts";
import type { DumpedTask } from "../kinds/kind.ts";
import { log } from "../log.ts";
import type { Options } from "../options.ts";
import { PageGiver } from "../pages/lazy/giver.ts";
import { ImageKeeper, type KeptMemory, ProcessKeeper } from "../pages/lazy/keepers.ts";
import type { Ranges } from "../pages/ranges.ts";
import type { TlsMaterial } from "../pages/tls/material.ts";
import { closeFd, openAt } from "../sys/file.ts";
import { pollFds } from "../sys/poll.ts";
import { acceptOne, listenTcp, localPort } from "../sys/tcp.ts";
import type { HookFacts, RunControl } from "./control.ts";
import { openLink, readTls } from "./page-link.ts";
import { tellReady } from "./status-fd.ts";

/** Serves the pages of images on a connection. @throws CriuError, KernelError */
export function giveImages(options: Options, fd: number): void {
	using dir = ImageDir.open(options.imagesDir);
	const keeper = new ImageKeeper(dir, fd);
	try {
		const giver = new PageGiver(fd, keeper);
		giver.run();
		log.info(`Gave ${giver.given} pages`);
	} finally {
		keeper.close();
	}
}

/** Callers that mean the other side by the address are as welcome as with the original, which always listens on all of ours. */
function listen(address: string | undefined, port: number): number {
	try {
		return listenTcp(address, port);
	} catch (error) {
		if (!isErrno(error, "EADDRNOTAVAIL")) throw error;
		log.warn(`${address} is no address of this machine: listening on all`);
		return listenTcp(undefined, port);
	}
}

/** The memory that a dump leaves where it is, and the socket by which it's asked for. */
export class LazyGive {
	private readonly memories = new Map<number, KeptMemory>();

	private constructor(
		/** Listening, or with --ps-socket connected already. */
		private fd: number,
		private readonly isListening: boolean,
		private readonly options: Options,
		private readonly tls: TlsMaterial | undefined,
	) {}

	/** Listens, before anything is done to the target; undefined without --lazy-pages. @throws UsageError, KernelError */
	static open(options: Options): LazyGive | undefined {
		const { lazyPages, pageServer, psSocket, address, port } = options;
		if (!lazyPages) return undefined;
		if (pageServer)
			throw new UsageError("LAZY_PAGE_SERVER", "--lazy-pages and --page-server can't be used together in a dump", {
				remedy: "leave --page-server out: with --lazy-pages the dump serves pages itself, at --address and --port",
			});
		const tls = readTls(options);
		if (psSocket !== undefined) return new LazyGive(psSocket, false, options, tls);
		const fd = listen(address, port);
		log.info(`Listening for a lazy-pages daemon on ${address ?? "all addresses"}, port ${localPort(fd)}`);
		return new LazyGive(fd, true, options, tls);
	}

	/** Memory of a task that stands still stays in it until it's asked for. */
	keep({ pid, vpid }: DumpedTask, ranges: Ranges): void {
		if (ranges.length > 0) this.memories.set(vpid, { pid, memFd: openAt(`/proc/${pid}/mem`, 0), ranges });
	}

	/**
	 * Tells that all images are there, and gives pages until the other side has what it needs. Blocks.
	 *
	 * @throws CriuError PAGE_CONNECTION when that ended too early; HookError, CancelledError
	 */
	serve(control: RunControl, facts: HookFacts): void {
		tellReady(this.options.statusFd);
		control.runHook("status-ready", facts);
		if (this.isListening) {
			// A signal that ends us comes in between.
			do control.check();
			while (pollFds([{ fd: this.fd, events: POLLIN }], -1)[0] === 0);
			const connected = acceptOne(this.fd);
			closeFd(this.fd);
			this.fd = connected;
		}
		const connection = this.fd;
		// It's the link's from here on, whatever comes of it.
		this.fd = -1;
		using link = openLink(connection, "server", this.tls, this.options);
		this.fd = link.fd;
		try {
			const giver = new PageGiver(this.fd, new ProcessKeeper(this.memories, this.fd), () => control.check());
			giver.run();
			log.info(`Gave ${giver.given} pages to the lazy-pages daemon`);
		} catch (error) {
			throw link.explain(error);
		} finally {
			closeFd(this.fd);
			this.fd = -1;
		}
	}

	[Symbol.dispose](): void {
		for (const { memFd } of this.memories.values()) closeFd(memFd);
		if (this.fd >= 0) closeFd(this.fd);
	}
}
