// SPDX-License-Identifier: GPL-2.0-only
// Which sort of socket a descriptor is. Source: socket(7) SO_DOMAIN, SO_TYPE, SO_PROTOCOL.

import { O_PATH } from "../../kernel/abi/fcntl.ts";
import { SO_DOMAIN, SO_GET_FILTER, SO_PROTOCOL, SO_TYPE, SOL_SOCKET } from "../../kernel/abi/socket.ts";
import { S_IFMT, S_IFSOCK } from "../../kernel/abi/stat.ts";
import { OptionReader } from "../../sys/socket.ts";
import type { FdFacts } from "../kind.ts";

export interface SocketFacts {
	/** AF_*. */
	readonly family: number;
	/** SOCK_*, without flags. */
	readonly type: number;
	/** IPPROTO_*, NETLINK_* and the like; 0 where the family has none. */
	readonly protocol: number;
	/** Something filters what it receives. */
	readonly hasFilter?: boolean;
}

/** The filter isn't read, only its length is asked for. */
const ASKED = [SO_DOMAIN, SO_TYPE, SO_PROTOCOL, SO_GET_FILTER].map((name) => ({
	level: SOL_SOCKET,
	name,
	capacity: name === SO_GET_FILTER ? 0 : 4,
}));
let reader: OptionReader | undefined;

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
	reader ??= new OptionReader(ASKED);
	reader.read(file.ownFd);
	const [family = 0, type = 0, protocol = 0] = [0, 1, 2].map((index) => reader?.findInt(index));
	const facts = { family, type, protocol, hasFilter: reader.isFilled(3) };
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
