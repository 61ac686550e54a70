// SPDX-License-Identifier: GPL-2.0-only
// A lazy server whose source gives nothing, while the program's mappings change all the time: says how that ends.

import { SYS_eventfd2, SYS_pipe2, SYS_write } from "../../../src/kernel/abi/syscalls.x86_64.ts";
import { UFFD_EVENT_REMOVE, UffdMsg } from "../../../src/kernel/abi/userfaultfd.ts";
import type { LazyGuard } from "../../../src/pages/lazy/guard.ts";
import { LazyServer } from "../../../src/pages/lazy/server.ts";
import type { PageSource } from "../../../src/pages/lazy/source.ts";
import { mustSyscall } from "../../../src/sys/host.ts";

const PATIENCE_MS = 300;
const LIMIT_MS = 20_000;
const O_NONBLOCK = 0o4000;

const pipe = new Int32Array(2);
mustSyscall("for a test", SYS_pipe2, pipe, O_NONBLOCK);
const [told = -1, telling = -1] = pipe;
const source = {
	fd: mustSyscall("for a test", SYS_eventfd2, 0, 0),
	inFlight: 0n,
	ask: (_pid: number, _from: bigint, bytes: bigint) => {
		source.inFlight += bytes;
	},
	take: () => undefined,
	finish: () => {},
} satisfies PageSource;
const guard = { keep: () => {}, forget: () => {}, publish: () => {} } as unknown as LazyGuard;
const server = new LazyServer(source, guard, PATIENCE_MS);
server.add(told, 0, 7, [{ start: 0x10000n, end: 0x13000n }]);
server.push();
const change = new Uint8Array(UffdMsg.size);
change[0] = UFFD_EVENT_REMOVE;
const from = performance.now();
try {
	while (performance.now() - from < LIMIT_MS) {
		mustSyscall("for a test", SYS_write, telling, change, change.length);
		server.turn(undefined);
		await Bun.sleep(1);
	}
	console.log("waits still");
} catch (error) {
	console.log(`${(error as Error).message}: ${((error as Error).cause as Error).message}`);
}
