// SPDX-License-Identifier: LGPL-2.1-only
// One call: request, events on the way, response; and its end from outside by an AbortSignal.

import { type criu_req, criu_req_type, criu_reqSchema, type criu_resp } from "../images/gen/rpc_pb.ts";
import { create } from "../images/index.ts";
import { Conversation, type Reply } from "./conversation.ts";
import { CriuCallError, errorOf } from "./errors.ts";
import type { CallOptions, CriuEvent, EventAnswer, ImagesOptions } from "./types.ts";

export interface Call {
	readonly type: criu_req_type;
	/** For messages. */
	readonly what: string;
	readonly request: criu_req;
	readonly options: CallOptions & Pick<ImagesOptions, "onEvent">;
	readonly inherited?: readonly number[];
}

/** A handler that failed, whose error the caller gets rather than criu's. */
interface Failed {
	error?: unknown;
}

/** Asks the program's handler; what it throws ends the run. */
async function answerEvent({ response, fd }: Reply, { options }: Call, failed: Failed): Promise<criu_req> {
	const { script = "", pid = 0 } = response.notify ?? {};
	const event: CriuEvent = { name: script, pid: pid > 0 ? pid : undefined, fd };
	let answer: EventAnswer;
	try {
		answer = (await options.onEvent?.(event)) as EventAnswer;
	} catch (error) {
		failed.error = error;
		answer = false;
	}
	// Said here it comes in time: a signal to the worker might find it done.
	if (options.signal?.aborted) answer = false;
	const external = answer !== null && typeof answer === "object" ? (answer.external ?? []) : [];
	return create(criu_reqSchema, {
		type: criu_req_type.NOTIFY,
		notifySuccess: answer !== false,
		...(external.length === 0
			? {}
			: { opts: { imagesDirFd: -1, external: external.map((text) => new TextEncoder().encode(text)) } }),
	});
}

async function converse(call: Call, conversation: Conversation, failed: Failed): Promise<criu_resp | undefined> {
	conversation.send(call.request);
	for (;;) {
		const reply = await conversation.receive();
		if (reply === undefined) return undefined;
		if (reply.response.type !== criu_req_type.NOTIFY) return reply.response;
		conversation.send(await answerEvent(reply, call, failed));
	}
}

/** Resolves when the signal comes; never, when there's none. */
function aborted(signal: AbortSignal | undefined): { promise: Promise<"aborted">; end(): void } {
	const { promise, resolve } = Promise.withResolvers<"aborted">();
	const listener = () => resolve("aborted");
	signal?.addEventListener("abort", listener);
	return { promise, end: () => signal?.removeEventListener("abort", listener) };
}

/**
 * Makes a call.
 *
 * @throws CriuCallError; the reason of the signal; what an event's handler has thrown
 */
export async function carryOut(call: Call): Promise<criu_resp> {
	const { signal } = call.options;
	signal?.throwIfAborted();
	const failed: Failed = {};
	const conversation = Conversation.open(call.options, call.inherited);
	const abort = aborted(signal);
	let isClosed = false;
	try {
		const talk = converse(call, conversation, failed);
		const first = await Promise.race([talk, abort.promise]);
		if (first === "aborted" && !conversation.cancel()) {
			// The service sees that nobody waits any more, and so does our look at the socket.
			talk.catch(() => {});
			isClosed = true;
			await conversation.close();
			throw signal?.reason;
		}
		const response = first === "aborted" ? await talk : first;
		if ("error" in failed) throw failed.error;
		if (response?.success === true) return response;
		signal?.throwIfAborted();
		if (response === undefined)
			throw new CriuCallError(`criu ended without an answer to the ${call.what}`, undefined, undefined);
		throw errorOf(response.crErrmsg, response.crErrno, call.what);
	} finally {
		abort.end();
		if (!isClosed) await conversation.close();
	}
}
