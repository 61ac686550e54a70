// SPDX-License-Identifier: GPL-2.0-only
// Sockets that can't be kept yet, or not at all: by family, each with the reason and what the user can do.

import * as so from "../../kernel/abi/socket.ts";
import type { UnsupportedFileKind } from "../kind.ts";
import { hasFamily, isSocket } from "./socket-facts.ts";

const CLOSE = "close it in the program first";
const OUTSIDE = "what it's connected to isn't part of the process";
const NO_STATE = "the kernel doesn't tell its state";

function family(name: string, number: number, reason: string, remedy = CLOSE): UnsupportedFileKind {
	return { name, type: undefined, unsupported: true, matches: hasFamily(number), reason, remedy };
}

/** In the order of matching; the last one takes any socket. */
export const UNSUPPORTED_SOCKETS: readonly UnsupportedFileKind[] = [
	family("vsock socket (connection with a virtual machine's host)", so.AF_VSOCK, OUTSIDE),
	family("IPsec key socket", so.AF_KEY, NO_STATE),
	family("RDS socket", so.AF_RDS, OUTSIDE),
	family("CAN bus socket", so.AF_CAN, NO_STATE),
	family("TIPC socket", so.AF_TIPC, OUTSIDE),
	family("Bluetooth socket", so.AF_BLUETOOTH, OUTSIDE),
	family("socket of the kernel's cryptography (AF_ALG)", so.AF_ALG, NO_STATE),
	family("KCM socket", so.AF_KCM, NO_STATE),
	family("Qualcomm router socket", so.AF_QIPCRTR, OUTSIDE),
	family("SMC socket", so.AF_SMC, OUTSIDE),
	family("XDP socket", so.AF_XDP, "it's wired to a network device's queues"),
	family("MCTP socket", so.AF_MCTP, OUTSIDE),
	{
		name: "socket of an unknown family, or a handle (O_PATH) of a socket",
		type: undefined,
		unsupported: true,
		matches: isSocket,
		reason: "nothing is known about how to dump it",
		remedy: CLOSE,
	},
];
