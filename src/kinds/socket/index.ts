// SPDX-License-Identifier: GPL-2.0-only
// All kinds of socket: one line each. Order is the order of matching.

import type { FileKind, UnsupportedFileKind } from "../kind.ts";
import { inetSocket } from "./inet.ts";
import { netlinkSocket } from "./netlink.ts";
import { packetSocket } from "./packet.ts";
import { unixSocket } from "./unix.ts";
import { UNSUPPORTED_SOCKETS } from "./unsupported.ts";

export const SOCKET_KINDS: readonly (FileKind | UnsupportedFileKind)[] = [
	unixSocket,
	inetSocket,
	netlinkSocket,
	packetSocket,
	...UNSUPPORTED_SOCKETS,
];
