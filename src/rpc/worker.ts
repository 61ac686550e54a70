// SPDX-License-Identifier: GPL-2.0-only
// One conversation with one client: requests are read and answered until one ends it (reference rpc.md, section 3).

import { explainMissingPrivileges, readPrivileges } from "../cli/privileges.ts";
import { describeError, describeInOneLine, toCriuError } from "../cli/report.ts";
import { COMPATIBLE_VERSION } from "../cli/version.ts";
import { type CriuError, UsageError } from "../errors.ts";
import { type criu_req, criu_req_type, criu_reqSchema, type criu_resp } from "../images/gen/rpc_pb.ts";
import { decodeMessage } from "../images/index.ts";
import { closeLog, isLogOnStderr, log } from "../log.ts";
import { closeFd } from "../sys/file.ts";
import { isPacketSocket, readPeerCredentials, receivePacket, sendPacket } from "../sys/packet-socket.ts";
import { endSignalWatch, watchStopSignals } from "../sys/stop-signals.ts";
import { checkRights, isTrusted, takeFileRights } from "./client-rights.ts";
import type { Done, Job, WorkerSetup } from "./job.ts";
import { MAX_REQUEST } from "./notify.ts";
import { answerType, encodeResponse, failure, noAnswer, success } from "./responses.ts";

/** Ends without an answer, or with one that tells of a broken conversation. */
const EXIT_BROKEN = 255;
const EXIT_FAILED = 1;

const { PRE_DUMP, SINGLE_PRE_DUMP, PAGE_SERVER, PAGE_SERVER_CHLD } = criu_req_type;

const KEEPS_OPEN: ReadonlySet<criu_req_type> = new Set([
	PAGE_SERVER,
	PAGE_SERVER_CHLD,
	criu_req_type.CPUINFO_DUMP,
	criu_req_type.CPUINFO_CHECK,
	criu_req_type.FEATURE_CHECK,
	criu_req_type.VERSION,
]);

/** After these a failure shows in the exit code. */
const FAILS_WITH_CODE: ReadonlySet<criu_req_type> = new Set([criu_req_type.DUMP, criu_req_type.RESTORE]);

function answerVersion(): criu_resp {
	const [majorNumber = 0, minorNumber = 0] = COMPATIBLE_VERSION.split(".").map(Number);
	return success(criu_req_type.VERSION, { version: { majorNumber, minorNumber } });
}

/** Says the error in the log and on stderr, as the command line does, and keeps the log whole. */
export function report(error: CriuError, { printError }: Pick<WorkerSetup, "printError">): void {
	const lines = describeError(error);
	printError(`${lines.join("\n")}\n`);
	if (isLogOnStderr()) return;
	for (const line of lines.slice(1)) log.error(line, error);
	log.error(describeInOneLine(error), error);
}

/** Answers a request. Never throws but for a bug in the answering itself. */
async function answer(job: Job): Promise<Done> {
	const { type } = job.request;
	try {
		const missing = explainMissingPrivileges(readPrivileges(), true, job.program);
		if (job.isRestricted) checkRights(type, job.client, (job.request.opts?.configFile.length ?? 0) > 0);
		if (type === criu_req_type.VERSION) return { response: answerVersion(), exitCode: 0 };
		if (missing !== undefined && type !== criu_req_type.FEATURE_CHECK && type !== criu_req_type.WAIT_PID)
			throw new UsageError("PRIVILEGES", missing.trim().replaceAll("\n", " "), { remedy: "run criu as root" });
		const work = await import("./requests.ts");
		return await work.carryOut(job);
	} catch (thrown) {
		const error = toCriuError(thrown);
		report(error, job);
		return {
			response: failure(answerType(type), error, {
				...(type === criu_req_type.DUMP ? { dump: { restored: false } } : {}),
				...(type === criu_req_type.RESTORE ? { restore: { pid: -1 } } : {}),
			}),
			exitCode: FAILS_WITH_CODE.has(type)
				? EXIT_FAILED
				: type === PRE_DUMP || type === SINGLE_PRE_DUMP
					? EXIT_BROKEN
					: 0,
		};
	}
}

/** The next request; undefined when there's none that can be answered. */
function nextRequest({ socket, printError }: WorkerSetup): criu_req | undefined {
	try {
		const packet = receivePacket(socket, MAX_REQUEST);
		if (packet === undefined) {
			printError("error: the client ended the conversation before it sent a request\n");
			return undefined;
		}
		if (packet.fd !== undefined) closeFd(packet.fd);
		return decodeMessage(criu_reqSchema, packet.bytes, { file: "request" });
	} catch (error) {
		printError(`error: Failed unpacking request: ${toCriuError(error).message}\n`);
		return undefined;
	}
}

function reply(socket: number, response: criu_resp): boolean {
	return sendPacket(socket, encodeResponse(response));
}

/** After a pre-dump only another one or the dump itself may come. */
function isInPlace(type: criu_req_type, hasPreDumped: boolean): boolean {
	if (hasPreDumped) return type === PRE_DUMP || type === criu_req_type.DUMP;
	return criu_req_type[type] !== undefined && type !== criu_req_type.EMPTY && type !== criu_req_type.NOTIFY;
}

async function converse(setup: WorkerSetup): Promise<number> {
	const { socket, place, printError } = setup;
	const client = readPeerCredentials(socket);
	const isStranger = place === "service";
	const isRestricted = isStranger && !isTrusted(client);
	if (isRestricted && process.geteuid?.() === 0) takeFileRights(socket, client);
	for (let hasPreDumped = false; ; ) {
		const request = nextRequest(setup);
		if (request === undefined) return EXIT_BROKEN;
		const { type, keepOpen } = request;
		if (!isInPlace(type, hasPreDumped)) {
			printError(`error: a request of type ${criu_req_type[type] ?? type} can't be answered\n`);
			reply(socket, noAnswer());
			return EXIT_BROKEN;
		}
		if (keepOpen && !KEEPS_OPEN.has(type)) {
			printError(`error: keep_open can't be used with a request of type ${criu_req_type[type]}\n`);
			return EXIT_BROKEN;
		}
		watchStopSignals();
		const done = await answer({ ...setup, request, client, isStranger, isRestricted });
		endSignalWatch();
		const delivered = done.response === undefined || reply(socket, done.response);
		closeLogUnlessNeeded(done);
		done.afterwards?.();
		if (!delivered) return EXIT_FAILED;
		hasPreDumped = type === PRE_DUMP && done.exitCode === 0;
		if (!keepOpen && !hasPreDumped) return done.exitCode;
	}
}

/** A program that we become writes on to the log. */
function closeLogUnlessNeeded({ afterwards }: Done): void {
	if (afterwards === undefined) closeLog();
}

/** Serves a connection to its end; the exit code. @throws UsageError BAD_SOCKET */
export async function serveConnection(setup: WorkerSetup): Promise<number> {
	const { socket } = setup;
	if (!isPacketSocket(socket))
		throw new UsageError("BAD_SOCKET", `descriptor ${socket} is no connected unix socket of type SOCK_SEQPACKET`, {
			remedy: "give the number of one end of a socketpair, open and not close-on-exec",
		});
	// What was said up to here isn't about any request.
	closeLog();
	return await converse(setup);
}
