// SPDX-License-Identifier: GPL-2.0-only
// --freeze-cgroup with both versions of cgroups: the tree is frozen and goes on, one that was found frozen stays so, and
// nothing stays frozen that wasn't, whatever becomes of the dump.

import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { makeRandom } from "../images/random-message.ts";
import { stateOf } from "../matrix/snapshot.ts";
import { limitJobs } from "../matrix.ts";
import { CROWDS, type CriuRun, Victim, type VictimKind } from "./victim.ts";

const ROUNDS = Number(process.env["CRIU_FREEZE_ROUNDS"] ?? 4);
const SIGCONT = 18;
const inTurn = limitJobs(2);
const isRoot = process.getuid?.() === 0;
const seed = Number(process.env["CRIU_SEED"] ?? Date.now() % 1_000_000);
const done: CriuRun = { ending: { how: "exit", code: 0 }, output: "" };
const [, , tree] = CROWDS as readonly [VictimKind, VictimKind, VictimKind];
const sleeper: VictimKind = { name: "blocked in nanosleep", mode: "nanosleep" };

const V1 = { name: "v1", root: "/sys/fs/cgroup/freezer", file: "freezer.state", freeze: "FROZEN", thaw: "THAWED" };
const V2 = { name: "v2", file: "cgroup.freeze", freeze: "1", thaw: "0" };
const v2Root = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].find((dir) => existsSync(join(dir, "cgroup.controllers")));
const VERSIONS = [V1, { ...V2, root: v2Root ?? "none" }].map((version) => ({
	...version,
	missing: existsSync(version.root) ? "" : ` (skipped: cgroup ${version.name} isn't mounted)`,
}));
type Version = (typeof VERSIONS)[number];

let made = 0;

/** A cgroup with a victim in it. */
class Group {
	readonly path: string;

	private constructor(
		private readonly version: Version,
		private readonly victim: Victim,
	) {
		this.path = join(version.root, `criu-test-${process.pid}-${made++}`);
		mkdirSync(this.path);
	}

	/** Takes all processes of the victim in. */
	static async of(version: Version, victim: Victim): Promise<Group> {
		const group = new Group(version, victim);
		for (const pid of victim.pids) await group.sh(`echo ${pid} > ${group.path}/cgroup.procs`);
		return group;
	}

	async sh(script: string): Promise<void> {
		const ending = await this.victim.stage.run("/dev/null", this.victim.dir, ["sh", "-c", script]);
		expect(ending).toEqual({ how: "exit", code: 0 });
	}

	async freeze(): Promise<void> {
		await this.sh(`echo ${this.version.freeze} > ${this.path}/${this.version.file}`);
		await this.until(true);
	}

	thaw(): Promise<void> {
		return this.sh(`echo ${this.version.thaw} > ${this.path}/${this.version.file}`);
	}

	get isFrozen(): boolean {
		if (this.version.file === V1.file) return readFileSync(join(this.path, V1.file), "latin1").trim() === V1.freeze;
		return readFileSync(join(this.path, "cgroup.events"), "latin1").includes("frozen 1");
	}

	/** Somebody wants it frozen; some tasks may run still. */
	private get isAsked(): boolean {
		const file = this.version.file === V1.file ? "freezer.self_freezing" : V2.file;
		return readFileSync(join(this.path, file), "latin1").trim() === "1";
	}

	/** Waits until all tasks are frozen, or none is and nobody has asked for it. The guard of a killed criu has the last word. */
	async until(frozen: boolean): Promise<void> {
		await this.victim.untilAlone();
		const settled = () => this.isFrozen === frozen && this.isAsked === frozen;
		for (const end = performance.now() + 60_000; !settled() && performance.now() < end; ) await Bun.sleep(1);
		expect({ asked: this.isAsked, frozen: this.isFrozen }).toEqual({ asked: frozen, frozen });
	}

	dump(images: string, ...options: string[]): Promise<CriuRun> {
		return this.victim.criu(["dump", "-t", String(this.victim.pid), "--freeze-cgroup", this.path, ...options], images);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.thaw().catch(() => undefined);
		await this.victim[Symbol.asyncDispose]();
		for (let tries = 0; ; tries++) {
			try {
				rmdirSync(this.path);
				return;
			} catch (error) {
				if (tries > 200) throw error;
				await Bun.sleep(10);
			}
		}
	}
}

