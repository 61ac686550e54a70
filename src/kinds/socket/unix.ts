// SPDX-License-Identifier: GPL-2.0-only
// Unix sockets: streams, datagrams and packets, connected or not, with what waits in them and what comes along with that.
// Images: files.img (unix_sk_entry), sk-queues.img. Source: unix(7), sock_diag(7).

import { fd_types } from "../../images/gen/fdinfo_pb.ts";
import type { DumpContext, FdFacts, FileKind } from "../kind.ts";
import { findSkOptsBlockers } from "./sk-opts.ts";
import { findUnixBlockers } from "./unix-blockers.ts";
import { dumpUnix } from "./unix-dump.ts";
import { planLastUnix } from "./unix-late.ts";
import { finishUnix, planUnix } from "./unix-plan.ts";
import { isUnix } from "./unix-tree.ts";

/** Unix sockets. */
export const unixSocket: FileKind = {
	name: "unix socket",
	type: fd_types.UNIXSK,
	source: "sock_diag(7), getsockopt(2), recv(2) MSG_PEEK",
	matches: isUnix,
	findBlockers: (file: FdFacts, context: DumpContext) => [
		...findUnixBlockers(file, context),
		...findSkOptsBlockers(file),
	],
	dump: dumpUnix,
	plan: planUnix,
	planLast: planLastUnix,
	finish: finishUnix,
};
