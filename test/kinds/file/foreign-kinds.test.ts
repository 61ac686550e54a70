// SPDX-License-Identifier: GPL-2.0-only
// Each kind of file that this kernel can make is either kept or refused by name, with reason and remedy.

import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeAsRoot } from "../../as-root.ts";

const criu = process.env["CRIU_BIN"] ?? join(import.meta.dir, "../../../dist/criu");

/** What a refusal says of a kind; undefined for one that is kept. */
const KINDS: Readonly<Record<string, RegExp | undefined>> = {
	"bpf-program": /is a bpf program: .* as it was loaded/,
	"bpf-link": /is a bpf link: what it attaches/,
	"bpf-btf": /is a description of bpf types \(BTF\): /,
	"bpf-stats": /is a request for bpf statistics: /,
	"bpf-map-hash": undefined,
	"bpf-map-ringbuf": /is a bpf map, a ring buffer: /,
	"bpf-map-lru": /is a bpf map, a hash table that forgets \(LRU\): /,
	"bpf-map-percpu": /is a bpf map, an array for each processor: /,
	"bpf-map-trie": /is a bpf map, a tree of prefixes \(LPM\): /,
	"bpf-map-queue": /is a bpf map, a queue: /,
	"bpf-map-programs": /is a bpf map, a table of programs: /,
	"bpf-map-arena": /is a bpf map, an arena: /,
	fsopen: /is a file system context \(fsopen, fspick\): /,
	fspick: /is a file system context \(fsopen, fspick\): /,
	fsmount: /is a mount that is attached nowhere/,
	"fsmount-file": /can't be reached by any path: its mount isn't attached/,
	"open-tree-root": /is a mount that is attached nowhere/,
	"open-tree": /is a mount that is attached nowhere/,
	"open-tree-plain": undefined,
	io_uring: /is an io_uring: /,
	userfaultfd: /is a userfaultfd: /,
	perf: /is a perf event: /,
	landlock: /is a Landlock ruleset: /,
	seccomp: /is a seccomp listener: /,
	secretmem: /is memory of memfd_secret\(2\)/,
	fanotify: undefined,
	kvm: undefined,
	"kvm-vm": /is a KVM object: /,
	"kvm-vcpu": /is a KVM object: /,
	tun: /is a network tunnel: /,
	fuse: /is a connection of a FUSE file system: /,
	"loop-control": undefined,
	autofs: undefined,
	"btrfs-control": undefined,
	cpu_dma_latency: /is a bound of the processors' wake-up time/,
	vga_arbiter: /is a device \(vga_arbiter, character device 10:\d+\): /,
	"vsock-device": undefined,
	"userfaultfd-device": undefined,
	hwrng: undefined,
	cpuid: undefined,
	vcs: /is a screen of a virtual console: /,
	console: undefined,
	serial: undefined,
	loop: undefined,
	ptmx: undefined,
	zram: undefined,
	rtc: /is a device \(rtc, character device \d+:\d+\): /,
	rfkill: /is a switch of radio devices/,
	sound: /is a sound device: /,
	alg: /is a socket of the kernel's cryptography \(AF_ALG\): /,
	vsock: /is a vsock socket/,
	xdp: /is an XDP socket: /,
	mptcp: /is a Multipath TCP socket: /,
	sctp: /is an SCTP socket: /,
};

interface Blocker {
	readonly text: string;
	readonly remedy: string;
}

/** What `criu check` says of each descriptor. */
function parseBlockers(output: string): ReadonlyMap<number, Blocker> {
	const found = new Map<number, Blocker>();
	for (const [, fd, text = "", remedy = ""] of output.matchAll(/: fd (\d+) \((.*)\n *remedy: (.*)/g))
		found.set(Number(fd), { text, remedy });
	return found;
}

describeAsRoot("files of all kinds", () => {
	test("are kept, or refused by what they are", async () => {
		const dir = mkdtempSync(join(tmpdir(), "criu-foreign-"));
		const program = join(dir, "program");
		const source = join(import.meta.dir, "foreign-kinds.c");
		const built = spawnSync("gcc", ["-O1", "-Wall", "-Wextra", "-Werror", "-o", program, source]);
		expect(built.stderr.toString()).toBe("");
		const target = Bun.spawn(["setsid", program, dir], { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
		try {
			const { value } = await target.stdout.getReader().read();
			const lines = Buffer.from(value ?? []).toString();
			expect(lines).toEndWith("end\n");
			const { stdout, stderr } = spawnSync(criu, ["check", "--pid", `${target.pid}`], { encoding: "utf8" });
			const blockers = parseBlockers(stdout + stderr);
			const missing: string[] = [];
			for (const [, name = "", result] of lines.matchAll(/^(\S+) (-?\d+)$/gm)) {
				const fd = Number(result);
				if (fd < 0) {
					missing.push(name);
					continue;
				}
				const blocker = blockers.get(fd);
				const wanted = KINDS[name];
				if (wanted === undefined)
					expect({ name, known: name in KINDS, blocker }).toEqual({ name, known: true, blocker: undefined });
				else
					expect({ name, ...blocker }).toEqual({
						name,
						text: expect.stringMatching(wanted),
						remedy: expect.stringMatching(/\w/),
					});
			}
			console.log(`(this kernel has none of: ${missing.join(", ")})`);
		} finally {
			target.kill("SIGKILL");
			await target.exited;
			rmSync(dir, { recursive: true, force: true });
		}
	}, 60_000);
});
