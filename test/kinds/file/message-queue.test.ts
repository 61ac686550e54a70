// SPDX-License-Identifier: GPL-2.0-only

import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fd_types, file_entrySchema } from "../../../src/images/gen/fdinfo_pb.ts";
import { mqueue_file_entrySchema } from "../../../src/images/gen/file_pb.ts";
import { create } from "../../../src/images/index.ts";
import { emptyFown } from "../../../src/kinds/file/fown.ts";
import { messageQueue } from "../../../src/kinds/file/message-queue.ts";
import { describeAsRoot } from "../../as-root.ts";
import { imageOf } from "../task/fixtures.ts";
import { filePlan, fileRestore, TempDir } from "./fixtures.ts";

const criu = process.env["CRIU_BIN"] ?? join(import.meta.dir, "../../../dist/criu");
const name = `criu-test-${process.pid}-${Date.now()}`;

/** Calls a function of the C library, in another process. */
function python(script: string): string {
	const head = "import ctypes, os, signal\nlibc = ctypes.CDLL('librt.so.1', use_errno=True)\n";
	return spawnSync("python3", ["-c", head + script], { encoding: "utf8" }).stdout.trim();
}

const unlink = () => python(`print(libc.mq_unlink(b'/${name}'))`);

/** Whether a dumped queue comes back when its name has been removed meanwhile. */
async function cycle(messages: number): Promise<{ status: number | null; stderr: string; link: string }> {
	const dir = mkdtempSync(join(tmpdir(), "criu-queue-"));
	const script = [
		"import ctypes, signal, os",
		"libc = ctypes.CDLL('librt.so.1')",
		`fd = libc.mq_open(b'/${name}', os.O_CREAT | os.O_RDWR | os.O_NONBLOCK, 0o600, None)`,
		`[libc.mq_send(fd, b'x', 1, 0) for i in range(${messages})]`,
		"os.write(1, str(fd).encode())",
		"os.dup2(0, 1)",
		"signal.pause()",
	].join("\n");
	const target = Bun.spawn(["setsid", "python3", "-c", script], { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
	const { value } = await target.stdout.getReader().read();
	const fd = Buffer.from(value ?? []).toString();
	try {
		const images = join(dir, "images");
		mkdirSync(images);
		const { status, stderr } = spawnSync(criu, ["dump", "-t", `${target.pid}`, "-D", images], { encoding: "utf8" });
		expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
		await target.exited;
		expect(unlink()).toBe("0");
		const restored = spawnSync(criu, ["restore", "-d", "-D", images], { encoding: "utf8" });
		const link = restored.status === 0 ? readlinkSync(`/proc/${target.pid}/fd/${fd}`) : "";
		if (restored.status === 0) {
			expect(readFileSync(`/proc/${target.pid}/fdinfo/${fd}`, "latin1")).toContain("flags:\t02004002");
			process.kill(target.pid, "SIGKILL");
		}
		return { status: restored.status, stderr: restored.stderr, link };
	} finally {
		target.kill("SIGKILL");
		unlink();
		rmSync(dir, { recursive: true, force: true });
	}
}

describeAsRoot("a message queue that is gone at restore", () => {
	test("is made again when it was empty", async () => {
		expect(await cycle(0)).toEqual({ status: 0, stderr: "", link: `/${name}` });
	}, 60_000);

	test("is refused when messages waited in it", async () => {
		const { status, stderr } = await cycle(2);
		expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining("2 messages waited in it") });
		expect(unlink()).toBe("-1");
	}, 60_000);
});

test.each([
	["a name with a slash", { name: "a/b" }],
	["no name", { name: "" }],
	["the name of a folder", { name: ".." }],
	["no room", { maxmsg: 0n }],
	["messages too long", { msgsize: 1n << 40n }],
	["a mode that no file has", { mode: 0o170000 }],
	["unknown flags", { flags: 0x40000000 }],
])("an image with %s is refused", (_, change) => {
	using dir = new TempDir();
	const { name: text = "queue", ...others } = change as { name?: string };
	const mqueue = create(mqueue_file_entrySchema, {
		...{
			id: 1,
			flags: 2,
			pos: 0n,
			fown: emptyFown(),
			maxmsg: 10n,
			msgsize: 10n,
			curmsgs: 0n,
			mode: 0o600,
			uid: 0,
			gid: 0,
		},
		name: new TextEncoder().encode(text),
		...others,
	});
	const plan = filePlan();
	const entry = create(file_entrySchema, { type: fd_types.POSIX_MQ, id: 1, mqueue });
	const context = fileRestore(dir.images, [entry]);
	expect(() => messageQueue.plan(entry, { program: plan.programs.files, plan, context, image: imageOf(100) })).toThrow(
		expect.objectContaining({ code: "IMAGE_CORRUPT" }),
	);
});
