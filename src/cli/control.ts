// SPDX-License-Identifier: GPL-2.0-only
// The user's hand in a run from the command line: action scripts, and the signals that end it.

import { runActionScripts } from "../engine/action-scripts.ts";
import { CancelledError, type RunControl } from "../engine/control.ts";
import type { Options } from "../options.ts";
import { endSignalWatch, findStopSignal, watchStopSignals } from "../sys/stop-signals.ts";

/** From here on SIGINT, SIGTERM and SIGHUP roll the run back at the next safe point, until `end`. */
export function commandControl(options: Options): RunControl & { end(): void } {
	watchStopSignals();
	const { actionScripts } = options;
	return {
		hasHooks: actionScripts.length > 0,
		runHook(name, facts) {
			runActionScripts(actionScripts, name, facts);
			return [];
		},
		check() {
			const signal = findStopSignal();
			if (signal !== undefined) throw new CancelledError(`ended by ${signal}`);
		},
		end: endSignalWatch,
	};
}
