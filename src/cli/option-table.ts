// SPDX-License-Identifier: GPL-2.0-only
// The one table of options: parsing, help, man page and configuration files come from it. Its parts are in options-*.ts.

import type { OptionSpelling } from "./getopt.ts";
import type { OptionSpec } from "./option-spec.ts";
import { behaviourOptions } from "./options-behaviour.ts";
import { checkOptions, genericOptions, inspectOptions } from "./options-generic.ts";
import { cgroupOptions, memoryOptions, resourceOptions } from "./options-resources.ts";

export const optionTable: readonly OptionSpec[] = [
	...genericOptions,
	...behaviourOptions,
	...resourceOptions,
	...cgroupOptions,
	...memoryOptions,
	...checkOptions,
	...inspectOptions,
];

export interface OptionTarget {
	spec: OptionSpec;
	/** False for the `--no-` form. */
	on: boolean;
}

/** All spellings for getopt: each option, and its `no-` form where it has one. */
export function optionSpellings(): OptionSpelling<OptionTarget>[] {
	return optionTable.flatMap((spec) => {
		const plain = { name: spec.name, short: spec.short, arg: spec.arg, weak: spec.ours, target: { spec, on: true } };
		if (spec.negatable !== true) return [plain];
		return [plain, { name: `no-${spec.name}`, arg: spec.arg, weak: spec.ours, target: { spec, on: false } }];
	});
}
