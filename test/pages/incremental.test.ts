// SPDX-License-Identifier: GPL-2.0-only
// Chains of pre-dumps of a tree that knows what every page of it has to hold: nothing is missed, little is copied in vain, and
// what goes wrong in between only makes the next dump a full one.

import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { FAULT_POINTS } from "../../src/fault.ts";
import { describeAsRoot } from "../as-root.ts";
import { build, Churn, countPages, criu } from "./churn.ts";

const MODES = ["splice", "read"];
const SIGKILL = 9;
const TIMEOUT = 900_000;
const SMALL = 256;
const PAGES = 8192;
const WRITTEN = 600;
const predumpPoints = FAULT_POINTS.filter((point) => point.startsWith("pre-dump:"));

/** Pre-dumps into a fresh directory; gives its path. */
async function preDump(churn: Churn, parent: string | undefined, mode = "splice"): Promise<string> {
	const images = churn.makeImages();
	await churn.mustCriu(...churn.arguments("pre-dump", images, parent, "--pre-dump-mode", mode));
	return images;
}

/** Pids in the stage of processes that keep track of writes. */
function listTrackers(churn: Churn): number[] {
	const proc = `/proc/${churn.stage.outerPid}/root/proc`;
	const pids = readdirSync(proc).map(Number).filter(Boolean);
	return pids.filter((pid) => {
		try {
			return readFileSync(`${proc}/${pid}/comm`, "latin1").trim() === "criu-track";
		} catch {
			return false;
		}
	});
}

