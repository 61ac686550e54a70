// SPDX-License-Identifier: GPL-2.0-only
// A client's hand in its request: notifications that it answers, action scripts of a file of options, and the end of the run
// when the client goes away or a signal comes.

import { requestText } from "../cli/request-values.ts";
import { runActionScripts } from "../engine/action-scripts.ts";
import { CancelledError, HookError, type HookFacts, type HookName, type RunControl } from "../engine/control.ts";
import { CriuError } from "../errors.ts";
import {
	type criu_notify,
	criu_notifySchema,
	criu_req_type,
	criu_reqSchema,
	criu_respSchema,
} from "../images/gen/rpc_pb.ts";
import { create, decodeMessage, encodeMessage } from "../images/index.ts";
import { POLLERR, POLLHUP, POLLIN } from "../kernel/abi/event-files.ts";
import { readStatus } from "../kernel/procfs/status.ts";
import { log } from "../log.ts";
import { readPeerCredentials, receivePacket, sendPacket } from "../sys/packet-socket.ts";
import { pollFds } from "../sys/poll.ts";
import { findStopSignal } from "../sys/stop-signals.ts";

/** Longest request that is read; the kernel's own limit for a message of one who isn't root lies below it. */
export const MAX_REQUEST = 16 * 1024 * 1024;
/** Between looks at signals while a client takes its time, which may be any. */
const LOOK_MS = 200;
/** Hooks that tell the pid of the root task. */
const WITH_PID: readonly HookName[] = ["setup-namespaces", "post-restore"];

/** What a run needs to know of its request. */
export interface NotifyChoice {
	readonly socket: number;
	/** Whether the client wants to be asked. */
	readonly notify: boolean;
	readonly actionScripts: readonly string[];
}

/** @throws CancelledError */
function checkRun(socket: number): void {
	const signal = findStopSignal();
	if (signal !== undefined) throw new CancelledError(`ended by ${signal}`);
	const [events = 0] = pollFds([{ fd: socket, events: 0 }], 0);
	if ((events & (POLLHUP | POLLERR)) !== 0) throw new CancelledError("the client that asked for this is gone");
}

/** Refuses to wait for one who can't answer: he's a part of the tree that stands still. @throws HookError */
function checkClient(socket: number, name: HookName): void {
	const { pid } = readPeerCredentials(socket);
	let tracer: number | undefined;
	try {
		tracer = readStatus(pid).tracerPid;
	} catch {
		// It has ended, which the socket tells.
	}
	if (tracer !== process.pid) return;
	throw new HookError(name, `the client (pid ${pid}) can't answer at ${name}: it's a part of the tree that is dumped`, {
		remedy: "dump it without notify_scripts, or let a process outside of the tree ask for the dump",
	});
}

/** Waits for the client's word. @throws HookError, CancelledError */
function receiveAnswer(socket: number, name: HookName): readonly string[] {
	for (;;) {
		const [events = 0] = pollFds([{ fd: socket, events: POLLIN }], LOOK_MS);
		if (events !== 0) break;
		checkRun(socket);
		checkClient(socket, name);
	}
	const refused = (why: string, cause?: unknown) =>
		new HookError(name, `the client ${why} at ${name}`, { cause, remedy: "see the log of the client" });
	let packet: ReturnType<typeof receivePacket>;
	try {
		packet = receivePacket(socket, MAX_REQUEST);
		if (packet === undefined) throw refused("went away");
		const request = decodeMessage(criu_reqSchema, packet.bytes, { file: "request" });
		if (request.type !== criu_req_type.NOTIFY) throw refused(`sent a request of type ${request.type} as an answer`);
		if (!request.notifySuccess) throw refused("said no");
		return name === "query-ext-files" ? (request.opts?.external ?? []).map((text) => requestText(text)) : [];
	} catch (error) {
		if (error instanceof HookError || !(error instanceof CriuError)) throw error;
		throw refused("sent what is no answer", error);
	}
}

function notify(socket: number, name: HookName, { rootPid, fd }: HookFacts): readonly string[] {
	log.debug(() => `RPC: notifying the client of ${name}`);
	const script: criu_notify = create(criu_notifySchema, {
		script: name,
		...(WITH_PID.includes(name) && rootPid !== undefined ? { pid: rootPid } : {}),
	});
	const message = create(criu_respSchema, { type: criu_req_type.NOTIFY, success: true, notify: script });
	if (!sendPacket(socket, encodeMessage(criu_respSchema, message), fd))
		throw new HookError(name, `the client went away at ${name}`, { remedy: "see the log of the client" });
	return receiveAnswer(socket, name);
}

/** The hand of a client in a run. */
export function clientControl({ socket, notify: wanted, actionScripts }: NotifyChoice): RunControl {
	return {
		hasHooks: wanted || actionScripts.length > 0,
		runHook(name, facts) {
			const external = wanted ? notify(socket, name, facts) : [];
			runActionScripts(actionScripts, name, facts);
			return external;
		},
		check: () => checkRun(socket),
	};
}
