// SPDX-License-Identifier: GPL-2.0-only
// What a worker answers: the messages, and how an error is told in them.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { describeInOneLine } from "../cli/report.ts";
import { type CriuError, isErrno, UnsupportedError, UsageError } from "../errors.ts";
import { criu_req_type, type criu_resp, criu_respSchema } from "../images/gen/rpc_pb.ts";
import { create, encodeMessage } from "../images/index.ts";
import { errnoNumber } from "../kernel/abi/errno.ts";
import { errorLine } from "../log.ts";

/** Longest text of an error, in bytes: what clients have room for. */
const MAX_MESSAGE = 1023;

/** The fields of a response but for its type. */
export type Answer = Omit<
	Exclude<MessageInitShape<typeof criu_respSchema>, criu_resp>,
	"type" | "success" | "$typeName"
>;

/** The errno that a client gets: those that CRIU sends, and what a later version can do. */
function errnoOf(error: CriuError): number | undefined {
	switch (error.code) {
		case "NO_SUCH_PID":
		case "TASK_GONE":
			return errnoNumber("ESRCH");
		case "PID_TAKEN":
			return errnoNumber("EEXIST");
		case "CALLER_RIGHTS":
			return errnoNumber("EPERM");
		case "COMMAND_NOT_IN_VERSION":
			return errnoNumber("EOPNOTSUPP");
		case "CANCELLED":
			return errnoNumber("ECANCELED");
		case "BAD_OPTION":
		case "OPTION_NOT_IN_VERSION":
			return errnoNumber("EBADRQC");
	}
	if (error instanceof UsageError) return errnoNumber("EBADRQC");
	if (error instanceof UnsupportedError) return undefined;
	return isErrno(error.cause, "ECHILD") ? errnoNumber("ECHILD") : undefined;
}

/** Cuts a text to a number of bytes, between characters. */
function cut(text: string, max: number): string {
	const bytes = Buffer.from(text);
	if (bytes.length <= max) return text;
	let end = max;
	while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
	return bytes.toString("utf8", 0, end);
}

/** The error as the log has it. */
function messageOf(error: CriuError): string {
	return `${cut(errorLine(describeInOneLine(error), error), MAX_MESSAGE - 1)}\n`;
}

/** The type of the response: as CRIU does, both requests for a page server are answered alike. */
export function answerType(type: criu_req_type): criu_req_type {
	return type === criu_req_type.PAGE_SERVER_CHLD ? criu_req_type.PAGE_SERVER : type;
}

/** The response to a request that was fulfilled. */
export function success(type: criu_req_type, answer: Answer = {}): criu_resp {
	return create(criu_respSchema, { ...answer, type, success: true });
}

/** The response to one that was not. */
export function failure(type: criu_req_type, error: CriuError, answer: Answer = {}): criu_resp {
	const crErrno = errnoOf(error);
	return create(criu_respSchema, {
		...answer,
		type,
		success: false,
		...(crErrno === undefined ? {} : { crErrno }),
		crErrmsg: messageOf(error),
	});
}

/** The answer to what can't be answered: a request of no known type, or one out of place. */
export function noAnswer(): criu_resp {
	return create(criu_respSchema, { type: criu_req_type.EMPTY, success: false });
}

/** As it goes over the socket. */
export function encodeResponse(response: criu_resp): Uint8Array {
	return encodeMessage(criu_respSchema, response);
}
