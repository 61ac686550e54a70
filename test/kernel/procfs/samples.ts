// SPDX-License-Identifier: GPL-2.0-only
// Helpers of the procfs tests: text to bytes, expected parse errors, children that live as long as a test.

import { expect } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { CriuError } from "../../../src/errors.ts";

/** Latin-1 text as bytes. */
export function bytes(text: string): Uint8Array {
	return Uint8Array.from(Buffer.from(text, "latin1"));
}

/** Bytes as latin-1 text. */
export function text(from: Uint8Array): string {
	return Buffer.from(from).toString("latin1");
}

/** Runs `parse` and expects a CriuError of code PROC_PARSE that names the file. */
export function expectParseError(parse: () => unknown, file: string): void {
	let thrown: unknown;
	try {
		parse();
	} catch (error) {
		thrown = error;
	}
	expect(thrown).toBeInstanceOf(CriuError);
	expect((thrown as CriuError).code).toBe("PROC_PARSE");
	expect((thrown as CriuError).message).toContain(file);
}

/** A shell that prints a line once it's ready and then waits for its stdin to close. */
export class Child {
	readonly process: ChildProcess;
	readonly pid: number;

	private constructor(process: ChildProcess, pid: number) {
		this.process = process;
		this.pid = pid;
	}

	/** Starts `script`, which must print one line when ready and then read a line. */
	static async start(script: string): Promise<Child> {
		const child = spawn("/bin/sh", ["-c", script], { stdio: ["pipe", "pipe", "ignore"], detached: true });
		const { pid } = child;
		if (pid === undefined) throw new Error("the shell did not start");
		await new Promise<void>((resolve, reject) => {
			child.stdout?.once("data", () => resolve());
			child.once("exit", (code) => reject(new Error(`the shell ended with ${code}`)));
		});
		return new Child(child, pid);
	}

	/** Ends the child and waits for it. */
	async [Symbol.asyncDispose](): Promise<void> {
		if (this.process.exitCode !== null || this.process.signalCode !== null) return;
		const gone = new Promise<void>((resolve) => this.process.once("exit", () => resolve()));
		this.process.kill("SIGKILL");
		await gone;
	}
}
