// SPDX-License-Identifier: GPL-2.0-only
// Which sort of socket a descriptor is. Source: socket(7) SO_DOMAIN, SO_TYPE, SO_PROTOCOL.

import { O_PATH } from "../../kernel/abi/fcntl.ts";
import { SO_DOMAIN, SO_PROTOCOL, SO_TYPE, SOL_SOCKET } from "../../kernel/abi/socket.ts";
import { S_IFMT, S_IFSOCK } from "../../kernel/abi/stat.ts";
import { findIntOption, getIntOption } from "../../sys/socket.ts";
import type { FdFacts } from "../kind.ts";

export interface SocketFacts {
	/** AF_*. */
	readonly family: number;
	/** SOCK_*, without flags. */
	readonly type: number;
	/** IPPROTO_*, NETLINK_* and the like; 0 where the family has none. */
	readonly protocol: number;
}

const known = new WeakMap<FdFacts, SocketFacts>();

/** True for a descriptor of a socket, and for a handle (O_PATH) of one. */
export function isSocket(file: FdFacts): boolean {
	return (file.stat.mode & S_IFMT) === S_IFSOCK;
}

/** The sort of a socket, read once; undefined for other files and for handles (O_PATH), which tell nothing. */
export function findSocketFacts(file: FdFacts): SocketFacts | undefined {
	if (!isSocket(file) || (file.info.flags & O_PATH) !== 0) return undefined;
	const before = known.get(file);
	if (before !== undefined) return before;
	const { ownFd } = file;
	const facts = {
		family: getIntOption(ownFd, SOL_SOCKET, SO_DOMAIN),
		type: getIntOption(ownFd, SOL_SOCKET, SO_TYPE),
		protocol: findIntOption(ownFd, SOL_SOCKET, SO_PROTOCOL) ?? 0,
	};
	known.set(file, facts);
	return facts;
}

/** Says whether a descriptor is a socket of one of these families. */
export function hasFamily(...families: readonly number[]): (file: FdFacts) => boolean {
	return (file) => {
		const facts = findSocketFacts(file);
		return facts !== undefined && families.includes(facts.family);
	};
}
