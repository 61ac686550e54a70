// SPDX-License-Identifier: GPL-2.0-only
// What a worker has to do and what comes of it.

import type { CommandLine } from "../cli/command-line.ts";
import type { criu_req, criu_resp } from "../images/gen/rpc_pb.ts";
import type { PeerCredentials } from "../sys/packet-socket.ts";

/** What a worker gets from whoever started it. */
export interface WorkerSetup {
	/** The connection to the client. */
	readonly socket: number;
	/** Started by its client, or by the service for one. */
	readonly place: "swrk" | "service";
	/** Options that are in force below the request's own. */
	readonly line: CommandLine;
	/** As typed by the user. */
	readonly program: string;
	print(text: string): void;
	printError(text: string): void;
}

/** What a request's work gives. */
export interface Done {
	/** Undefined: the client isn't there to read one (it was dumped). */
	readonly response: criu_resp | undefined;
	readonly exitCode: number;
	/** What is done when the response is on its way; doesn't return. */
	readonly afterwards?: () => never;
}

/** A request with its surroundings. */
export interface Job extends WorkerSetup {
	readonly request: criu_req;
	readonly client: PeerCredentials;
	/** A client of the service. */
	readonly isStranger: boolean;
	/** One whose rights are less than ours. */
	readonly isRestricted: boolean;
}