for (const version of VERSIONS)
	describe.skipIf(!isRoot || version.missing !== "")(`a freezer of cgroup ${version.name}${version.missing}`, () => {
		const check = (what: string, kind: VictimKind, run: (group: Group, victim: Victim) => Promise<void>) =>
			test.concurrent(
				what,
				() =>
					inTurn(async () => {
						const victim = await Victim.start(kind);
						await using group = await Group.of(version, victim);
						await run(group, victim);
					}),
				600_000,
			);

		check("freezes a tree, lets it go on, and a dump of it is whole", tree, async (group, victim) => {
			for (let i = 0; i < 3; i++) {
				expect(await group.dump(victim.makeImages(), "-R")).toEqual(done);
				await group.until(false);
				await victim.expectUnharmed(`dump ${i}`);
			}
			const images = victim.makeImages();
			expect(await group.dump(images)).toEqual(done);
			await victim.stage.died(victim.pid);
			expect(await victim.criu(["restore", "-d"], images)).toEqual(done);
			await victim.expectProgress("restore");
		});

		check("leaves a tree frozen that was", sleeper, async (group, victim) => {
			await group.freeze();
			const refused = await victim.criu(["dump", "-t", String(victim.pid), "-R"], victim.makeImages());
			expect(refused.output).toContain(`is frozen by the cgroup ${group.path}`);
			const before = victim.score().progress;
			const images = victim.makeImages();
			expect(await group.dump(images, "-R")).toEqual(done);
			await group.until(true);
			expect(victim.score().progress).toBeLessThan(before + 2);
			await group.thaw();
			await victim.expectUnharmed("a dump of a frozen tree");
			expect(victim.score().eintr).toBe(0);
		});

		check("leaves a tree stopped where that was asked for", tree, async (group, victim) => {
			expect(await group.dump(victim.makeImages(), "-s")).toEqual(done);
			await group.until(false);
			expect(stateOf(victim.procPath)).toBe("T");
			for (const pid of victim.pids) await victim.stage.kill(pid, SIGCONT);
			await victim.expectProgress("SIGCONT");
		});

		check("is as before when criu is killed at any instant", tree, async (group, victim) => {
			const random = makeRandom(seed);
			for (let round = 0; round < ROUNDS * 2; round++) {
				const argv = [`--freeze-cgroup`, group.path];
				const ms = ((random() / 2 ** 32) * 120).toFixed(3);
				await group.sh(
					`timeout -s KILL ${Number(ms) / 1000} ${process.env["CRIU_BIN"] ?? join(import.meta.dir, "../../dist/criu")} ` +
						`dump -t ${victim.pid} -R -D ${victim.makeImages()} ${argv.join(" ")} || true`,
				);
				await group.until(false);
				await victim.expectUnharmed(`a kill after ${ms} ms`);
			}
		});

		for (const fault of ["freeze:asked", "freeze:frozen", "freeze:thawed"])
			check(`is as before when criu is killed at ${fault}`, sleeper, async (group, victim) => {
				const options = ["dump", "-t", String(victim.pid), "-R", "--freeze-cgroup", group.path];
				const killed = await victim.criu(options, victim.makeImages(), `${fault}:kill`);
				expect(killed.ending.how).toBe("signal");
				await group.until(false);
				await victim.expectUnharmed(fault);
				await group.freeze();
				await victim.criu(options, victim.makeImages(), `${fault}:kill`);
				await group.until(true);
				await group.thaw();
				await victim.expectUnharmed(`${fault}, frozen before`);
			});

		// As timeout(1) and shells do it.
		check("is as before when criu is killed with its process group", sleeper, async (group, victim) => {
			for (const fault of ["freeze:asked", "freeze:frozen"]) {
				const images = victim.makeImages();
				const binary = process.env["CRIU_BIN"] ?? join(import.meta.dir, "../../dist/criu");
				const words = `dump -t ${victim.pid} -R -D ${images} -o ${images}.log --freeze-cgroup ${group.path}`;
				await group.sh(`setsid -w env CR_FAULT=${fault}:kill-group ${binary} ${words} 2>/dev/null || true`);
				expect(existsSync(join(images, "inventory.img"))).toBe(false);
				await group.until(false);
				await victim.expectUnharmed(`kill of the group at ${fault}`);
			}
		});

		check("that isn't one is refused", sleeper, async (group, victim) => {
			const run = await victim.criu(["dump", "-t", String(victim.pid), "--freeze-cgroup", "/tmp"], victim.makeImages());
			expect(run.output).toContain("/tmp has neither freezer.state nor cgroup.freeze");
			await group.sh(
				`echo 0 > ${group.path}/cgroup.procs; cd ${victim.makeImages()}; ` +
					`${process.env["CRIU_BIN"] ?? join(import.meta.dir, "../../dist/criu")} dump -t ${victim.pid} --freeze-cgroup ${group.path} ` +
					`2>&1 | grep -q 'criu is in the cgroup'`,
			);
		});
	});
