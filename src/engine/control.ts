// SPDX-License-Identifier: GPL-2.0-only
// How a caller takes part in a dump or restore while it runs: hooks that may stop it, and a question that ends it early.

import { CriuError, type CriuErrorOptions } from "../errors.ts";
import type { InTheWay } from "./own-threads.ts";

/** The steps at which others are asked or told, in CRIU's words. */
export type HookName =
	| "pre-stream"
	| "pre-dump"
	| "network-lock"
	| "query-ext-files"
	| "post-dump"
	| "network-unlock"
	| "pre-restore"
	| "setup-namespaces"
	| "post-setup-namespaces"
	| "orphan-pts-master"
	| "post-restore"
	| "pre-resume"
	| "post-resume"
	| "status-ready";

/** What a hook gets to know. */
export interface HookFacts {
	/** The root task as criu sees it; undefined until it's there. */
	readonly rootPid?: number | undefined;
	/** Our descriptor of the images directory. */
	readonly imagesFd?: number | undefined;
	/** A descriptor that is handed over, which stays ours. */
	readonly fd?: number | undefined;
}

/** A hook said no, or couldn't be asked. */
export class HookError extends CriuError {
	constructor(
		readonly hook: HookName,
		message: string,
		options: CriuErrorOptions = {},
	) {
		super("HOOK_FAILED", message, { remedy: "see what the script or the client says about it", ...options });
	}
}

/** A run that was ended by its caller. */
export class CancelledError extends CriuError {
	constructor(message: string) {
		super("CANCELLED", message, { remedy: "nothing to do: everything is as it was before" });
	}
}

/** A caller's hand in a run. */
export interface RunControl {
	/** Whether somebody is to be asked at hooks: a tree that lives on has to stand still until they were. */
	readonly hasHooks: boolean;
	/** Asks at a hook; at `query-ext-files` gives further external resources. @throws HookError */
	runHook(name: HookName, facts: HookFacts): readonly string[];
	/** Called where a run can be ended without a trace. @throws CancelledError */
	check(): void;
	/** Called before anything is made, with threads of ours that are in the way of the tree. Needn't return. */
	clearTheWay?(inTheWay: InTheWay): void;
}

/** Nobody asks anything. */
export const FREE_RUN: RunControl = { hasHooks: false, runHook: () => [], check: () => {} };
