// SPDX-License-Identifier: GPL-2.0-only
// The shape of one line of the option table, the small builders that keep the table readable, and the readers of values.

import { UsageError } from "../errors.ts";
import type { criu_opts } from "../images/gen/rpc_pb.ts";
import type { Options } from "../options.ts";
import type { ArgumentRule } from "./getopt.ts";

/**
 * Commands by letter: D dump, P pre-dump, R restore, C check, S page-server, L lazy-pages, V service (and swrk),
 * U cpuinfo, I inspect; `*` is all.
 */
export type CommandLetters = string;

export type OptionGroup = "generic" | "behaviour" | "resources" | "cgroups" | "memory" | "check" | "inspect";

/** One use of an option, in the order in which they were met. */
export interface OptionUse {
	/** As typed, with its dashes; for messages. */
	name: string;
	/** undefined without an argument. */
	value: string | undefined;
	/** False for the `--no-` form. */
	on: boolean;
	/** The command word, when there is one already. */
	command: string | undefined;
	source: "command line" | "config file" | "request";
}

export interface OptionSpec {
	/** Long name without dashes. */
	readonly name: string;
	readonly short?: string;
	readonly arg: ArgumentRule;
	/** Word for the argument in help texts. */
	readonly metavar?: string;
	/** All values that it takes, where they are few; shells complete them. */
	readonly choices?: readonly string[];
	/** Has a `--no-` form. */
	readonly negatable?: boolean;
	readonly commands: CommandLetters;
	/** Field of `criu_opts` with the same meaning, or the first of several; undefined where requests have none. */
	readonly rpc?: string;
	/**
	 * The uses that a request asks for, as values of the command line's form, where those aren't simply what the field says;
	 * undefined stands for a use without a value.
	 */
	fromRequest?(opts: criu_opts): (string | undefined)[];
	readonly group: OptionGroup;
	readonly help: string;
	/**
	 * `foundation`: this version does what the option says, or the option can have no effect on what this version handles.
	 * `later`: this version refuses it.
	 */
	readonly since: "foundation" | "later";
	/** Of a `later` option: values that are nevertheless fine, since they ask for nothing that is missing. */
	accepts?(value: string | undefined): boolean;
	/** Of a `later` option: true where other options, or the images, leave it without any effect for the command. */
	isMoot?(options: Options, letter: string): boolean;
	/** An addition of ours. */
	readonly ours?: boolean;
	/** Repeats accumulate. */
	readonly list?: boolean;
	apply(options: Options, use: OptionUse): void;
}

type BooleanKey = { [K in keyof Options]-?: Options[K] extends boolean ? K : never }[keyof Options];
type TextKey = { [K in keyof Options]-?: string | undefined extends Options[K] ? K : never }[keyof Options];
type ListKey = { [K in keyof Options]-?: Options[K] extends string[] ? K : never }[keyof Options];

/** What a table line says beside name, key and help; defaults: no short form, generic group, `foundation`. */
export type SpecExtras = Partial<
	Pick<OptionSpec, "short" | "rpc" | "fromRequest" | "since" | "isMoot" | "ours" | "negatable" | "metavar">
> &
	Pick<OptionSpec, "commands" | "group">;

/** An on/off option; has a `--no-` form unless told otherwise. */
export function flag(name: string, key: BooleanKey, help: string, extras: SpecExtras): OptionSpec {
	return {
		name,
		arg: "none",
		negatable: true,
		since: "foundation",
		help,
		...extras,
		apply: (options, use) => {
			options[key] = use.on;
		},
	};
}

/** An option whose argument is kept as given. */
export function text(name: string, key: TextKey, metavar: string, help: string, extras: SpecExtras): OptionSpec {
	return {
		name,
		arg: "required",
		metavar,
		since: "foundation",
		help,
		...extras,
		apply: (options, use) => {
			options[key] = use.value;
		},
	};
}

/** An option that may be repeated; all arguments are kept in order. */
export function list(name: string, key: ListKey, metavar: string, help: string, extras: SpecExtras): OptionSpec {
	return {
		name,
		arg: "required",
		metavar,
		list: true,
		since: "foundation",
		help,
		...extras,
		apply: (options, use) => {
			options[key].push(use.value ?? "");
		},
	};
}

/** The error of a bad value, in CRIU's words; `name` with its dashes. */
export function badArgument(use: OptionUse, remedy: string): UsageError {
	return new UsageError("BAD_ARGUMENT", `invalid argument for ${use.name}: ${use.value ?? ""}`, { remedy });
}

/** A bad word out of a closed set: told together with the usage text. */
export class BadChoiceError extends UsageError {}

/** The value as a decimal integer in [min, max]; throws BAD_ARGUMENT. */
export function readInteger(use: OptionUse, min: number, max: number, what: string): number {
	const value = use.value ?? "";
	const number = /^[+-]?\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
	if (!(number >= min && number <= max)) throw badArgument(use, `give ${what}`);
	return number;
}

/** The leading decimal number of a text, 0 if there is none. Source: atol(3). */
export function leadingNumber(value: string): number {
	return Number(/^\s*([+-]?\d+)/.exec(value)?.[1] ?? 0);
}
