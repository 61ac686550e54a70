// SPDX-License-Identifier: GPL-2.0-only
// Why an internet socket can't be kept.

import { type CriuError, PassingError, UnsupportedError } from "../../errors.ts";
import { EPOLLERR } from "../../kernel/abi/event-files.ts";
import * as inet from "../../kernel/abi/inet.ts";
import * as so from "../../kernel/abi/socket.ts";
import { findIntOption, findOption } from "../../sys/socket.ts";
import { nameFd, refuseFd } from "../file/anon-inode.ts";
import { readPoll } from "../file/open-files.ts";
import type { DumpContext, FdFacts } from "../kind.ts";
import { showAddress } from "./inet-address.ts";
import { type InetFacts, isPing, readInetFacts } from "./inet-facts.ts";
import { findSkOptsBlockers } from "./sk-opts.ts";
import { findSocketFacts, type SocketFacts } from "./socket-facts.ts";
import { showsQueue } from "./udp-queue.ts";

const CLOSE = "close it in the program first";
const STATES: Readonly<Record<number, string>> = {
	[inet.TCP_ESTABLISHED]: "connection",
	[inet.TCP_SYN_SENT]: "connection that's being made",
	[inet.TCP_SYN_RECV]: "connection that's being made",
	[inet.TCP_CLOSE]: "connection that has ended",
};
const PROTOCOLS: Readonly<Record<number, string>> = {
	[inet.IPPROTO_DCCP]: "a DCCP socket",
	[inet.IPPROTO_SCTP]: "an SCTP socket",
	[inet.IPPROTO_MPTCP]: "a Multipath TCP socket",
	[inet.IPPROTO_L2TP]: "an L2TP socket",
	[inet.IPPROTO_SMC]: "an SMC socket",
};
const MAX_ULP_NAME = 16;

/** Sorts of socket that are kept. */
function isKnown(facts: SocketFacts): boolean {
	const { type, protocol } = facts;
	if (type === so.SOCK_STREAM) return protocol === inet.IPPROTO_TCP;
	if (type === so.SOCK_RAW) return true;
	if (type !== so.SOCK_DGRAM) return false;
	return protocol === inet.IPPROTO_UDP || protocol === inet.IPPROTO_UDPLITE || isPing(facts);
}

/** True for a TCP socket that is or was connected. */
export function isConnection({ protocol, type, peer }: Pick<InetFacts, "protocol" | "type" | "peer">): boolean {
	return protocol === inet.IPPROTO_TCP && type === so.SOCK_STREAM && peer !== undefined;
}

function findConnectionBlockers(file: FdFacts, facts: InetFacts, context: DumpContext): CriuError[] {
	if (context.options.tcpClose) return [];
	const { local, peer, state } = facts;
	const both = peer === undefined ? showAddress(local) : `${showAddress(local)} to ${showAddress(peer)}`;
	return [
		new UnsupportedError(
			"TCP_CONNECTION",
			`${nameFd(file)} is a TCP ${STATES[state] ?? "connection that's ending"}, ${both}: connections come with TCP support`,
			{ remedy: "let the connection be closed at the restore, by --tcp-close for both dump and restore" },
		),
	];
}

function findTcpBlockers(file: FdFacts, facts: InetFacts, context: DumpContext): CriuError[] {
	if (isConnection(facts)) return findConnectionBlockers(file, facts, context);
	const found: CriuError[] = [];
	const { pending, local } = facts;
	if (pending > 0 && !context.options.tcpSkipInFlight)
		found.push(
			new UnsupportedError(
				"TCP_IN_FLIGHT",
				`${nameFd(file)} listens at ${showAddress(local)}, where ${pending} connection${pending === 1 ? " waits" : "s wait"} to be accepted`,
				{ remedy: "let the program accept them first, or let them be dropped by --skip-in-flight" },
			),
		);
	const ulp = findOption(file.ownFd, so.SOL_TCP, inet.TCP_ULP, MAX_ULP_NAME);
	if (ulp !== undefined && ulp.length > 0 && ulp[0] !== 0)
		found.push(refuseFd(file, "has another protocol on top of TCP (TCP_ULP)", CLOSE));
	return found;
}

function findDatagramBlockers(file: FdFacts, facts: InetFacts): CriuError[] {
	const found: CriuError[] = [];
	if (facts.type === so.SOCK_DGRAM && facts.unsent > 0)
		found.push(
			new PassingError("UNSENT_DATA", `${nameFd(file)} has data that isn't sent yet (UDP_CORK or MSG_MORE)`, {
				remedy: "try again, or let the program send it first (UDP_CORK 0)",
			}),
		);
	// To look at the queue would take the error away.
	if (facts.received > 0 && showsQueue(facts) && (readPoll(file.ownFd, EPOLLERR) & EPOLLERR) !== 0)
		found.push(
			new PassingError(
				"UNREAD_ERROR",
				`${nameFd(file)} has an error that nobody has read yet, and datagrams behind it`,
				{
					remedy: "try again, or let the program read the error first (SO_ERROR, MSG_ERRQUEUE)",
				},
			),
		);
	const encap = findIntOption(file.ownFd, so.SOL_UDP, inet.UDP_ENCAP) ?? 0;
	if (facts.protocol === inet.IPPROTO_UDP && encap !== 0 && encap !== inet.UDP_ENCAP_ESPINUDP)
		found.push(refuseFd(file, "carries a tunnel of the kernel (UDP_ENCAP)", CLOSE));
	return found;
}

/** All findings about one internet socket. */
export function findInetBlockers(file: FdFacts, context: DumpContext): CriuError[] {
	const facts = findSocketFacts(file);
	if (facts === undefined) return [];
	if (!isKnown(facts)) {
		const name = PROTOCOLS[facts.protocol] ?? `an internet socket of protocol ${facts.protocol}`;
		return [refuseFd(file, `is ${name}: its state isn't dumped by this version`, CLOSE)];
	}
	const read = readInetFacts(file, context);
	const own = facts.type === so.SOCK_STREAM ? findTcpBlockers(file, read, context) : findDatagramBlockers(file, read);
	return [...own, ...findSkOptsBlockers(file)];
}
