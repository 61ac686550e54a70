// SPDX-License-Identifier: GPL-2.0-only
// --log-pid: what each process and thread of a restore does to become what it was, in a file of its own beside the log. The new
// processes write nothing themselves, they have no log; it's what they're told to do.

import type { BuiltProcess } from "../agent/built.ts";
import { type Program, whatOf } from "../agent/program.ts";
import { messageOf } from "../errors.ts";
import { LOG_DEBUG, log, logLevel, SideLog } from "../log.ts";
import type { Options } from "../options.ts";

export class TaskLogs {
	/** By pid in the new tree; undefined where the file can't be written. */
	private readonly logs = new Map<number, SideLog | undefined>();

	private constructor(private readonly file: string) {}

	/** Undefined when there's no log file whose name they could have, or nobody wants them. */
	static open({ logPid, logFile }: Options): TaskLogs | undefined {
		return logPid && logFile !== undefined && logFile !== "-" ? new TaskLogs(logFile) : undefined;
	}

	/** Notes what a process begins. */
	readonly note = ({ vpid }: BuiltProcess, { ops }: Program): void => {
		const own = this.logOf(vpid);
		if (logLevel() >= LOG_DEBUG) own?.debug(ops.map(whatOf));
	};

	private logOf(vpid: number): SideLog | undefined {
		if (this.logs.has(vpid)) return this.logs.get(vpid);
		const path = `${this.file}.${vpid}`;
		let made: SideLog | undefined;
		try {
			made = new SideLog(path);
		} catch (error) {
			log.warn(`can't write ${path}: ${messageOf(error)}`);
		}
		this.logs.set(vpid, made);
		return made;
	}

	[Symbol.dispose](): void {
		for (const own of this.logs.values()) own?.[Symbol.dispose]();
	}
}
