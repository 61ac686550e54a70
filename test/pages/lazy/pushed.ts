// SPDX-License-Identifier: GPL-2.0-only
// A lazy server that has nothing on its way when it's told to bring everything: says what it asks for.

import { SYS_eventfd2, SYS_write } from "../../../src/kernel/abi/syscalls.x86_64.ts";
import type { LazyGuard } from "../../../src/pages/lazy/guard.ts";
import { LazyServer } from "../../../src/pages/lazy/server.ts";
import type { PageSource } from "../../../src/pages/lazy/source.ts";
import { mustSyscall } from "../../../src/sys/host.ts";

const makeEventfd = () => mustSyscall("for a test", SYS_eventfd2, 0, 0);
const connection = makeEventfd();
const source = {
	fd: connection,
	inFlight: 0n,
	ask: (pid: number, from: bigint, bytes: bigint) => {
		console.log(`${pid} 0x${from.toString(16)} ${bytes}`);
		source.inFlight += bytes;
		mustSyscall("for a test", SYS_write, connection, BigUint64Array.of(1n), 8);
	},
	take: () => undefined,
	finish: () => {},
} satisfies PageSource;
const guard = { keep: () => {}, forget: () => {}, publish: () => {} } as unknown as LazyGuard;
const server = new LazyServer(source, guard);
server.add(makeEventfd(), 0, 7, [{ start: 0x10000n, end: 0x13000n }]);
server.push();
server.turn(undefined);
