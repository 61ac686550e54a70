// SPDX-License-Identifier: GPL-2.0-only
// Tables of sockets and of multicast groups in /proc/net.

import { describe, expect, test } from "bun:test";
import { CriuError } from "../../../src/errors.ts";
import { parseIgmp, parseIgmp6, parseNetSockets, readDeviceGroups } from "../../../src/kernel/procfs/net-sockets.ts";
import { bytes } from "./samples.ts";

const RAW = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
    1: 0100007F:0001 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4242 2 00000000 0
  250: 0200007F:00FA 0300007F:0000 01 00000000:00000000 00:00000000 00000000    33        0 4243 2 00000000 0
`;
const RAW6 = `  sl  local_address remote_address st
   58: 00000000000000000000000001000000:003A 00000000000000000000000000000000:0000 07 0:0 00:0 0 0 0 77 2 0 0
`;
const IGMP = `Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter
1\tlo        :     1      V3
\t\t\t\t010000E0     1 0:00000000\t\t0
4\teth0      :     1      V3
\t\t\t\tFB0000E0     1 0:00000000\t\t0
`;
const IGMP6 = "1    lo              ff020000000000000000000000000001     1 0000000C 0\n";

describe("/proc/net", () => {
	test("raw sockets have addresses, state and inode", () => {
		const [first, second] = parseNetSockets(bytes(RAW));
		expect(first).toMatchObject({ ino: 4242n, state: 7, localPort: 1 });
		expect(first?.local.join(".")).toBe("127.0.0.1");
		expect(second).toMatchObject({ ino: 4243n, state: 1, localPort: 250, remotePort: 0 });
		expect(second?.remote.join(".")).toBe("127.0.0.3");
		const [six] = parseNetSockets(bytes(RAW6));
		expect(six?.local).toEqual(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1));
		expect(six?.ino).toBe(77n);
	});

	test("groups come with their device", () => {
		expect(parseIgmp(bytes(IGMP)).map(({ device, group }) => `${device} ${group.join(".")}`)).toEqual([
			"1 224.0.0.1",
			"4 224.0.0.251",
		]);
		const [all] = parseIgmp6(bytes(IGMP6));
		expect(all?.device).toBe(1);
		expect(all?.group.slice(0, 2)).toEqual(Uint8Array.of(0xff, 2));
		expect(Array.isArray(readDeviceGroups(4))).toBe(true);
		expect(Array.isArray(readDeviceGroups(6))).toBe(true);
	});

	test.each([
		["sockets", parseNetSockets, "head\n 1: 0100007F 2\n"],
		["sockets of no family", parseNetSockets, "head\n 1: 0100007F0100007F:0 0:0 0\n"],
		["groups", parseIgmp, "head\n\t\t0100\n"],
		["groups of IPv6", parseIgmp6, "1 lo ff02 1 0\n"],
	])("broken %s are PROC_PARSE", (_, parse, text) => {
		try {
			parse(bytes(text));
		} catch (error) {
			expect(error).toBeInstanceOf(CriuError);
			expect((error as CriuError).code).toBe("PROC_PARSE");
			return;
		}
		throw new Error("taken for sound");
	});
});
