// SPDX-License-Identifier: GPL-2.0-only
// Makes src/images/gen/*_pb.ts from src/images/proto/*.proto: `bun scripts/gen-proto.ts [OUT_DIR]`.
// The result is committed, so that a build needs neither buf nor the plugin; test/images/gen.test.ts makes it again
// and compares. No network: buf and protoc-gen-es come from node_modules. What protoc-gen-es writes is kept but for the
// serialized descriptors: they become the tables of src/images/descriptors.ts, which cost nothing at start.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, base64Decode } from "@bufbuild/protobuf/wire";
import {
	type DescriptorProto,
	type EnumDescriptorProto,
	type FieldDescriptorProto,
	type FieldDescriptorProto_Label,
	FieldDescriptorProto_Type,
	type FieldOptions,
	FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";

const ROOT = join(import.meta.dir, "..");
const PROTO_DIR = join(ROOT, "src/images/proto");
const BIN_DIR = join(ROOT, "node_modules/.bin");
const OPTIONS_FILE = "criu_options";

/** criu_options.proto: numbers of the flags and of the options that carry a name. */
const SHOW_FLAGS: Record<number, string> = { 50001: "hex", 50002: "ipadd", 50003: "dev", 50004: "odev", 50008: "text" };
const SHOW_NAMES: Record<number, string> = { 50005: "flags", 50006: "dict", 50007: "conv" };

function runBuf(outDir: string, homeDir: string): void {
	const plugin = {
		local: [process.execPath, join(BIN_DIR, "protoc-gen-es")],
		out: outDir,
		opt: ["target=ts", "import_extension=ts"],
	};
	const template = JSON.stringify({ version: "v2", plugins: [plugin] });
	const result = spawnSync(join(BIN_DIR, "buf"), ["generate", PROTO_DIR, "--template", template], {
		cwd: homeDir,
		encoding: "utf8",
		env: { ...process.env, HOME: homeDir, BUF_CACHE_DIR: homeDir, BUN_BE_BUN: "1" },
	});
	if (result.status !== 0) {
		console.error(`gen-proto: buf failed: ${result.error?.message ?? result.stderr}`);
		process.exit(1);
	}
}

function describeShow(options: FieldOptions | undefined): string {
	const parts = (options?.$unknown ?? []).flatMap(({ no, data }) => {
		const name = SHOW_NAMES[no];
		if (name !== undefined) return [`${name}=${new BinaryReader(data).string()}`];
		return SHOW_FLAGS[no] === undefined ? [] : [SHOW_FLAGS[no]];
	});
	return parts.join(",");
}

function describeField(field: FieldDescriptorProto): string {
	const label = { 1: "?", 2: "!", 3: "*" }[field.label as FieldDescriptorProto_Label];
	const type = field.typeName.replace(/^\./, "") || FieldDescriptorProto_Type[field.type]?.toLowerCase();
	return [field.name, field.number, label, type, field.defaultValue, describeShow(field.options)]
		.join(":")
		.replace(/:+$/, "");
}

function describeEnum(desc: EnumDescriptorProto): string {
	return desc.value.map((value) => `${value.name}=${value.number}`).join(" ");
}

function describeTable(entries: [string, string][]): string {
	const lines = entries.map(([name, table]) => `    ${JSON.stringify(name)}:\n      ${JSON.stringify(table)},\n`);
	return lines.length === 0 ? "{}" : `{\n${lines.join("")}  }`;
}

/** Enums outside of messages, then those inside, with the path that messages of protoc-gen-es use for each. */
function listEnums(messages: DescriptorProto[], enums: EnumDescriptorProto[]) {
	const outer = enums.map((desc, index) => ({ name: desc.name, path: `${index}`, desc }));
	const inner = messages.flatMap((message, at) =>
		message.enumType.map((desc, index) => ({ name: `${message.name}.${desc.name}`, path: `${at}, ${index}`, desc })),
	);
	return [...outer, ...inner];
}

/** Generated code with the embedded descriptor replaced by its table. */
function rewrite(code: string): string {
	const embedded = /fileDesc\("([A-Za-z0-9+/=]+)"(?:, (\[.*?\]))?\)/.exec(code);
	if (embedded === null) throw new Error("gen-proto: no descriptor found in the generated code");
	const file = fromBinary(FileDescriptorProtoSchema, base64Decode(embedded[1] ?? ""));
	const dependencies = (embedded[2] ?? "[]")
		.slice(1, -1)
		.split(", ")
		.filter((name) => name !== `file_${OPTIONS_FILE}`)
		.join(", ");
	const enums = listEnums(file.messageType, file.enumType);
	const messageTable = describeTable(file.messageType.map((m) => [m.name, m.field.map(describeField).join(" ")]));
	const enumTable = describeTable(enums.map(({ name, desc }) => [name, describeEnum(desc)]));
	return code
		.replace(embedded[0], () => `fileDesc("${file.name}", [${dependencies}], ${messageTable}, ${enumTable})`)
		.replace(/^import { file_criu_options } .*\n/m, "")
		.replace(/^(import {.*(?:fileDesc|messageDesc|enumDesc).*} from )".*";$/m, '$1"../descriptors.ts";')
		.replace(/enumDesc\((\w+), ([\d, ]+)\)/g, (_, name: string, path: string) => {
			return `enumDesc(${name}, ${enums.findIndex((entry) => entry.path === path)})`;
		});
}

/** Writes the generated files to `outDir`, one *_pb.ts a .proto, and removes older ones that have no .proto any more. */
function generate(outDir: string): void {
	const temporary = mkdtempSync(join(tmpdir(), "gen-proto-"));
	try {
		const made = join(temporary, "out");
		mkdirSync(made);
		runBuf(made, temporary);
		if (existsSync(outDir)) {
			for (const name of readdirSync(outDir)) if (name.endsWith("_pb.ts")) rmSync(join(outDir, name));
		}
		mkdirSync(outDir, { recursive: true });
		for (const name of readdirSync(made)) {
			if (name === `${OPTIONS_FILE}_pb.ts`) continue;
			writeFileSync(join(outDir, name), rewrite(readFileSync(join(made, name), "utf8")));
		}
	} finally {
		rmSync(temporary, { recursive: true, force: true });
	}
}

generate(process.argv[2] ?? join(ROOT, "src/images/gen"));
