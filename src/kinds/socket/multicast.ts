// SPDX-License-Identifier: GPL-2.0-only
// Multicast groups that a socket has joined. The kernel tells of a group only to those who name it: all groups of all devices
// are asked for. Images: inet_sk_entry.groups. Source: ip(7), RFC 3678.

import type { Arg, Program } from "../../agent/program.ts";
import { BugError, KernelError } from "../../errors.ts";
import { type group_entry, group_entrySchema, type inet_sk_entry } from "../../images/gen/socket_pb.ts";
import { create } from "../../images/index.ts";
import { errnoNumber } from "../../kernel/abi/errno.ts";
import * as inet from "../../kernel/abi/inet.ts";
import { AF_INET } from "../../kernel/abi/socket.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { SYS_getsockopt, SYS_setsockopt } from "../../kernel/abi/syscalls.x86_64.ts";
import { type DeviceGroup, readDeviceGroups } from "../../kernel/procfs/net-sockets.ts";
import { syscall } from "../../sys/host.ts";
import { corruptImage } from "../file/image-checks.ts";
import type { DumpContext } from "../kind.ts";
import { findDeviceName, getDeviceIndex } from "./devices.ts";
import { encodeSockaddr, fromWords, hostLength, parseSockaddr, showHost, toWords } from "./inet-address.ts";

const SOCKADDR_STORAGE = 128;
const { gf_slist: HEAD_SIZE, gf_fmode, gf_numsrc } = inet.GroupFilter.offsets;
/** The kernel's own border is memory; more sources than these nobody has. */
const MAX_SOURCES = 1024;
const MAX_GROUPS = 4096;
const IPPROTO = (family: number) => (family === AF_INET ? inet.IPPROTO_IP : inet.IPPROTO_IPV6);

const storage = (host: Uint8Array) => encodeSockaddr({ host, port: 0, scope: 0 });

/** A filter without sources, with room for some. */
function encodeFilter(device: number, group: Uint8Array, sources: readonly Uint8Array[], mode: number, room = 0) {
	const bytes = new Uint8Array(HEAD_SIZE + Math.max(sources.length, room) * SOCKADDR_STORAGE);
	const head = inet.GroupFilter.encode({
		gf_interface: device,
		gf_group: storage(group),
		gf_fmode: mode,
		gf_numsrc: Math.max(sources.length, room),
	});
	bytes.set(head.subarray(0, HEAD_SIZE));
	for (const [i, source] of sources.entries()) bytes.set(storage(source), HEAD_SIZE + i * SOCKADDR_STORAGE);
	return bytes;
}

/** Asks a socket for its membership of one group; undefined when it has none. */
function readFilter(fd: number, { device, group }: DeviceGroup, room = 0): Uint8Array | undefined {
	const filter = encodeFilter(device, group, [], inet.MCAST_EXCLUDE, room);
	const length = Uint32Array.of(filter.length);
	const level = IPPROTO(group.length === 4 ? AF_INET : 0);
	const ret = syscall(SYS_getsockopt, fd, level, inet.MCAST_MSFILTER, filter, length);
	if (ret === 0) {
		const count = viewOf(filter).getUint32(gf_numsrc, true);
		if (count <= room) return filter.subarray(0, HEAD_SIZE + count * SOCKADDR_STORAGE);
		if (room > 0 || count > MAX_SOURCES) throw new BugError(`a group with ${count} sources`);
		return readFilter(fd, { device, group }, count);
	}
	if (["EADDRNOTAVAIL", "EINVAL", "ENOPROTOOPT", "ENODEV"].some((name) => ret === -errnoNumber(name))) return undefined;
	throw new KernelError("getsockopt", -ret, "of a multicast group");
}

function decodeMembership({ device, group }: DeviceGroup, filter: Uint8Array): group_entry {
	const sources: Uint8Array[] = [];
	for (let at = HEAD_SIZE; at < filter.length; at += SOCKADDR_STORAGE) {
		const source = parseSockaddr(filter.subarray(at, at + SOCKADDR_STORAGE));
		if (source !== undefined) sources.push(source.host);
	}
	const name = findDeviceName(device);
	if (name === undefined) throw new KernelError("ioctl", errnoNumber("ENODEV"), `of network device ${device}`);
	const exclude = viewOf(filter).getUint32(gf_fmode, true) === inet.MCAST_EXCLUDE;
	return create(group_entrySchema, { device: name, group: toWords(group), exclude, sources });
}

/** Groups that every device is in by itself: a socket that asks for them too is rare, and it hears them anyway. */
function isEverybodys({ group }: DeviceGroup): boolean {
	if (group.length === 4) return group.join(".") === "224.0.0.1";
	return showHost(group) === "ff02::1" || showHost(group) === "ff01::1";
}

/** All groups that a socket which isn't of TCP has joined. @throws KernelError, CriuError PROC_PARSE */
export function dumpGroups(fd: number, family: number, context: Pick<DumpContext, "once">): group_entry[] {
	const versions = family === AF_INET ? ([4] as const) : ([4, 6] as const);
	return versions.flatMap((version) => {
		const groups = context.once(`device-groups:${version}`, () =>
			readDeviceGroups(version).filter((group) => !isEverybodys(group)),
		);
		return groups.flatMap((group) => {
			const filter = readFilter(fd, group);
			return filter === undefined ? [] : [decodeMembership(group, filter)];
		});
	});
}

/** Adds what lets a socket join its groups. @throws ImageError, UnsupportedError */
export function planGroups(program: Program, fd: Arg, { id, groups }: inet_sk_entry): void {
	if (groups.length > MAX_GROUPS) throw corruptImage("files.img", `socket ${id} is in ${groups.length} groups`);
	for (const { device, group: words, exclude, sources } of groups) {
		const family = words.length === 1 ? AF_INET : 0;
		const group = fromWords(id, "a group", words, family);
		if (sources.length > MAX_SOURCES || sources.some((source) => source.length !== hostLength(family)))
			throw corruptImage("files.img", `the sources of a group of socket ${id}`);
		const what = `join multicast group ${showHost(group)}`;
		const index = getDeviceIndex(device, `socket ${id}, which was in multicast group ${showHost(group)},`);
		const join = inet.GroupReq.encode({ gr_interface: index, gr_group: storage(group) });
		program.syscall(what, SYS_setsockopt, [fd, IPPROTO(family), inet.MCAST_JOIN_GROUP, join, join.length], {
			remedies: { ENOBUFS: "raise the sysctl net.ipv4.igmp_max_memberships" },
		});
		if (exclude && sources.length === 0) continue;
		const mode = exclude ? inet.MCAST_EXCLUDE : inet.MCAST_INCLUDE;
		const filter = encodeFilter(index, group, sources, mode);
		program.syscall(`choose the sources of ${showHost(group)}`, SYS_setsockopt, [
			fd,
			IPPROTO(family),
			inet.MCAST_MSFILTER,
			filter,
			filter.length,
		]);
	}
}
