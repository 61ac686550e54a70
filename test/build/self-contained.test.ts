// SPDX-License-Identifier: GPL-2.0-only
// dist/criu runs where there is no glibc, and uses the host's own where there is one: in roots of all sorts it checks the
// host, dumps a program and brings it back.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { runTool } from "../../scripts/build/c-parts.ts";
import { ElfImage } from "../../scripts/build/elf.ts";
import { layOutLoader, readGlibc } from "../../scripts/build/pack.ts";

const CRIU = process.env["CRIU_BIN"] ?? join(import.meta.dir, "../../dist/criu");
const LOADER = "/lib64/ld-linux-x86-64.so.2";
const MUSL = "/lib/ld-musl-x86_64.so.1";
const dir = mkdtempSync(join(tmpdir(), "criu-roots-"));
const source = join(dir, "counter.c");

/** Says by growing its file that it runs. */
const COUNTER = `
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
int main(void)
{
	int fd = open("/count", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	for (setsid();; poll(0, 0, 10))
		if (write(fd, "x", 1) != 1)
			return 1;
}`;

/** In a mount namespace of its own: the root gets /proc, /dev and criu, and is entered. */
const ROUND = `
set -e
mount -t proc proc $ROOT/proc
mount --rbind /dev $ROOT/dev
mount --bind $CRIU $ROOT/criu
grows() {
	old=$(wc -c <$ROOT/count)
	for i in $(seq 1000); do
		[ $(wc -c <$ROOT/count) -gt $old ] && return
		sleep 0.02
	done
	echo "the counter stands still" >&2
	exit 1
}
in_root() { env -i /usr/sbin/chroot $ROOT "$@"; }
in_root /criu check --version
in_root /criu check
/usr/sbin/chroot $ROOT /counter </dev/null >/dev/null 2>&1 &
pid=$!
for i in $(seq 1000); do [ -s $ROOT/count ] && break; sleep 0.02; done
in_root /criu dump -t $pid -D /img -o dump.log
! wait $pid
in_root /criu restore -d -D /img -o restore.log
grows
in_root /criu check --version >/dev/null
kill -9 $pid
`;

interface Root {
	name: string;
	/** Fills the root; gives how its program is compiled. */
	fill(root: string): string[];
}

function put(root: string, path: string, content: string | Uint8Array): void {
	mkdirSync(join(root, dirname(path)), { recursive: true });
	writeFileSync(join(root, path), content, { mode: 0o755 });
}

/** The host's loader with its newest versions renamed, as if it were older than what criu needs. */
function oldLoader(): Buffer {
	const loader = readFileSync(LOADER);
	for (let at = loader.indexOf("GLIBC_2.34"); at >= 0; at = loader.indexOf("GLIBC_2.34", at + 1)) {
		loader.write("GLIBC_2.29", at, "latin1");
	}
	return loader;
}

const roots: Root[] = [
	{ name: "an empty root", fill: () => ["gcc", "-static"] },
	{
		name: "a root with musl",
		fill: (root) => {
			cpSync(MUSL, join(root, MUSL), { dereference: true });
			return ["musl-gcc"];
		},
	},
	{
		name: "a root whose loader is musl under glibc's name",
		fill: (root) => {
			put(root, LOADER, readFileSync(MUSL));
			return ["gcc", "-static"];
		},
	},
	{
		name: "a root with a glibc that is too old",
		fill: (root) => {
			put(root, LOADER, oldLoader());
			return ["gcc", "-static"];
		},
	},
	{
		name: "a root whose loader is no loader",
		fill: (root) => {
			put(root, LOADER, "#!/bin/sh\n");
			return ["gcc", "-static"];
		},
	},
	{
		name: "a root with a glibc that is new enough",
		fill: (root) => {
			for (const file of runTool(["ldd", "/bin/sh"]).match(/\/\S+/g) ?? []) {
				mkdirSync(join(root, dirname(file)), { recursive: true });
				cpSync(file, join(root, file), { dereference: true });
			}
			for (const name of ["libm.so.6", "libpthread.so.0", "libdl.so.2"]) {
				put(root, `lib/x86_64-linux-gnu/${name}`, readFileSync(`/lib/x86_64-linux-gnu/${name}`));
			}
			return ["gcc"];
		},
	},
];

