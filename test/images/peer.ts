// SPDX-License-Identifier: GPL-2.0-only
// The peer for the image tests: makes it dump programs of programs/image-targets.c.

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const SOURCE = join(import.meta.dir, "programs/image-targets.c");

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
		const dumped = spawnSync(criu, args, { encoding: "utf8", env: process.env });
		if (dumped.status === 0) return { images };
		const log = readFileSync(join(images, "dump.log"), "utf8");
		const errors = log.match(/Error .*/g) ?? [`exit code ${dumped.status}`];
		return { why: errors.slice(-3).join("; ") };
	} finally {
		child.kill("SIGKILL");
		await child.exited;
	}
}
