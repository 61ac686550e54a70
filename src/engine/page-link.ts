// SPDX-License-Identifier: GPL-2.0-only
// Connections of page servers, dumps and lazy-pages daemons, encrypted with --tls.

import { UsageError } from "../errors.ts";
import type { Options } from "../options.ts";
import { TlsLink } from "../pages/tls/link.ts";
import { readMaterial, type TlsMaterial } from "../pages/tls/material.ts";
import type { Role } from "../pages/tls/refusal.ts";
import { type PageLink, plainLink } from "../pages/wire.ts";
import { connectTcp } from "../sys/tcp.ts";

/** Certificates and key; undefined without --tls. Read before anything is promised or done. @throws UsageError TLS_FILE */
export function readTls(options: Options): TlsMaterial | undefined {
	return options.tls ? readMaterial(options) : undefined;
}

/** Takes over a connection, and with `tls` makes it an encrypted one. @throws CriuError TLS_* */
export function openLink(fd: number, role: Role, tls: TlsMaterial | undefined, options: Options): PageLink {
	if (tls === undefined) return plainLink(fd);
	const host = options.tlsNoCnVerify ? undefined : (options.addressName ?? options.address);
	const speech = role === "client" ? "questions" : options.lazyPages ? "pages" : "answers";
	return TlsLink.start(fd, { role, speech, host, ...tls });
}

/** A connection to the page server; with --ps-socket the user's own. @throws UsageError, KernelError, CriuError TLS_* */
export function connectPageServer(options: Options): PageLink {
	const { psSocket, address, port } = options;
	const tls = readTls(options);
	if (psSocket !== undefined) return openLink(psSocket, "client", tls, options);
	if (address === undefined || port === 0)
		throw new UsageError("NO_PAGE_SERVER", "--page-server needs --address and --port, or --ps-socket", {
			remedy: "name where `criu page-server` listens",
		});
	return openLink(connectTcp(address, port), "client", tls, options);
}