describeAsRoot("incremental dumps", () => {
	test(
		"copy in ten steps what a random writer wrote and little else, and lose nothing",
		async () => {
			await using churn = await Churn.start(PAGES);
			let last = await preDump(churn, undefined);
			expect(countPages(last)).toBeGreaterThanOrEqual(PAGES);
			for (let step = 1; step < 10; step++) {
				await churn.command("write", WRITTEN);
				last = await preDump(churn, last, MODES[step % 2]);
				const pages = countPages(last);
				expect(pages, `step ${step}`).toBeGreaterThanOrEqual(WRITTEN);
				expect(pages, `step ${step}`).toBeLessThanOrEqual(WRITTEN * 1.1);
				churn.checkImages(last);
			}
			await churn.command("write", WRITTEN);
			await churn.cycle(last);
			await churn.expectIntact("after the chain");
		},
		TIMEOUT,
	);

	test(
		"follow a tree that grows, shrinks, moves memory, makes and ends threads and children",
		async () => {
			await using churn = await Churn.start(1024);
			let last: string | undefined;
			for (let step = 0; step < 18; step++) {
				last = await preDump(churn, last, MODES[step % 2]);
				churn.checkImages(last);
				await churn.command("churn", 50);
				if (step % 6 !== 5) continue;
				await churn.cycle(last);
				await churn.expectIntact(`after step ${step}`);
				last = undefined;
			}
			expect(listTrackers(churn)).toEqual([]);
		},
		TIMEOUT,
	);

	test(
		"note what a program without any privilege writes",
		async () => {
			await using churn = await Churn.start(SMALL);
			await churn.command("be nobody");
			const first = await preDump(churn, undefined);
			await churn.command("write", 10);
			const last = await preDump(churn, first);
			expect(countPages(last)).toBeLessThan(SMALL / 2);
			churn.checkImages(last);
			await churn.cycle(last);
			await churn.expectIntact("after the chain");
		},
		TIMEOUT,
	);

	for (const action of ["kill", "error"])
		test(
			`go on, with nothing wrong, when a pre-dump meets ${action} at any point`,
			async () => {
				await using churn = await Churn.start(SMALL);
				for (const point of predumpPoints) {
					const first = await preDump(churn, undefined);
					await churn.command("write", 20);
					const failed = churn.makeImages();
					const { ending, output } = await churn.criu(churn.arguments("pre-dump", failed, first), `${point}:${action}`);
					expect(ending).toEqual(action === "kill" ? { how: "signal", code: SIGKILL } : { how: "exit", code: 1 });
					if (action === "error") expect(output).toContain(`error: fault injected at ${point}`);
					await churn.expectIntact(`${action} at ${point}`);
					await churn.command("write", 20);
					// On the images of before, and on those of the failed one, whatever is there of them.
					for (const parent of [first, failed]) {
						const next = await preDump(churn, parent, "read");
						churn.checkImages(next);
						await churn.command("write", 20);
						const third = await preDump(churn, next);
						churn.checkImages(third);
						expect(countPages(third)).toBeLessThan(SMALL);
					}
					expect(listTrackers(churn).length).toBe(1);
				}
				const parent = await preDump(churn, undefined);
				await churn.command("write", 20);
				await churn.cycle(parent);
				await churn.expectIntact("after all");
			},
			TIMEOUT,
		);

	test(
		"are full ones when the process that keeps track was killed, or belongs to another chain",
		async () => {
			await using churn = await Churn.start(SMALL);
			const first = await preDump(churn, undefined);
			await churn.command("write", 20);
			const second = await preDump(churn, first);
			expect(countPages(second)).toBeLessThan(SMALL);
			const [tracker = 0, ...others] = listTrackers(churn);
			expect(others).toEqual([]);
			await churn.stage.kill(tracker, SIGKILL);
			await churn.command("write", 20);
			await churn.expectIntact("the tracker was killed");
			const third = churn.makeImages();
			const output = await churn.mustCriu(...churn.arguments("pre-dump", third, second));
			expect(output).toContain("nothing is known any more of writes since the images of --prev-images-dir");
			expect(countPages(third)).toBeGreaterThanOrEqual(SMALL);
			churn.checkImages(third);
			// The chain of the first is over, since the second began anew.
			await churn.command("write", 20);
			const fourth = await preDump(churn, first);
			expect(countPages(fourth)).toBeGreaterThanOrEqual(SMALL);
			churn.checkImages(fourth);
			await churn.command("write", 20);
			const images = churn.makeImages();
			await churn.mustCriu(...churn.arguments("dump", images, fourth, "-R", "--track-mem"));
			churn.checkImages(images);
			await churn.command("write", 20);
			await churn.cycle(images, "--auto-dedup");
			await churn.expectIntact(`after ${basename(images)}`);
		},
		TIMEOUT,
	);

	test.each([["with"], ["without"]])(
		"miss nothing when somebody else clears soft-dirty bits of a program %s read-only memory",
		async (what) => {
			await using churn = await Churn.start(SMALL, what === "without");
			let last = await preDump(churn, undefined);
			await churn.command("write", 20);
			last = await preDump(churn, last);
			expect(countPages(last)).toBeLessThan(SMALL);
			for (let step = 0; step < 2; step++) {
				await churn.command("write", 20);
				writeFileSync(`${churn.stage.procPath(churn.pid)}/clear_refs`, "4");
				last = await preDump(churn, last);
				churn.checkImages(last);
			}
			await churn.command("write", 20);
			await churn.cycle(last);
			await churn.expectIntact("the chain");
		},
		TIMEOUT,
	);

	test("note what a process writes whose first thread has ended", async () => {
		const dir = mkdtempSync(join(tmpdir(), "criu-no-leader-"));
		const child = Bun.spawn(["setsid", await build("no-leader")], { stdio: ["pipe", "pipe", "inherit"] });
		try {
			const output = child.stdout.getReader();
			let text = "";
			const awaitText = async (wanted: string) => {
				while (!text.endsWith(wanted)) {
					const { value, done } = await output.read();
					if (done) throw new Error(`the program has ended after ${text}`);
					text += new TextDecoder().decode(value);
				}
			};
			const preDumpTo = (name: string, ...more: string[]) => {
				mkdirSync(join(dir, name));
				const { exitCode, stderr } = Bun.spawnSync([
					criu,
					"pre-dump",
					"-t",
					`${child.pid}`,
					"-D",
					join(dir, name),
					...more,
				]);
				expect({ exitCode, stderr: exitCode === 0 ? "" : stderr.toString() }).toEqual({ exitCode: 0, stderr: "" });
				return countPages(join(dir, name));
			};
			await awaitText("ready\n");
			expect(preDumpTo("1")).toBeGreaterThanOrEqual(1024);
			child.stdin.write("x");
			child.stdin.flush();
			await awaitText("written\n");
			const pages = preDumpTo("2", "--prev-images-dir", "../1");
			expect(pages).toBeGreaterThan(0);
			expect(pages).toBeLessThan(512);
			child.stdin.end();
			await awaitText("intact\n");
			expect(await child.exited).toBe(0);
		} finally {
			child.kill("SIGKILL");
			rmSync(dir, { recursive: true, force: true });
		}
	}, 120_000);
});
