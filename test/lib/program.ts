// SPDX-License-Identifier: GPL-2.0-only
// A program of somebody else that uses the package: run with Bun in a project that has nothing but it. IMAGES PID SERVICE.
// Prints a line for each thing that it has seen.

import { mkdirSync } from "node:fs";
import { CriuCallError, type CriuEvent, check, dump, features, preDump, restore, version } from "criu";

const [images = "", word = "", service = ""] = process.argv.slice(2);
const pid = Number(word);
const events: string[] = [];
const onEvent = ({ name, pid: root }: CriuEvent) => {
	events.push(root === undefined ? name : `${name}:${root === pid}`);
};
const dir = (name: string) => {
	const path = `${images}/${name}`;
	mkdirSync(path);
	return path;
};

async function failure(call: () => Promise<unknown>): Promise<string> {
	try {
		await call();
		return "no failure";
	} catch (error) {
		if (error instanceof CriuCallError) return `${error.code} ${error.errno}`;
		return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
	}
}

console.log("version", JSON.stringify(await version()));
await check();
console.log("pidfd_store", (await features({ service })).pidfdStore);
console.log("no process", await failure(() => dump({ pid: 0x7fff_ffff, imagesDir: dir("none") })));
console.log("no service", await failure(() => check({ service: "/nonexistent/socket" })));
console.log("no program", (await failure(() => check({ criu: "/nonexistent/criu" }))).includes("ENOENT"));
console.log("refused", await failure(() => dump({ pid, imagesDir: dir("refused"), onEvent: () => false })));
const thrower = () => {
	throw new RangeError("mine");
};
console.log("thrown", await failure(() => dump({ pid, imagesDir: dir("thrown"), onEvent: thrower })));

for (const [name, more] of [["worker", {}] as const, ["service", { service }] as const]) {
	const abort = new AbortController();
	const onFrozen = ({ name: event }: CriuEvent) => {
		if (event === "query-ext-files") abort.abort(new Error(`enough of the ${name}`));
	};
	const call = () => dump({ ...more, pid, imagesDir: dir(`aborted-${name}`), onEvent: onFrozen, signal: abort.signal });
	console.log("aborted", await failure(call));
}
for (const [name, more] of [["worker", {}] as const, ["service", { service }] as const]) {
	const signal = AbortSignal.timeout(1);
	// It may have got far, or nowhere.
	const text = await failure(() => preDump({ ...more, pid, imagesDir: dir(`pre-${name}`), signal }));
	console.log("aborted pre-dump", text.startsWith("TimeoutError") ? "in time" : text);
}
// The service takes back what it has begun on its own.
while (!/^TracerPid:\s+0$/m.test(await Bun.file(`/proc/${pid}/status`).text())) await Bun.sleep(2);
console.log("too late", await failure(() => check({ signal: AbortSignal.abort(new Error("before")) })));

const memory = (await features()).memTrack;
if (memory) await preDump({ pid, imagesDir: dir("first") });
const last = dir("last");
let ticks = 0;
const clock = setInterval(() => ticks++, 1);
const parent = memory ? { parentImages: "../first" } : {};
const { restored: again } = await dump({ ...parent, service, pid, imagesDir: last, logLevel: 4, onEvent });
console.log("dump", again, events.splice(0).join(" "));
console.log("ran on meanwhile", ticks > 0);
clearInterval(clock);
// The number is free once the parent, which is the test, has taken note.
while (await Bun.file(`/proc/${pid}/stat`).exists()) await Bun.sleep(2);
const restored = await restore({ imagesDir: last, onEvent });
console.log("restore", restored.pid === pid, events.splice(0).join(" "));
