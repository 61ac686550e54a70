// SPDX-License-Identifier: GPL-2.0-only
// The original CRIU that tests and benchmarks compare with: where it is, fetched where it's absent, and what it needs here.

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const GET_PEER = resolve(import.meta.dir, "../../shared/peer/get-peer");
/** Has CRIU 4.x step by system calls instead of hardware breakpoints, for which it would wait for ever where they don't work. */
const NO_BREAKPOINTS = "130";

/** The peer's programs. */
export interface PeerPrograms {
	readonly criu: string;
	readonly crit: string;
	/** Where its Python modules are. */
	readonly pythonPath: string;
}

let found: PeerPrograms | { missing: string } | undefined;

/** The peer in $CRIU_PEER_DIR (default /opt/criu-peer), fetched with ../shared/peer/get-peer where it's absent, or why there is none. */
export function findPeer(): PeerPrograms | { missing: string } {
	found ??= locatePeer();
	return found;
}

function locatePeer(): PeerPrograms | { missing: string } {
	const dir = process.env["CRIU_PEER_DIR"] ?? "/opt/criu-peer";
	const peer = {
		criu: join(dir, "bin/criu"),
		crit: join(dir, "bin/crit"),
		pythonPath: join(dir, "root/usr/lib/python3/dist-packages"),
	};
	if (!existsSync(peer.criu) || !existsSync(peer.crit)) {
		if (!existsSync(GET_PEER))
			return { missing: `no peer in ${dir} (CRIU_PEER_DIR) and no ${GET_PEER} to fetch it with` };
		const fetched = spawnSync(GET_PEER, [dir], { encoding: "utf8", timeout: 300_000 });
		if (fetched.status !== 0) return { missing: `get-peer failed: ${fetched.stderr.trim()}` };
		if (!existsSync(peer.criu)) return { missing: `get-peer brought no criu to ${dir}` };
	}
	if (!hasBreakpoints()) process.env["CRIU_FAULT"] ??= NO_BREAKPOINTS;
	return peer;
}

/** True unless hardware breakpoints are known not to work on this machine. */
function hasBreakpoints(): boolean {
	const dir = mkdtempSync(join(tmpdir(), "breakpoints-"));
	try {
		const program = join(dir, "breakpoints");
		const source = join(import.meta.dir, "breakpoints.c");
		const built = spawnSync("gcc", ["-O1", "-Wall", "-Wextra", "-Werror", "-o", program, source], { encoding: "utf8" });
		if (built.status !== 0) throw new Error(`gcc: ${built.error?.message ?? built.stderr}`);
		return spawnSync(program, { timeout: 10_000 }).status !== 1;
	} finally {
		rmSync(dir, { recursive: true, force: true });
	}
}
