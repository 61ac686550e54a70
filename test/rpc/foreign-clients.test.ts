// SPDX-License-Identifier: GPL-2.0-only
// Clients that nobody here wrote: libcriu by a program in C, pycriu, go-criu.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeAsRoot } from "../as-root.ts";
import { findClients, findGoCriu, findPycriu } from "../clients.ts";
import { CRIU, makeImagesDir, startTarget, TestService } from "./client.ts";

const clients = findClients();
const pycriu = findPycriu();
const goCriu = findGoCriu();
/** A crowded machine takes seconds for what is done in milliseconds. */
const PATIENCE_MS = 240_000;
const why = (found: object) => ("missing" in found ? ` (skipped: ${found.missing})` : "");

function lines(output: Buffer | Uint8Array): string[] {
	return Buffer.from(output).toString().trim().split("\n");
}

describeAsRoot(`libcriu${why(clients)}`, () => {
	let program = "";
	beforeAll(() => {
		if ("missing" in clients) return;
		program = join(mkdtempSync(join(tmpdir(), "criu-libcriu-")), "client");
		const source = join(import.meta.dir, "libcriu-client.c");
		const words = ["-O1", "-Wall", "-Wextra", "-Werror", "-I", clients.include, "-o", program, source];
		const built = Bun.spawnSync(["gcc", ...words, ...clients.libraries]);
		expect(built.stderr.toString()).toBe("");
	});
	afterAll(() => {
		if (program !== "") rmSync(join(program, ".."), { recursive: true, force: true });
	});
	const run = (words: readonly string[], env: Record<string, string> = {}) => {
		const result = Bun.spawnSync([program, ...words], {
			env: { PATH: "/usr/bin:/bin", CRIU, ...env },
			stdin: "ignore",
			stderr: "ignore",
			timeout: PATIENCE_MS,
		});
		return lines(result.stdout);
	};
	const libcriu = (title: string, run: () => void | Promise<void>) =>
		test.skipIf("missing" in clients)(title, run, PATIENCE_MS);

	libcriu("asks what there is", () => {
		using images = makeImagesDir();
		expect(run(["ask", images.dir])).toEqual([
			"version 40200",
			"new enough 1",
			"too old 0",
			"Looks good.",
			"check 0",
			"feature check 0",
			"pidfd_store 1",
			expect.stringMatching(/^mem_track [01]$/),
		]);
	});

	libcriu("dumps with hooks, by a worker and by the service, and restores its own child", async () => {
		await using service = await TestService.start();
		for (const env of [{}, { CRIU_SERVICE: service.address }]) {
			using images = makeImagesDir();
			const target = await startTarget();
			try {
				expect(run(["dump", images.dir, String(target.pid)], env)).toEqual([
					"refused 7",
					"pre-dump query-ext-files post-dump dump 0",
					"again -52",
				]);
				expect(readFileSync(join(images.dir, "client.log"), "utf8")).toContain("pid");
				await target.kill();
				expect(run(["restore", images.dir])).toEqual([
					"pre-restore post-restore:pid pre-resume post-resume restore 1",
					"child 1",
				]);
			} finally {
				await target.kill();
			}
		}
	});

	libcriu("dumps in rounds", async () => {
		using images = makeImagesDir();
		for (const name of ["0", "1", "2"]) mkdirSync(join(images.dir, name));
		const target = await startTarget();
		try {
			expect(run(["iterate", images.dir, String(target.pid)])).toEqual(["iterate 0"]);
			expect(existsSync(join(images.dir, "2/parent"))).toBe(true);
			await target.kill();
			expect(run(["restore", join(images.dir, "2")])[1]).toBe("child 1");
		} finally {
			await target.kill();
		}
	});

	libcriu("dumps itself, and knows when it's restored", async () => {
		using images = makeImagesDir();
		const output = join(images.dir, "output");
		const file = openSync(output, "w");
		const client = Bun.spawn([program, "self", images.dir], {
			env: { PATH: "/usr/bin:/bin", CRIU },
			stdio: ["ignore", file, "ignore"],
		});
		closeSync(file);
		await client.exited;
		// It has ended by the dump.
		expect(client.signalCode).toBe("SIGKILL");
		expect(readFileSync(output, "utf8")).toBe("");
		const log = join(images.dir, "restore.log");
		const restored = Bun.spawnSync([CRIU, "restore", "--new-pidns", "-D", images.dir, "-o", log], {
			timeout: PATIENCE_MS,
		});
		expect(restored.exitCode).toBe(0);
		expect(readFileSync(output, "utf8")).toBe("self 1\n");
	});
});

describeAsRoot(`pycriu${why(pycriu)}`, () => {
	test.skipIf("missing" in pycriu)(
		"checks, dumps to a page server and restores",
		async () => {
			if ("missing" in pycriu) return;
			using images = makeImagesDir();
			using pages = makeImagesDir();
			const target = await startTarget();
			try {
				const script = join(import.meta.dir, "pycriu-client.py");
				const words = ["/usr/bin/python3", script, CRIU, images.dir, pages.dir, String(target.pid)];
				const child = Bun.spawn(words, {
					env: { PATH: "/usr/bin:/bin", PYTHONPATH: pycriu.path },
					stdio: ["ignore", "pipe", "pipe"],
				});
				const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
				expect(errors).toBe("");
				expect(output.trim().split("\n")).toEqual([
					"check",
					"no such process 1 3",
					"page server True True",
					"dump restored: False",
					"ended 0",
					"restore True",
				]);
			} finally {
				await target.kill();
			}
		},
		PATIENCE_MS,
	);
});

describeAsRoot(`go-criu${why(goCriu)}`, () => {
	test.skipIf("missing" in goCriu)(
		"asks, is refused, dumps with hooks, reads the numbers and restores",
		async () => {
			if ("missing" in goCriu) return;
			const dir = mkdtempSync(join(tmpdir(), "criu-go-"));
			using images = makeImagesDir();
			const target = await startTarget();
			try {
				// Without modules, which would be asked for over the network: the library lies where its version is looked for.
				mkdirSync(join(dir, "src/github.com/checkpoint-restore/go-criu"), { recursive: true });
				symlinkSync(goCriu.library, join(dir, "src/github.com/checkpoint-restore/go-criu/v5"));
				const client = join(dir, "client");
				const built = Bun.spawnSync([goCriu.go, "build", "-o", client, join(import.meta.dir, "go-criu-client.go")], {
					env: {
						PATH: "/usr/bin:/bin",
						GO111MODULE: "off",
						GOPATH: `${dir}:${goCriu.packages}`,
						GOCACHE: join(dir, "cache"),
						GOTOOLCHAIN: "local",
					},
					timeout: PATIENCE_MS,
				});
				expect(built.stderr.toString()).toBe("");
				// Not spawnSync: the target's parent has to reap it meanwhile.
				const run = Bun.spawn([client, CRIU, images.dir, String(target.pid)], {
					env: { PATH: "/usr/bin:/bin" },
					stdio: ["ignore", "pipe", "inherit"],
					timeout: PATIENCE_MS,
				});
				expect((await run.stdout.text()).trim().split("\n")).toEqual([
					"version 40200 true",
					"features true true",
					"no such process true",
					"refused true [pre-dump]",
					"dump [pre-dump post-dump]",
					"stats true true",
					"restore [pre-restore post-restore post-resume] true",
				]);
				process.kill(target.pid, "SIGKILL");
			} finally {
				await target.kill();
				rmSync(dir, { recursive: true, force: true });
			}
		},
		PATIENCE_MS,
	);
});
