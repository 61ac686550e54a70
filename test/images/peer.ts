// SPDX-License-Identifier: GPL-2.0-only
// The peer for the image tests: finds or fetches the real criu, and makes it dump programs of programs/image-targets.c.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const PEER_DIR = process.env["CRIU_PEER_DIR"] ?? "/opt/criu-peer";
const GET_PEER = join(import.meta.dir, "../../../shared/peer/get-peer");
const SOURCE = join(import.meta.dir, "programs/image-targets.c");

/** Path of the peer's criu, or why there is none. */
export function findPeer(): { criu: string } | { why: string } {
	if (process.getuid?.() !== 0) return { why: "the peer needs root to dump" };
	const criu = join(PEER_DIR, "bin/criu");
	if (!existsSync(criu)) {
		if (!existsSync(GET_PEER)) return { why: `no ${criu} (CRIU_PEER_DIR) and no ${GET_PEER} to fetch it` };
		const fetched = spawnSync(GET_PEER, [PEER_DIR], { encoding: "utf8", timeout: 300_000 });
		if (fetched.status !== 0 || !existsSync(criu)) return { why: `get-peer failed: ${fetched.stderr}` };
	}
	const version = spawnSync(criu, ["--version"], { encoding: "utf8" });
	return version.status === 0 ? { criu } : { why: `${criu} does not run: ${version.stderr}` };
}

/** Compiles the targets into `dir`; the path of the program. */
export function buildTargets(dir: string): string {
	const program = join(dir, "image-targets");
	const built = spawnSync("gcc", ["-O1", "-Wall", "-Wextra", "-Werror", "-o", program, SOURCE, "-pthread"], {
		encoding: "utf8",
	});
	if (built.status !== 0) throw new Error(`gcc: ${built.error?.message ?? built.stderr}`);
	return program;
}

/** Only child of a process, as `unshare --fork` has one. */
function childOf(pid: number): number {
	return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ")[0]);
}

export interface DumpRequest {
	criu: string;
	program: string;
	mode: string;
	/** A new directory; gets `work/` for the program and `images/`. */
	dir: string;
	/** Options of `criu dump`. */
	options: readonly string[];
	/** Command that starts the program in new namespaces, as a child of its own. */
	wrapper: readonly string[];
}

/** Starts a program and has the peer dump it. The program is gone afterwards. Gives the reason when the peer fails. */
export async function dumpWithPeer(request: DumpRequest): Promise<{ images: string } | { why: string }> {
	const { criu, program, mode, dir, options, wrapper } = request;
	const work = join(dir, "work");
	const images = join(dir, "images");
	mkdirSync(work);
	mkdirSync(images);
	const child = Bun.spawn([...wrapper, program, mode, work], { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
	try {
		const { value } = await child.stdout.getReader().read();
		const said = new TextDecoder().decode(value);
		if (said !== "ready\n") return { why: `the program did not come up: ${said}` };
		const pid = wrapper.length > 0 ? childOf(child.pid) : child.pid;
		const args = ["dump", "-t", String(pid), "-D", images, "-o", "dump.log", "-v4", ...options];
		const dumped = spawnSync(criu, args, { encoding: "utf8" });
		if (dumped.status === 0) return { images };
		const log = readFileSync(join(images, "dump.log"), "utf8");
		const errors = log.match(/Error .*/g) ?? [`exit code ${dumped.status}`];
		return { why: errors.slice(-3).join("; ") };
	} finally {
		child.kill("SIGKILL");
		await child.exited;
	}
}
