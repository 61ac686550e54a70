// SPDX-License-Identifier: LGPL-2.1-only
// How a failed call is told to the program.

/** A call that criu has refused or couldn't carry out. The message names object, reason and remedy. */
export class CriuCallError extends Error {
	override readonly name = "CriuCallError";

	constructor(
		message: string,
		/** Stable: `NO_SUCH_PID`, `BLOCKED`, `HOOK_FAILED`, …; see `criu help CODE`. Undefined when criu told none. */
		readonly code: string | undefined,
		/** The number that CRIU's protocol has, such as 3 (ESRCH): no such process. */
		readonly errno: number | undefined,
	) {
		super(message);
	}
}

/** Makes the error from cr_errmsg, a line of the log: `Error (file:line): text; remedy: text [CODE]`. */
export function errorOf(crErrmsg: string, crErrno: number, what: string): CriuCallError {
	const [, message = "", code] = /^(?:Error \([^)]*\): )?(.*?)(?: \[([A-Z][A-Z0-9_]*)\])?\s*$/s.exec(crErrmsg) ?? [];
	const text = message === "" ? `criu could not carry out the ${what} and didn't say why` : message;
	return new CriuCallError(text, code, crErrno === 0 ? undefined : crErrno);
}
