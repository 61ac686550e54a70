// SPDX-License-Identifier: GPL-2.0-only
// The lazy-pages daemon: takes the memory of restored tasks from a restore, and brings their pages from images.

import { lstatSync, unlinkSync } from "node:fs";
import { CriuError, ImageError } from "../errors.ts";
import { ImageDir, KINDS } from "../images/index.ts";
import { log } from "../log.ts";
import type { Options } from "../options.ts";
import { LazyGuard } from "../pages/lazy/guard.ts";
import { LAZY_SOCKET, listenForRestore, RestoreConnection } from "../pages/lazy/protocol.ts";
import { RemoteSource, tellLoss } from "../pages/lazy/remote-source.ts";
import { LazyServer } from "../pages/lazy/server.ts";
import { LocalSource, type PageSource } from "../pages/lazy/source.ts";
import { listLazy } from "../pages/pagemap.ts";
import type { Ranges } from "../pages/ranges.ts";
import type { PageLink } from "../pages/wire.ts";
import { closeFd } from "../sys/file.ts";
import { loadHost } from "../sys/host.ts";
import { raiseFdLimit } from "../sys/limits.ts";
import { connectPageServer } from "./page-link.ts";
import { resolveServer } from "./page-server.ts";

/** A daemon that a restore can connect to. */
export interface LazyDaemon {
	/** The listening socket, and the connection to a page server where there is one. */
	readonly fds: readonly number[];
	/** Waits for a restore and serves its tasks until all have their pages. @throws CriuError; tasks without their pages are ended */
	serve(): void;
}

/** The socket of an earlier daemon goes. @throws CriuError LAZY_SOCKET */
function bind(): number {
	try {
		if (lstatSync(LAZY_SOCKET, { throwIfNoEntry: false })?.isSocket() === true) unlinkSync(LAZY_SOCKET);
		return listenForRestore();
	} catch (error) {
		throw new CriuError("LAZY_SOCKET", `the socket ${LAZY_SOCKET} can't be made in the work directory`, {
			cause: error,
			remedy: "remove what is in its place, or use another --work-dir (the same for the restore)",
		});
	}
}

/**
 * Opens a daemon. `sockets`: those of a daemon that was opened in another process.
 *
 * @throws CriuError, ImageError
 */
export async function openLazyDaemon(options: Options, sockets: readonly number[] = []): Promise<LazyDaemon> {
	loadHost();
	raiseFdLimit();
	if (sockets.length > 0) return { fds: sockets, serve: () => serve(options, sockets) };
	// The other side first: without it there's nothing that a restore could be promised.
	const link = options.pageServer ? connectPageServer(await resolveServer(options)) : undefined;
	const fds = link === undefined ? [bind()] : [bind(), link.fd];
	return { fds, serve: () => serve(options, fds, link) };
}

function serve(options: Options, sockets: readonly number[], link?: PageLink): void {
	try {
		serveRestore(options, sockets);
	} catch (error) {
		const told = tellLoss(error);
		throw link?.explain(told) ?? told;
	} finally {
		for (const fd of sockets.slice(1)) closeFd(fd);
		link?.[Symbol.dispose]();
	}
}

function serveRestore(options: Options, [listening = -1, server]: readonly number[]): void {
	using dir = ImageDir.open(options.imagesDir);
	dir.readInventory();
	const tasks = dir.readEntries(KINDS.PSTREE).length;
	const source: PageSource =
		server === undefined ? new LocalSource(dir) : RemoteSource.start(server, options.psSocket !== undefined);
	log.info(`Waiting for the restore of ${tasks} tasks`);
	const connection = RestoreConnection.accept(listening);
	closeFd(listening);
	const guard = new LazyGuard();
	const lazy = new LazyServer(source, guard);
	try {
		receiveTasks(lazy, connection, dir, tasks);
		bringAll(lazy, connection);
		source.finish();
	} catch (error) {
		log.error("processes that wait for pages are ended: they would go on with wrong memory");
		throw error;
	}
	guard.end();
	connection.close();
	log.info(`Lazy pages transfer finished successfully: ${lazy.describe()}`);
}

function receiveTasks(server: LazyServer, connection: RestoreConnection, dir: ImageDir, tasks: number): void {
	const known = new Set<number>();
	for (const { imagePid, pid, uffd } of connection.receive(tasks)) {
		if (known.has(imagePid)) throw new CriuError("LAZY_RESTORE", `the restore names pid ${imagePid} twice`);
		known.add(imagePid);
		server.add(uffd, pid, imagePid, readLazy(dir, imagePid));
	}
	log.info(`${known.size} tasks wait for ${server.missing / 4096n} pages`);
}

function bringAll(server: LazyServer, connection: RestoreConnection): void {
	let control: number | undefined = connection.fd;
	while (!server.isDone) {
		if (!server.turn(control)) continue;
		connection.receiveEnd();
		control = undefined;
		server.push();
		log.debug("the restore is over: all pages are brought");
	}
}

function readLazy(dir: ImageDir, pid: number): Ranges {
	const pagemap = dir.findHeaded(KINDS.PAGEMAP, pid);
	if (pagemap !== undefined) return listLazy(`pagemap-${pid}.img`, pagemap.entries);
	throw new ImageError("IMAGE_MISSING", `image pagemap-${pid}.img is missing, of a task that waits for pages`, {
		file: `pagemap-${pid}.img`,
		remedy: "give lazy-pages the directory that restore gets (--images-dir)",
	});
}
