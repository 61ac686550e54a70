// SPDX-License-Identifier: GPL-2.0-only
// The dump of hoarder.c that fuzz tests damage, made in pid and mount namespaces of its own; nothing runs afterwards.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
/** The pid that it has in the images: none that a small new namespace gives out by itself. */
export const HOARDER_PID = 3000;
export const CRIU = process.env["CRIU_BIN"] ?? join(root, "dist/criu");

/** $1 hoarder, $2 its folder, $3 criu, $4 images, $5 pid */
const DUMP = `
echo $(($5 - 1)) >/proc/sys/kernel/ns_last_pid
setsid "$1" "$2" </dev/null >/dev/null 2>"$2/complaints" &
n=0
until [ -e "$2/ready" ]; do
	n=$((n + 1))
	[ $n -gt 1000 ] && cat "$2/complaints" >&2 && exit 1
	sleep 0.01
done
exec "$3" dump -t "$5" -D "$4" --file-locks --drop-unread -o /dev/null`;

/** Where a hoarder was dumped. Close it. */
export class Hoard {
	readonly dir = mkdtempSync(join(tmpdir(), "criu-hoard-"));
	/** Its files. */
	readonly files = join(this.dir, "files");
	readonly images = join(this.dir, "images");

	constructor() {
		mkdirSync(this.files);
		mkdirSync(this.images);
		const program = join(this.dir, "hoarder");
		this.run([
			"gcc",
			"-std=gnu17",
			"-O2",
			"-Wall",
			"-Wextra",
			"-Werror",
			join(import.meta.dir, "hoarder.c"),
			"-o",
			program,
		]);
		const argv = ["unshare", "-fpm", "--mount-proc", "--kill-child", "sh", "-c", DUMP, "sh"];
		this.run([...argv, program, this.files, CRIU, this.images, String(HOARDER_PID)]);
	}

	private run(argv: string[]): void {
		const run = Bun.spawnSync(argv, { stdin: "ignore", stdout: "ignore", stderr: "pipe", timeout: 60_000 });
		if (run.exitCode !== 0) throw new Error(`${argv[0]} failed: ${run.stderr.toString()}`);
	}

	[Symbol.dispose](): void {
		rmSync(this.dir, { recursive: true, force: true });
	}
}
