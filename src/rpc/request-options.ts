// SPDX-License-Identifier: GPL-2.0-only
// From the fields of a request to options, by the lines of the command line's table: one meaning, one list of refusals.

import { applyConfigFile, type CommandLine } from "../cli/command-line.ts";
import type { OptionSpec, OptionUse } from "../cli/option-spec.ts";
import { optionTable } from "../cli/option-table.ts";
import { requestText } from "../cli/request-values.ts";
import { UsageError } from "../errors.ts";
import { type criu_opts, criu_optsSchema } from "../images/gen/rpc_pb.ts";

/** What a request says of directories, log and descriptors is no text to be parsed: the worker looks at these itself. */
const OF_THE_WORKER: ReadonlySet<string> = new Set([
	"images-dir",
	"work-dir",
	"log-file",
	"config",
	"status-fd",
	"exec-cmd",
	"unprivileged",
]);

/** What a request may not ask of the service, since it's about descriptors and parents of a worker of one's own. */
const SWRK_ONLY: ReadonlySet<string> = new Set(["rst_sibling", "inherit_fd"]);

type Value = boolean | number | string | Uint8Array;

/** Fields by their names in the message. */
let localNames: ReadonlyMap<string, string> | undefined;

function readField(opts: criu_opts, name: string): Value[] {
	localNames ??= new Map(criu_optsSchema.fields.map((field) => [field.name, field.localName]));
	const key = localNames.get(name) ?? name;
	if (!Object.hasOwn(opts, key)) return [];
	const value = (opts as unknown as Record<string, Value | Value[]>)[key];
	return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

/** The uses of one line of the table that a request asks for. */
function listUses(spec: OptionSpec, opts: criu_opts, command: string): OptionUse[] {
	if (spec.rpc === undefined || OF_THE_WORKER.has(spec.name)) return [];
	const base = { name: `--${spec.name}`, command, source: "request" } as const;
	if (spec.fromRequest !== undefined) return spec.fromRequest(opts).map((value) => ({ ...base, value, on: true }));
	return readField(opts, spec.rpc).flatMap((value): OptionUse[] => {
		if (typeof value !== "boolean")
			return [{ ...base, value: value instanceof Uint8Array ? requestText(value) : String(value), on: true }];
		// What has no opposite can't be switched off, and by default is off.
		return value || spec.negatable === true ? [{ ...base, value: undefined, on: value }] : [];
	});
}

/** Applies what a request says, and then its file of options, which has the last word. @throws UsageError */
export function applyRequest(line: CommandLine, opts: criu_opts): void {
	for (const spec of optionTable) {
		for (const use of listUses(spec, opts, line.command ?? "")) {
			spec.apply(line.options, use);
			line.seen.push({ spec, use });
		}
	}
	const { options } = line;
	options.unprivileged ||= opts.unprivileged;
	if (opts.configFile.length > 0) applyConfigFile(requestText(opts.configFile), line);
	if (line.answer !== undefined) {
		throw new UsageError("BAD_OPTION", `--${line.answer} can't be in the options of a request`, {
			remedy: "take it out of the configuration file",
		});
	}
}

/** Refuses what only one's own worker can do. @throws UsageError SWRK_ONLY */
export function refuseSwrkOptions(opts: criu_opts): void {
	const asked = [...SWRK_ONLY].filter((name) => readField(opts, name).some((value) => value !== false));
	if (opts.ps !== undefined && Object.hasOwn(opts.ps, "fd")) asked.push("ps.fd");
	if (asked.length === 0) return;
	throw new UsageError("SWRK_ONLY", `${asked.join(", ")} can't be used through the service`, {
		remedy: "start a worker of your own (criu swrk FD), which has your descriptors and is your child",
	});
}
