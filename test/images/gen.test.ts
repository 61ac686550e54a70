// SPDX-License-Identifier: GPL-2.0-only
// The committed generated code is what the .proto files give, and its types fit its tables.

import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { showOptionsOf } from "../../src/images/index.ts";
import { ALL_FILES, ALL_MESSAGES } from "./all-schemas.ts";

const ROOT = join(import.meta.dir, "../..");
const GEN_DIR = join(ROOT, "src/images/gen");

function readAll(dir: string): Record<string, string> {
	const names = readdirSync(dir).sort();
	return Object.fromEntries(names.map((name) => [name, readFileSync(join(dir, name), "utf8")]));
}

/** Property names of the type of a message, as generated. */
function propertiesOf(code: string, typeName: string): string[] {
	const body = new RegExp(`^export type ${typeName} = Message<"${typeName}"> & \\{\\n(.*?)^\\};`, "ms").exec(code)?.[1];
	return [...(body ?? "").matchAll(/^ {2}(\w+)\??:/gm)].map((match) => match[1] ?? "");
}

describe("generated code", () => {
	test("is up to date with the .proto files", () => {
		const made = mkdtempSync(join(tmpdir(), "criu-gen-"));
		try {
			const result = spawnSync(process.execPath, [join(ROOT, "scripts/gen-proto.ts"), made], { encoding: "utf8" });
			expect(result.stderr).toBe("");
			expect(result.status).toBe(0);
			expect(readAll(made)).toEqual(readAll(GEN_DIR));
		} finally {
			rmSync(made, { recursive: true, force: true });
		}
	});

	test("does not load descriptor.proto, which costs every start ten milliseconds", async () => {
		const built = await Bun.build({
			entrypoints: [join(ROOT, "src/images/index.ts"), join(GEN_DIR, "rpc_pb.ts")],
			target: "bun",
		});
		const code = await Promise.all(built.outputs.map((output) => output.text()));
		expect(code.join("")).toContain("criu_opts");
		expect(code.join("")).not.toContain("FileDescriptorProto");
	});

	test("has types whose properties are the fields of the tables", () => {
		const code = Object.values(readAll(GEN_DIR)).join("\n");
		for (const desc of ALL_MESSAGES) {
			const fields = desc.fields.map((field) => field.localName);
			expect(propertiesOf(code, desc.typeName)).toEqual(fields);
		}
	});

	test("has every type that a field names", () => {
		for (const field of ALL_MESSAGES.flatMap((desc) => desc.fields)) {
			if (field.enum !== undefined) expect(field.enum.values.length).toBeGreaterThan(0);
			if (field.message !== undefined) expect(ALL_MESSAGES).toContain(field.message);
		}
		expect(ALL_FILES.flatMap((file) => file.enums)).toHaveLength(19);
	});

	test("knows how crit shows a field", () => {
		const show = (type: string, name: string) => {
			const field = ALL_MESSAGES.find((desc) => desc.typeName === type)?.field[name];
			return field === undefined ? undefined : showOptionsOf(field);
		};
		expect(show("vma_entry", "prot")).toEqual({ flags: "mmap.prot" });
		expect(show("reg_file_entry", "name")).toEqual({ text: true });
		expect(show("ghost_file_entry", "rdev")).toEqual({ dev: true, odev: true });
		expect(show("unix_sk_entry", "name")).toEqual({ conv: "unix_name" });
		expect(show("pstree_entry", "pid")).toEqual({});
	});
});
