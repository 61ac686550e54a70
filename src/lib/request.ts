// SPDX-License-Identifier: LGPL-2.1-only
// From the library's options to the fields of a request.

import { closeSync, constants, openSync } from "node:fs";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { criu_network_lock_method, type criu_optsSchema, criu_pre_dump_mode } from "../images/gen/rpc_pb.ts";
import { FIRST_INHERITED } from "./conversation.ts";
import type { DumpOptions, ImagesOptions, RestoreOptions, TlsOptions } from "./types.ts";

type Fields = Record<string, unknown>;

/** Options that are fields of the same name. */
const SAME = [
	...["logLevel", "shellJob", "fileLocks", "tcpEstablished", "tcpClose", "tcpSkipInFlight", "evasiveDevices"],
	...["linkRemap", "autoDedup", "unprivileged", "orphanPtsMaster", "pid", "leaveRunning", "leaveStopped", "extUnixSk"],
	...["lazyPages", "forceIrmap", "trackMem", "ghostLimit", "timeout", "skipFileRwxCheck", "weakSysctls"],
];
/** Options that are texts, with their fields. */
const TEXTS = {
	logFile: "logFile",
	configFile: "configFile",
	parentImages: "parentImg",
	root: "root",
	freezeCgroup: "freezeCgroup",
} as const;

const NETWORK_LOCKS = {
	iptables: criu_network_lock_method.IPTABLES,
	nftables: criu_network_lock_method.NFTABLES,
	skip: criu_network_lock_method.SKIP,
} as const;
const CPU_CAPS = { fpu: 1, cpu: 2, ins: 4 } as const;
const PRE_DUMP_MODES = { splice: criu_pre_dump_mode.SPLICE, read: criu_pre_dump_mode.VM_READ } as const;

const bytes = (text: string) => new TextEncoder().encode(text);

function tlsFields({ caCert, caCrl, cert, key, noCnVerify }: TlsOptions): Fields {
	const files = { tlsCacert: caCert, tlsCacrl: caCrl, tlsCert: cert, tlsKey: key };
	const given = Object.entries(files).flatMap(([field, path]) => (path === undefined ? [] : [[field, bytes(path)]]));
	return { tls: true, tlsNoCnVerify: noCnVerify ?? false, ...Object.fromEntries(given) };
}

/** A request's fields, with the directories that have to stay open while it's carried out. */
export interface OpenRequest {
	readonly opts: Exclude<MessageInitShape<typeof criu_optsSchema>, { $typeName: string }>;
	/** Descriptors that a worker inherits, in this order. */
	readonly inherited: readonly number[];
	close(): void;
}

/** Opens the directories. @throws Error of node:fs when one isn't there */
export function openRequest(options: ImagesOptions & Partial<DumpOptions> & Partial<RestoreOptions>): OpenRequest {
	const held: number[] = [];
	const close = () => {
		for (const fd of held.splice(0)) closeSync(fd);
	};
	const openDirectory = (path: string) => {
		const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
		held.push(fd);
		return fd;
	};
	try {
		const given = options as unknown as Fields;
		const fields: Fields = { imagesDirFd: openDirectory(options.imagesDir) };
		if (options.workDir !== undefined) fields["workDirFd"] = openDirectory(options.workDir);
		for (const name of SAME) if (given[name] !== undefined) fields[name] = given[name];
		for (const [name, field] of Object.entries(TEXTS))
			if (typeof given[name] === "string") fields[field] = bytes(given[name]);
		if (options.external !== undefined) fields["external"] = options.external.map(bytes);
		if (options.pageServer !== undefined) fields["ps"] = { ...options.pageServer };
		if (options.irmapScanPaths !== undefined) fields["irmapScanPaths"] = options.irmapScanPaths.map(bytes);
		if (options.cpuCap !== undefined) fields["cpuCap"] = options.cpuCap.reduce((mask, cap) => mask | CPU_CAPS[cap], 0);
		if (options.networkLock !== undefined) fields["networkLock"] = NETWORK_LOCKS[options.networkLock];
		if (options.preDumpMode !== undefined) fields["preDumpMode"] = PRE_DUMP_MODES[options.preDumpMode];
		if (options.tls !== undefined) Object.assign(fields, tlsFields(options.tls));
		if (options.onEvent !== undefined) fields["notifyScripts"] = true;
		const inherited = options.inheritFds ?? [];
		fields["inheritFd"] = inherited.map(({ key }, index) => ({ key: bytes(key), fd: FIRST_INHERITED + index }));
		return { opts: fields as OpenRequest["opts"], inherited: inherited.map(({ fd }) => fd), close };
	} catch (error) {
		close();
		throw error;
	}
}
