// SPDX-License-Identifier: GPL-2.0-only
// Internet sockets: from facts to their entry in files.img.

import { fd_types, type file_entry, file_entrySchema } from "../../images/gen/fdinfo_pb.ts";
import { inet_sk_entrySchema } from "../../images/gen/socket_pb.ts";
import { create } from "../../images/index.ts";
import * as inet from "../../kernel/abi/inet.ts";
import * as so from "../../kernel/abi/socket.ts";
import { log } from "../../log.ts";
import { getIntOption } from "../../sys/socket.ts";
import { imageFlags, nameFd } from "../file/anon-inode.ts";
import type { DumpContext, FdFacts } from "../kind.ts";
import type { ExtraOption } from "./extra-options.ts";
import { hostLength, needsScope, showAddress, toWords } from "./inet-address.ts";
import { isConnection } from "./inet-blockers.ts";
import { type InetFacts, isBound, readInetFacts } from "./inet-facts.ts";
import { inetExtras } from "./inet-options.ts";
import { dumpIpOpts, dumpTcpOpts } from "./ip-opts.ts";
import { dumpGroups } from "./multicast.ts";
import { dumpSkOpts } from "./sk-opts.ts";
import { netNamespaceId } from "./socket-tables.ts";
import { dumpUdpQueue, showsQueue } from "./udp-queue.ts";

const NONE: readonly ExtraOption[] = [];

/** Networks may lose packets, and programs know; but nobody should have to guess. */
function tellLosses(file: FdFacts, facts: InetFacts): void {
	const { received, local, peer, pending } = facts;
	if (received > 0 && !showsQueue(facts))
		log.warn(
			`${nameFd(file)} at ${showAddress(local)}: packets that wait to be received (${received} bytes of kernel memory) are lost`,
		);
	if (pending > 0)
		log.warn(`${nameFd(file)} at ${showAddress(local)}: ${pending} connections that wait to be accepted are dropped`);
	if (isConnection(facts) && peer !== undefined)
		log.warn(`${nameFd(file)}: the connection ${showAddress(local)} to ${showAddress(peer)} will be closed`);
}

/** The entry of an internet socket that nothing stands against. @throws KernelError, CriuError */
export function dumpInet(file: FdFacts, id: number, context: DumpContext): file_entry {
	const facts = readInetFacts(file, context);
	tellLosses(file, facts);
	if (facts.received > 0 && showsQueue(facts)) dumpUdpQueue(file, id, context);
	const { family, type, protocol, local, peer, state, backlog, shutdown } = facts;
	const { ownFd } = file;
	// What ends needs no options that only we keep.
	const opts = dumpSkOpts(file, false, isConnection(facts) ? NONE : inetExtras(facts));
	const isTcp = type === so.SOCK_STREAM;
	const entry = create(inet_sk_entrySchema, {
		id,
		ino: Number(file.stat.ino & 0xffffffffn),
		family,
		type,
		proto: protocol,
		state,
		srcPort: local.port,
		dstPort: peer?.port ?? 0,
		flags: imageFlags(file),
		backlog,
		srcAddr: toWords(local.host),
		dstAddr: toWords(peer?.host ?? new Uint8Array(hostLength(family))),
		fown: file.fown,
		opts,
		ipOpts: dumpIpOpts(ownFd, facts),
		tcpOpts: dumpTcpOpts(ownFd, facts),
		groups: isTcp ? [] : dumpGroups(ownFd, family, context),
	});
	if (family === so.AF_INET6) entry.v6only = getIntOption(ownFd, inet.IPPROTO_IPV6, inet.IPV6_V6ONLY) !== 0;
	if (needsScope(local.host)) entry.ifname = opts.soBoundDev;
	// Who binds nothing isn't in the kernel's tables, and CRIU doesn't know where it is.
	if (isBound(facts) || state === inet.TCP_LISTEN) entry.nsId = netNamespaceId(context);
	if (shutdown !== 0) entry.shutdown = shutdown;
	return create(file_entrySchema, { type: fd_types.INETSK, id, isk: entry });
}
