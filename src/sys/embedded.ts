// SPDX-License-Identifier: GPL-2.0-only
// The two compiled C parts as bytes. In a checkout they are files under build/, in dist/criu they lie inside the
// executable (a path in /$bunfs that only this process can read): nothing is ever written to disk to be loaded.

import { readFileSync } from "node:fs";
import agentPath from "../../build/agent.bin" with { type: "file" };
import hostPath from "../../build/libhost.so" with { type: "file" };

/** The host library, an ELF shared object for bun:ffi. Reads it anew at each call. */
export function hostLibraryBytes(): Uint8Array {
	return readFileSync(hostPath);
}

let agent: Uint8Array | undefined;

/** The agent: a flat, position independent blob that starts with its header. Always the same bytes, not to be written to. */
export function agentBlob(): Uint8Array {
	agent ??= readFileSync(agentPath);
	return agent;
}
