// SPDX-License-Identifier: GPL-2.0-only
// The page server: one connection of a dump somewhere else, whose pages become images here, or of a lazy-pages daemon that gets
// those of images. And the way to it.

import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { UsageError } from "../errors.ts";
import { ImageDir } from "../images/index.ts";
import { log } from "../log.ts";
import type { Options } from "../options.ts";
import { PageReceiver } from "../pages/page-receiver.ts";
import { Progress } from "../pages/progress.ts";
import type { TlsMaterial } from "../pages/tls/material.ts";
import { closeFd } from "../sys/file.ts";
import { loadHost } from "../sys/host.ts";
import { acceptOne, listenTcp, localPort } from "../sys/tcp.ts";
import { giveImages } from "./lazy-give.ts";
import { openLink, readTls } from "./page-link.ts";

/** A page server that can be connected to. */
export interface ListeningServer {
	/** Undefined with --ps-socket. */
	readonly port: number | undefined;
	/** The listening socket, or with --ps-socket the connection. */
	readonly fd: number;
	/** Waits for the connection and serves it. Blocks. @throws CriuError; nothing of a dump that wasn't whole is left */
	serve(): void;
}

/**
 * Opens a page server. `listenFd`: a socket that listens already.
 *
 * @throws UsageError, KernelError
 */
export function openPageServer(options: Options, listenFd?: number): ListeningServer {
	loadHost();
	const { psSocket, address } = options;
	const tls = readTls(options);
	const listening = psSocket === undefined ? (listenFd ?? listenTcp(address, options.port)) : undefined;
	const port = listening === undefined ? undefined : localPort(listening);
	if (port !== undefined) log.info(`Listening on ${address ?? "all addresses"}, port ${port}`);
	return { port, fd: listening ?? psSocket ?? -1, serve: () => serve(options, listening, tls) };
}

function serve(options: Options, listening: number | undefined, tls: TlsMaterial | undefined): void {
	const connection = listening === undefined ? (options.psSocket ?? -1) : acceptOne(listening);
	if (listening !== undefined) closeFd(listening);
	using link = openLink(connection, "server", tls, options);
	const { fd } = link;
	try {
		if (options.lazyPages) {
			giveImages(options, fd);
			return;
		}
		const showsProgress = options.showsProgress && !options.restoreDetached;
		using progress = Progress.open({ ...options, showsProgress }, "page-server");
		using dir = ImageDir.open(options.imagesDir);
		const { autoDedup } = options;
		const receiver = new PageReceiver(fd, dir, {
			autoDedup,
			shared: listening === undefined,
			endedWell: () => link.endedWell(),
		});
		receiver.run();
		progress.succeed();
		const { received, inParent } = receiver.counts;
		log.info(`Received ${received} pages; ${inParent} are in the parent images`);
	} catch (error) {
		throw link.explain(error);
	} finally {
		closeFd(fd);
	}
}

/** Turns the name of a page server's host into its address, which engine functions need. @throws UsageError BAD_ADDRESS */
export async function resolveServer(options: Options): Promise<Options> {
	const { address } = options;
	if (!options.pageServer || address === undefined || isIP(address) !== 0) return options;
	try {
		return { ...options, address: (await lookup(address)).address, addressName: address };
	} catch (error) {
		throw new UsageError("BAD_ADDRESS", `the host ${address} can't be found`, {
			cause: error,
			remedy: "check --address",
		});
	}
}
