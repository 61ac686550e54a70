// SPDX-License-Identifier: GPL-2.0-only
// The library's options as fields of a request: all that a request can say can be said, or is left out for a reason.

import { expect, test } from "bun:test";
import { tmpdir } from "node:os";
import { criu_network_lock_method, criu_optsSchema, criu_pre_dump_mode } from "../../src/images/gen/rpc_pb.ts";
import { openRequest } from "../../src/lib/request.ts";
import type { DumpOptions, RestoreOptions } from "../../src/lib/types.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** Fields that no option of the library sets. */
const LEFT_OUT = new Set([
	// Of the worker and its own output.
	...["execCmd", "rstSibling", "statusFd", "displayStats", "logToStderr", "imagesDir", "pidfdStoreSk"],
	// Older forms of `external`.
	...["veths", "extMnt", "unixSkIno", "autoExtMnt", "extSharing", "extMasters"],
	// What this version of criu refuses.
	...["manageCgroups", "manageCgroupsMode", "cgRoot", "cgroupProps", "cgroupPropsFile", "cgroupDumpController"],
	...["cgroupYard", "joinNs", "emptyNs", "skipMnt", "enableFs", "mntnsCompatMode", "lsmProfile", "lsmMountContext"],
]);

/** Every option. */
const everything: Required<Omit<DumpOptions, "service" | "criu" | "signal">> & RestoreOptions = {
	imagesDir: tmpdir(),
	workDir: tmpdir(),
	logFile: "log",
	logLevel: 4,
	configFile: "config",
	onEvent: () => {},
	shellJob: true,
	fileLocks: true,
	tcpEstablished: true,
	tcpClose: true,
	tcpSkipInFlight: true,
	evasiveDevices: true,
	linkRemap: true,
	autoDedup: true,
	unprivileged: true,
	orphanPtsMaster: true,
	external: ["file[1:2]:x"],
	cpuCap: ["fpu", "ins"],
	networkLock: "skip",
	lazyPages: true,
	tls: { caCert: "ca", caCrl: "crl", cert: "cert", key: "key", noCnVerify: true },
	pid: 7,
	leaveRunning: true,
	leaveStopped: true,
	extUnixSk: true,
	forceIrmap: true,
	trackMem: true,
	preDumpMode: "read",
	irmapScanPaths: ["/a", "/b"],
	parentImages: "../first",
	pageServer: { address: "::1", port: 7 },
	ghostLimit: 5,
	timeout: 6,
	freezeCgroup: "/cg",
	skipFileRwxCheck: true,
	weakSysctls: true,
	root: "/root",
	inheritFds: [{ key: "pipe:[1]", fd: 0 }],
};

test("every field of a request can be said by an option, or is left out on purpose", () => {
	const request = openRequest(everything);
	const said = Object.keys(request.opts);
	request.close();
	const all = criu_optsSchema.fields.map(({ localName }) => localName);
	expect(all.filter((name) => !said.includes(name) && !LEFT_OUT.has(name))).toEqual([]);
	expect(said.filter((name) => LEFT_OUT.has(name) || !all.includes(name))).toEqual([]);
});

test("words and lists become what requests have", () => {
	const request = openRequest(everything);
	request.close();
	expect(request.opts).toMatchObject({
		cpuCap: 5,
		networkLock: criu_network_lock_method.SKIP,
		preDumpMode: criu_pre_dump_mode.VM_READ,
		irmapScanPaths: [bytes("/a"), bytes("/b")],
		tls: true,
		tlsNoCnVerify: true,
		tlsKey: bytes("key"),
		ps: { address: "::1", port: 7 },
		parentImg: bytes("../first"),
		notifyScripts: true,
	});
	const none = openRequest({ imagesDir: tmpdir(), cpuCap: [] });
	none.close();
	expect(none.opts).toEqual({ imagesDirFd: expect.any(Number), inheritFd: [], cpuCap: 0 });
});
