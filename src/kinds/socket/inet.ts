// SPDX-License-Identifier: GPL-2.0-only
// Internet sockets, IPv4 and IPv6: TCP that listens or isn't connected, UDP, UDP-Lite, raw, ping. Options whose state the
// kernel doesn't tell are lost: programs of SO_ATTACH_REUSEPORT_*, flow labels, IP_MTU, anycast groups, keys of TCP Fast Open.
// Images: files.img (inet_sk_entry). Source: sock_diag(7), getsockopt(2).

import { fd_types } from "../../images/gen/fdinfo_pb.ts";
import { AF_INET, AF_INET6 } from "../../kernel/abi/socket.ts";
import type { FileKind } from "../kind.ts";
import { findInetBlockers } from "./inet-blockers.ts";
import { dumpInet } from "./inet-dump.ts";
import { finishInet, planInet } from "./inet-plan.ts";
import { hasFamily } from "./socket-facts.ts";

export const inetSocket: FileKind = {
	name: "internet socket",
	type: fd_types.INETSK,
	source: "sock_diag(7), getsockopt(2), /proc/net",
	matches: hasFamily(AF_INET, AF_INET6),
	findBlockers: findInetBlockers,
	dump: dumpInet,
	plan: planInet,
	finish: finishInet,
};
