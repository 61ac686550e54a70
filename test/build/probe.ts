// SPDX-License-Identifier: GPL-2.0-only
// What a program built as dist/criu is built sees of its surroundings, as one line of JSON.

import { agentBlob, hostLibraryBytes } from "../../src/sys/embedded.ts";

console.log(
	JSON.stringify({
		environment: Object.keys(process.env).sort(),
		argv: process.argv.slice(2),
		execArgv: process.execArgv,
		agentBytes: agentBlob().length,
		hostMagic: Buffer.from(hostLibraryBytes().subarray(0, 4)).toString("latin1"),
	}),
);
