// SPDX-License-Identifier: GPL-2.0-only
// A criu that others connect to, by a wire that cuts the connection after some MiB, or kills it.

import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Ending } from "../matrix/stage.ts";
import { until } from "../until.ts";
import { type Churn, criu } from "./churn.ts";

/** What is lost in the middle. */
export type Loss = "connection" | "server" | "nothing";

/** Of cut-wire.py: who sends so many bytes before it happens. */
export interface Moment {
	readonly side: "dump" | "server";
	readonly bytes: number;
}

export interface LossyServer {
	/** Where to connect to. */
	readonly port: number;
	/** How it and the wire have ended. */
	readonly ended: Promise<Ending>;
	readLog(): string;
}

let servers = 0;

/** Starts it with these arguments and waits until it listens. */
export async function serveLossily(
	churn: Churn,
	words: readonly string[],
	loss: Loss,
	{ side, bytes }: Moment,
): Promise<LossyServer> {
	const name = join(churn.dir, `server${servers++}`);
	const [log, wire, pidfile] = [`${name}.log`, `${name}.wire`, `${name}.pid`];
	const read = (path: string) => (existsSync(path) ? readFileSync(path, "utf8") : "");
	const shell = ["sh", "-c", 'echo $$ >"$0"; exec "$@"', pidfile];
	const listening = ["-W", churn.dir, "-v4", "-o", basename(log), "--address", "127.0.0.1"];
	const serving = churn.stage.run(`${name}.out`, churn.dir, [...shell, criu, ...words, ...listening]);
	const own = await until("a port", () => /port (\d+)\n/.exec(read(log))?.[1]);
	const victim = loss === "server" ? [read(pidfile).trim()] : [];
	const program = join(import.meta.dir, "cut-wire.py");
	const cut = [loss === "nothing" ? "none" : side, `${bytes}`, ...victim];
	const wiring = churn.stage.run(wire, churn.dir, ["python3", program, own, ...cut]);
	const port = Number(await until("the wire", () => /^(\d+)\n/.exec(read(wire))?.[1]));
	return { port, ended: Promise.all([serving, wiring]).then(([ending]) => ending), readLog: () => read(log) };
}
