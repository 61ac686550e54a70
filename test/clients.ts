// SPDX-License-Identifier: GPL-2.0-only
// Programs and libraries of others that call criu: libcriu, crun, runc, pycriu. Where they are, fetched where they're absent.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { findPeer } from "./peer.ts";

const GET_PEER = resolve(import.meta.dir, "../../shared/peer/get-peer");
const PACKAGES = ["libcriu-dev", "crun", "runc"];

export interface ClientPrograms {
	/** Has criu/criu.h. */
	readonly include: string;
	/** Static libraries: what is linked with them needs nothing of another Debian. */
	readonly libraries: readonly string[];
	readonly crun: string;
	readonly runc: string;
}

let found: ClientPrograms | { missing: string } | undefined;

/** Clients in $CRIU_CLIENTS_DIR (default /opt/criu-clients), fetched with ../shared/peer/get-peer where they're absent, or why there are none. */
export function findClients(): ClientPrograms | { missing: string } {
	found ??= locateClients();
	return found;
}

function locateClients(): ClientPrograms | { missing: string } {
	const dir = process.env["CRIU_CLIENTS_DIR"] ?? "/opt/criu-clients";
	const library = (name: string) => join(dir, "root/usr/lib/x86_64-linux-gnu", name);
	const clients: ClientPrograms = {
		include: join(dir, "root/usr/include"),
		libraries: [library("libcriu.a"), library("libprotobuf-c.a")],
		crun: join(dir, "bin/crun"),
		runc: join(dir, "bin/runc"),
	};
	const wanted = [join(clients.include, "criu/criu.h"), ...clients.libraries, clients.crun, clients.runc];
	const isComplete = () => wanted.every((path) => existsSync(path));
	if (isComplete()) return clients;
	if (!existsSync(GET_PEER)) return { missing: `no clients in ${dir} (CRIU_CLIENTS_DIR) and no ${GET_PEER}` };
	const fetched = spawnSync(GET_PEER, [dir, ...PACKAGES], { encoding: "utf8", timeout: 300_000 });
	if (fetched.status !== 0) return { missing: `get-peer failed: ${fetched.stderr.trim()}` };
	return isComplete() ? clients : { missing: `get-peer brought not all of ${PACKAGES.join(", ")} to ${dir}` };
}

/** Where Python finds pycriu, or why it's not there. */
export function findPycriu(): { path: string } | { missing: string } {
	const peer = findPeer();
	if ("missing" in peer) return peer;
	if (!existsSync(join(peer.pythonPath, "pycriu/criu.py"))) return { missing: `no pycriu in ${peer.pythonPath}` };
	return { path: peer.pythonPath };
}

const GO = "/usr/bin/go";
const GO_PACKAGES = "/usr/share/gocode";

/** Where Go and Debian's package of go-criu are, or what is missing. */
export function findGoCriu(): { go: string; packages: string; library: string } | { missing: string } {
	const library = join(GO_PACKAGES, "src/github.com/checkpoint-restore/go-criu");
	if (!existsSync(GO)) return { missing: "no /usr/bin/go" };
	if (!existsSync(join(library, "main.go")))
		return { missing: "no package golang-github-checkpoint-restore-go-criu-dev" };
	return { go: GO, packages: GO_PACKAGES, library };
}
