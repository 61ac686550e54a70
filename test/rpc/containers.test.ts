// SPDX-License-Identifier: GPL-2.0-only
// runc and crun, which call the criu in PATH: containers without namespaces come back, others are refused at a known point.

import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeAsRoot } from "../as-root.ts";
import { findClients } from "../clients.ts";
import { CRIU } from "./client.ts";

const clients = findClients();
const runc = Bun.which("runc", { PATH: "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin" });
const runtimes = [
	{ name: "runc", path: runc ?? undefined, missing: "needs runc" },
	{
		name: "crun",
		path: "missing" in clients ? undefined : clients.crun,
		missing: "missing" in clients ? clients.missing : "",
	},
];
/** A crowded machine takes seconds for what is done in milliseconds. */
const PATIENCE_MS = 240_000;
const INIT = "#include <unistd.h>\nint main(void)\n{\n\tfor (;;)\n\t\tpause();\n}\n";

describeAsRoot("container runtimes", () => {
	for (const { name, path, missing } of runtimes) {
		const title = path === undefined ? `${name} (skipped: ${missing})` : name;
		test.skipIf(path === undefined)(
			title,
			() => {
				const dir = mkdtempSync(join(tmpdir(), "criu-container-"));
				try {
					for (const folder of ["bin", "state", "rootfs/bin", "rootfs/dev", "rootfs/proc"])
						mkdirSync(join(dir, folder), { recursive: true });
					symlinkSync(CRIU, join(dir, "bin/criu"));
					writeFileSync(join(dir, "init.c"), INIT);
					const built = Bun.spawnSync(["gcc", "-static", "-o", join(dir, "rootfs/bin/init"), join(dir, "init.c")]);
					expect(built.stderr.toString()).toBe("");
					const command = [
						path ?? name,
						...(name === "crun" ? ["--cgroup-manager=cgroupfs"] : []),
						"--root",
						join(dir, "state"),
					];
					const words = ["unshare", "-m", "sh", join(import.meta.dir, "containers.sh"), name, dir, ...command];
					const env = { PATH: `${dir}/bin:/usr/sbin:/usr/bin:/sbin:/bin` };
					const run = Bun.spawnSync(words, { env, stdin: "ignore", timeout: PATIENCE_MS });
					const seen = run.stdout.toString().trim().split("\n");
					if (seen[0]?.startsWith("cannot run") === true) {
						// Whether it can is no matter of criu: cgroups, seccomp, a sandbox around us.
						console.log(`${name}: ${seen[0]}`);
						return;
					}
					expect(seen, readFileSync(join(dir, "runtime.log"), "utf8")).toEqual([
						"checkpoint: OPTION_NOT_IN_VERSION this version of criu cannot do --manage-cgroups=soft yet (asked for by the request)",
						'"status":"running"',
						"checkpoint: done",
						"same pid: yes",
						'"status":"running"',
						expect.stringMatching(/^checkpoint: UNSUPPORTED_NAMESPACE pid \d+ \(init\) can't be dumped as it is/),
						'"status":"running"',
					]);
				} finally {
					rmSync(dir, { recursive: true, force: true });
				}
			},
			PATIENCE_MS,
		);
	}
});
