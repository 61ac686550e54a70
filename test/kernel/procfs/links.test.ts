// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, rmSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { KernelError } from "../../../src/errors.ts";
import { O_RDONLY, O_RDWR, O_WRONLY } from "../../../src/kernel/abi/fcntl.ts";
import { NAMESPACE_NAMES } from "../../../src/kernel/abi/namespaces.ts";
import { S_IFMT, S_IFREG } from "../../../src/kernel/abi/stat.ts";
import * as links from "../../../src/kernel/procfs/links.ts";
import { readMaps } from "../../../src/kernel/procfs/maps.ts";
import { bytes, Child, expectParseError, text } from "./samples.ts";

describe("links", () => {
	test("paths come as raw bytes, also of deleted files with odd names", () => {
		const dir = mkdtempSync("/tmp/procfs-links-");
		try {
			const name = Buffer.concat([Buffer.from(`${dir}/\n`), Buffer.from([0xff, 0xfe]), Buffer.from(" (deleted)")]);
			writeFileSync(name, "content");
			const fd = openSync(name, "r");
			try {
				const before = links.readFdLink("self", fd);
				expect(Buffer.compare(Buffer.from(before), name)).toBe(0);
				unlinkSync(name);
				expect(Buffer.from(links.readFdLink("self", fd)).subarray(-20).toString("latin1")).toBe(" (deleted) (deleted)");
				const st = links.statFd("self", fd);
				expect([st.nlink, st.size, st.mode & S_IFMT]).toEqual([0n, 7n, S_IFREG]);
			} finally {
				closeSync(fd);
			}
		} finally {
			rmSync(dir, { recursive: true });
		}
	});

	test.each([
		["r", O_RDONLY],
		["w", O_WRONLY],
		["w+", O_RDWR],
	])("a link's mode tells how the file was opened: %s", (how, wanted) => {
		const dir = mkdtempSync("/tmp/procfs-links-");
		try {
			writeFileSync(`${dir}/f`, "");
			const fd = openSync(`${dir}/f`, how);
			expect(links.readLinkAccess(links.fdLinkPath("self", fd))).toBe(wanted);
			closeSync(fd);
		} finally {
			rmSync(dir, { recursive: true });
		}
	});

	test("exe, cwd and root of a child", async () => {
		await using child = await Child.start("cd /tmp; echo ready; read line");
		expect(text(links.readMagicLink(child.pid, "cwd"))).toBe("/tmp");
		expect(text(links.readMagicLink(child.pid, "root"))).toBe("/");
		expect(links.statMagicLink(child.pid, "exe").ino).toBe(statSync("/bin/sh", { bigint: true }).ino);
		expect(text(links.readFdLink(child.pid, 0))).toMatch(/^(socket|pipe):\[\d+\]$/);
	});

	test("namespaces have inodes", () => {
		for (const name of NAMESPACE_NAMES) expect(links.readNamespace("self", name)).toBeGreaterThan(0n);
		expect(links.parseNamespaceLink(bytes("net:[4026531840]"))).toBe(4026531840n);
		for (const bad of ["net:[]", "/path", "net:[1] (deleted)"])
			expectParseError(() => links.parseNamespaceLink(bytes(bad), "/proc/1/ns/net"), "/proc/1/ns/net");
	});

	test("map_files agrees with maps", async () => {
		await using child = await Child.start("echo ready; read line");
		const listed = links.listMapFiles(child.pid);
		const mapped = readMaps(child.pid).filter((vma) => vma.ino !== 0n);
		expect(listed.map((range) => range.start)).toEqual(mapped.map((vma) => vma.start));
		const [first] = mapped;
		if (first === undefined) throw new Error("nothing mapped");
		const path = links.mapFilePath(child.pid, first.start, first.end);
		expect(text(links.readLink(path))).toBe(text(first.name));
		expect(links.statLink(path).ino).toBe(first.ino);
	});

	test("a missing link is a KernelError that names it", () => {
		for (const act of [links.readLink, links.statLink, links.readLinkAccess]) {
			let thrown: unknown;
			try {
				act("/proc/self/fd/99999");
			} catch (error) {
				thrown = error;
			}
			expect(thrown).toBeInstanceOf(KernelError);
			expect(thrown).toMatchObject({ code: "ENOENT", errno: 2 });
			expect((thrown as KernelError).message).toContain("/proc/self/fd/99999");
		}
	});
});
