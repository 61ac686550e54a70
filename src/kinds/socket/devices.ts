// SPDX-License-Identifier: GPL-2.0-only
// Network devices by name and number, in the network namespace of this process. Source: netdevice(7).

import { KernelError, UnsupportedError } from "../../errors.ts";
import { errnoNumber } from "../../kernel/abi/errno.ts";
import { Ifreq } from "../../kernel/abi/inet.ts";
import { AF_INET, SIOCGIFINDEX, SIOCGIFNAME, SOCK_CLOEXEC, SOCK_DGRAM } from "../../kernel/abi/socket.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { SYS_ioctl, SYS_socket } from "../../kernel/abi/syscalls.x86_64.ts";
import { closeFd, showPath } from "../../sys/file.ts";
import { mustSyscall, syscall } from "../../sys/host.ts";

const IFNAMSIZ = 16;

function request(call: number, about: Uint8Array): Uint8Array | undefined {
	const fd = mustSyscall("to ask for a device", SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const ret = syscall(SYS_ioctl, fd, call, about);
	closeFd(fd);
	if (ret === -errnoNumber("ENODEV")) return undefined;
	if (ret < 0) throw new KernelError("ioctl", -ret, "of a network device");
	return about;
}

/** The name of a device; undefined when there is none of that number. @throws KernelError */
export function findDeviceName(index: number): Uint8Array | undefined {
	const answer = request(SIOCGIFNAME, Ifreq.encode({ ifr_ifindex: index }));
	const name = answer?.subarray(0, IFNAMSIZ);
	return name?.slice(0, name.indexOf(0));
}

/** The number of a device. @throws UnsupportedError when this host has none of that name */
export function getDeviceIndex(name: Uint8Array, what: string): number {
	const answer = name.length < IFNAMSIZ ? request(SIOCGIFINDEX, Ifreq.encode({ ifr_name: name })) : undefined;
	if (answer !== undefined) return Ifreq.read(viewOf(answer)).ifr_ifindex;
	throw new UnsupportedError("NO_NETWORK_DEVICE", `${what} needs network device ${showPath(name)}, which isn't here`, {
		remedy: `give this host a network device ${showPath(name)}`,
	});
}
