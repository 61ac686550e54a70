// SPDX-License-Identifier: LGPL-2.1-only
// The library for programs in TypeScript: dump, restore, pre-dump, check. The work is done by criu, in a process of its own: it
// freezes and traces others thread by thread, and changes its own limits and working directory, which a program can't have done
// to itself on the side. Either a worker is started for the call, or a running service is asked.

import { criu_req_type, criu_reqSchema } from "../images/gen/rpc_pb.ts";
import { create } from "../images/index.ts";
import { carryOut } from "./call.ts";
import { openRequest } from "./request.ts";
import type {
	CallOptions,
	DumpOptions,
	DumpResult,
	Features,
	ImagesOptions,
	RestoreOptions,
	RestoreResult,
	Version,
} from "./types.ts";

export { CriuCallError } from "./errors.ts";
export type * from "./types.ts";

async function callWithImages(type: criu_req_type, what: string, options: ImagesOptions) {
	const { opts, inherited, close } = openRequest(options);
	try {
		return await carryOut({ type, what, request: create(criu_reqSchema, { type, opts }), options, inherited });
	} finally {
		close();
	}
}

/**
 * Writes a tree of processes to images. The tree ends by it, unless told otherwise.
 *
 * A dump that fails or is aborted leaves the tree as it was. With `pid` absent the calling program dumps itself, which takes a
 * `service`, as a worker would be in its tree: the promise resolves when it's restored.
 *
 * @throws CriuCallError
 */
export async function dump(options: DumpOptions): Promise<DumpResult> {
	const { dump: answer } = await callWithImages(criu_req_type.DUMP, "dump", options);
	return { restored: answer?.restored ?? false };
}

/** Brings a tree back from images. A restore that fails or is aborted leaves no process behind. @throws CriuCallError */
export async function restore(options: RestoreOptions): Promise<RestoreResult> {
	const { restore: answer } = await callWithImages(criu_req_type.RESTORE, "restore", options);
	return { pid: answer?.pid ?? -1 };
}

/** Writes memory ahead of a dump, which then names these images as `parentImages`; the tree runs on. @throws CriuCallError */
export async function preDump(options: DumpOptions): Promise<void> {
	await callWithImages(criu_req_type.SINGLE_PRE_DUMP, "pre-dump", { ...options, onEvent: undefined });
}

/** Tells whether this kernel has what every dump and restore needs. @throws CriuCallError that names what is missing */
export async function check(options: CallOptions = {}): Promise<void> {
	const type = criu_req_type.CHECK;
	await carryOut({ type, what: "check", request: create(criu_reqSchema, { type }), options });
}

/** What kernel and criu can do beyond that. @throws CriuCallError */
export async function features(options: CallOptions = {}): Promise<Features> {
	const type = criu_req_type.FEATURE_CHECK;
	const asked = { memTrack: true, lazyPages: true, pidfdStore: true };
	const request = create(criu_reqSchema, { type, features: asked });
	const { features: found } = await carryOut({ type, what: "feature check", request, options });
	const { memTrack = false, lazyPages = false, pidfdStore = false } = found ?? {};
	return { memTrack, lazyPages, pidfdStore };
}

/** The version of CRIU that this criu is compatible with. @throws CriuCallError */
export async function version(options: CallOptions = {}): Promise<Version> {
	const type = criu_req_type.VERSION;
	const { version: found } = await carryOut({
		type,
		what: "version",
		request: create(criu_reqSchema, { type }),
		options,
	});
	return { major: found?.majorNumber ?? 0, minor: found?.minorNumber ?? 0, sublevel: found?.sublevel ?? 0 };
}