beforeAll(() => writeFileSync(source, COUNTER));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("the executable", () => {
	test.each(roots)("checks, dumps and restores in $name", ({ fill }) => {
		const root = mkdtempSync(join(dir, "root-"));
		for (const name of ["proc", "dev", "img"]) mkdirSync(join(root, name));
		writeFileSync(join(root, "criu"), "");
		runTool([...fill(root), "-Wall", "-Werror", "-O1", "-o", join(root, "counter"), source]);
		const run = Bun.spawnSync(["unshare", "-m", "sh", "-c", ROUND], {
			env: { ROOT: root, CRIU, PATH: "/usr/bin:/bin" },
		});
		const told = `${run.stdout}${run.stderr}`;
		expect({ code: run.exitCode, told }).toMatchObject({ code: 0 });
		expect(run.stdout.toString()).toMatch(/^Version: 4\.2\n.*Looks good\.\n$/s);
	});

	test("reads no file beside its own configuration, the C library and what the kernel tells", () => {
		const trace = join(dir, "trace");
		const argv = [
			"strace",
			"-f",
			"-qq",
			"-e",
			"trace=open,openat,openat2,execve,readlink",
			"-o",
			trace,
			CRIU,
			"check",
			"--version",
		];
		const run = Bun.spawnSync(argv, { cwd: dir, env: { HOME: "/home/nobody-at-all", PATH: "/usr/bin:/bin" } });
		expect(run.exitCode).toBe(0);
		const opened = [
			...readFileSync(trace, "utf8").matchAll(/ (?:open|openat|openat2|execve)\((?:AT_FDCWD, )?"([^"]*)"/g),
		];
		const files = [...new Set(opened.map(([, path = ""]) => path))];
		expect(files).toContain("/etc/criu/default.conf");
		expect(files).toContain("/home/nobody-at-all/.criu/default.conf");
		const expected =
			/^\/(?:proc|sys)\/|^\/etc\/(?:ld\.so\.|localtime$|criu\/default\.conf$)|\.criu\/default\.conf$|^\/(?:usr\/)?lib(?:64|\/[^/]+)?\/(?:glibc-hwcaps\/.*|[^/]*)\.so(?:\.\d+)*$/;
		expect(files.filter((path) => path !== CRIU && !expected.test(path))).toEqual([]);
	});

	test("needs no loader of the kernel", () => {
		const headers = runTool(["readelf", "-lW", CRIU]);
		expect(headers).not.toContain("INTERP");
		expect(headers).toMatch(/LOAD .* R E 0x1000/);
	});
});

describe("the packed loader", () => {
	test("has one call redirected, and lies as in memory", () => {
		const file = readFileSync(LOADER);
		const image = layOutLoader(file, 0x1234_5678);
		expect(image.length % 4096).toBe(0);
		expect(image.indexOf(Buffer.from("b878563412ffd0909090909090909090".slice(0, 30), "hex"))).toBeGreaterThan(0);
		for (const { offset, vaddr } of new ElfImage(file).loadSegments()) {
			expect(image.subarray(vaddr, vaddr + 16)).toEqual(file.subarray(offset, offset + 16));
		}
	});

	test("is refused when it opens files in another way", () => {
		const file = readFileSync(LOADER);
		file.fill(0, file.indexOf(Buffer.from("b8010100004889fe", "hex")));
		expect(() => layOutLoader(file, 1)).toThrow("in a way that pack.ts doesn't know");
	});

	test("answers --version before anything is opened or started, and as the runtime does", () => {
		const trace = join(dir, "version-trace");
		const argv = ["strace", "-f", "-qq", "-o", trace, CRIU, "--version"];
		const run = Bun.spawnSync(argv, { env: { PATH: "/usr/bin:/bin" } });
		expect(run.exitCode).toBe(0);
		expect(
			readFileSync(trace, "utf8")
				.match(/ (\w+)\(/g)
				?.map((call) => call.trim()),
		).toEqual(["execve(", "write(", "exit_group("]);
		expect(run.stdout.toString()).toBe(Bun.spawnSync([CRIU, "check", "-V"]).stdout.toString());
		expect(Bun.spawnSync([CRIU, "-V"]).stdout).toEqual(run.stdout);
	});

	test("fails when nobody can have the version", () => {
		const run = Bun.spawnSync(["sh", "-c", '"$1" --version >/dev/full', "sh", CRIU]);
		expect(run.exitCode).toBe(1);
	});

	test("comes with the version that it tells", () => {
		expect(readGlibc().version).toContain("GLIBC 2.");
	});
});
