// SPDX-License-Identifier: GPL-2.0-only
// Probes of kernel functions that criu can try on itself. Each gives undefined when the function is there, otherwise what
// is missing, or throws the KernelError of the call that failed. None leaves anything behind.

import { readdirSync, readFileSync } from "node:fs";
import { ARCH_MAP_VDSO_64 } from "../kernel/abi/arch-prctl.x86_64.ts";
import { errnoName } from "../kernel/abi/errno.ts";
import {
	EPOLL_CLOEXEC,
	EPOLL_CTL_ADD,
	EPOLLIN,
	EpollEvent,
	IN_ALL_EVENTS,
	IN_CLOEXEC,
	SFD_CLOEXEC,
	TFD_CLOEXEC,
} from "../kernel/abi/event-files.ts";
import {
	AT_FDCWD,
	F_GETOWNER_UIDS,
	LOCK_SH,
	O_CLOEXEC,
	O_PATH,
	O_RDONLY,
	O_RDWR,
	OpenHow,
} from "../kernel/abi/fcntl.ts";
import { IPPROTO_IPV6, IPV6_FREEBIND } from "../kernel/abi/inet.ts";
import { PAGEMAP_SCAN, TIOCGPTLCK, UFFDIO_API } from "../kernel/abi/ioctl.ts";
import { KCMP_EPOLL_TFD, KCMP_VM, KcmpEpollSlot } from "../kernel/abi/kcmp.ts";
import { MFD_CLOEXEC, MFD_HUGETLB } from "../kernel/abi/mman.ts";
import { MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_SET_GROUP, MOVE_MOUNT_T_EMPTY_PATH } from "../kernel/abi/mount.ts";
import { PAGE_IS_GUARD, PmScanArg } from "../kernel/abi/pagemap-scan.ts";
import {
	PR_GET_TID_ADDRESS,
	PR_SET_MM,
	PR_SET_MM_MAP_SIZE,
	PR_TIMER_CREATE_RESTORE_IDS,
	PR_TIMER_CREATE_RESTORE_IDS_GET,
} from "../kernel/abi/prctl.ts";
import {
	AF_INET6,
	AF_UNIX,
	SO_BUF_LOCK,
	SO_PEEK_OFF,
	SOCK_DGRAM,
	SOCK_STREAM,
	SOL_SOCKET,
} from "../kernel/abi/socket.ts";
import * as nr from "../kernel/abi/syscalls.x86_64.ts";
import {
	UFFD_API,
	UFFD_FEATURE_EVENT_FORK,
	UFFD_FEATURE_EVENT_REMAP,
	UFFD_FEATURE_EVENT_REMOVE,
	UFFD_FEATURE_EVENT_UNMAP,
} from "../kernel/abi/userfaultfd.ts";
import { closeFd, openAt, scopedFd, toCString } from "../sys/file.ts";
import { addressOf, mustSyscall, syscall } from "../sys/host.ts";
import { getPidfdFd, openPidfd } from "../sys/process.ts";

/** undefined: there. A text: what is missing. */
export type Probe = () => string | undefined;

const SIOCGSKNS = 0x894c;
const SIOCUNIXFILE = 0x89e0;
const TUNGETFEATURES = 0x800454cf;

/** A descriptor from a system call, closed at the end of the block. */
function take(
	what: string,
	number: number,
	...args: Parameters<typeof mustSyscall> extends [string, number, ...infer A] ? A : never
) {
	return scopedFd(mustSyscall(what, number, ...args));
}

/** Missing unless the call succeeds or fails with one of `tolerated`, which a kernel without the function never gives. */
function tolerate(ret: number, missing: string, ...tolerated: string[]): string | undefined {
	if (ret >= 0 || tolerated.includes(errnoName(-ret))) return undefined;
	return `${missing} (${errnoName(-ret)})`;
}

/** Looks for a line that starts with `field` in the fdinfo of a descriptor of ours. */
function findFdinfo(fd: number, field: string): string | undefined {
	const text = readFileSync(`/proc/self/fdinfo/${fd}`, "latin1");
	return text.split("\n").some((line) => line.startsWith(field)) ? undefined : `fdinfo has no ${field} line`;
}

/** Looks for a file; undefined when it's there. */
function findFile(path: string): Probe {
	return () => {
		closeFd(openAt(path, O_PATH | O_CLOEXEC));
		return undefined;
	};
}

export const probeMapFiles: Probe = () => {
	const first = readdirSync("/proc/self/map_files")[0];
	if (first === undefined) return "/proc/self/map_files is empty";
	closeFd(openAt(`/proc/self/map_files/${first}`, O_PATH | O_CLOEXEC));
	return undefined;
};

export const probeKcmp: Probe = () => {
	mustSyscall("of criu with itself", nr.SYS_kcmp, process.pid, process.pid, KCMP_VM, 0, 0);
	return undefined;
};

export const probeTidAddress: Probe = () => {
	mustSyscall("PR_GET_TID_ADDRESS", nr.SYS_prctl, PR_GET_TID_ADDRESS, new BigUint64Array(1), 0, 0, 0);
	return undefined;
};

export const probeSetMmMap: Probe = () => {
	const size = new Uint32Array(1);
	mustSyscall("PR_SET_MM_MAP_SIZE", nr.SYS_prctl, PR_SET_MM, PR_SET_MM_MAP_SIZE, size, 0, 0);
	return undefined;
};

export const probeOwnerUids: Probe = () => {
	using file = scopedFd(openAt("/proc/self/stat", O_RDONLY | O_CLOEXEC));
	mustSyscall("F_GETOWNER_UIDS", nr.SYS_fcntl, file.fd, F_GETOWNER_UIDS, new Uint32Array(2));
	return undefined;
};

/** Since Linux 3.5 the line has 52 fields; the last is the exit code. */
export const probeStatFields: Probe = () => {
	const text = readFileSync("/proc/self/stat", "latin1");
	const fields = text
		.slice(text.lastIndexOf(")") + 2)
		.trim()
		.split(" ");
	return fields.length >= 50 ? undefined : `/proc/self/stat has ${fields.length + 2} fields instead of 52`;
};

export const probeEventFdinfo: Probe = () => {
	using eventfd = take("", nr.SYS_eventfd2, 0, O_CLOEXEC);
	using signalfd = take("", nr.SYS_signalfd4, -1, new BigUint64Array(1), 8, SFD_CLOEXEC);
	using epoll = take("", nr.SYS_epoll_create1, EPOLL_CLOEXEC);
	using inotify = take("", nr.SYS_inotify_init1, IN_CLOEXEC);
	mustSyscall(
		"of an eventfd",
		nr.SYS_epoll_ctl,
		epoll.fd,
		EPOLL_CTL_ADD,
		eventfd.fd,
		EpollEvent.encode({ events: EPOLLIN }),
	);
	mustSyscall("of /", nr.SYS_inotify_add_watch, inotify.fd, toCString("/"), IN_ALL_EVENTS);
	return (
		findFdinfo(eventfd.fd, "eventfd-count:") ??
		findFdinfo(signalfd.fd, "sigmask:") ??
		findFdinfo(epoll.fd, "tfd:") ??
		findFdinfo(inotify.fd, "inotify wd:")
	);
};

export const probePtyLock: Probe = () => {
	using master = scopedFd(openAt("/dev/ptmx", O_RDWR | O_CLOEXEC));
	mustSyscall("TIOCGPTLCK", nr.SYS_ioctl, master.fd, TIOCGPTLCK, new Uint32Array(1));
	return undefined;
};

export const probePeekOff: Probe = () => {
	using socket = take("", nr.SYS_socket, AF_UNIX, SOCK_DGRAM | O_CLOEXEC, 0);
	mustSyscall("SO_PEEK_OFF", nr.SYS_setsockopt, socket.fd, SOL_SOCKET, SO_PEEK_OFF, new Int32Array([-1]), 4);
	return undefined;
};

/** The vdso is there already, so a kernel that could map it answers EEXIST. Source: arch_prctl(2). */
export const probeMapVdso: Probe = () =>
	tolerate(syscall(nr.SYS_arch_prctl, ARCH_MAP_VDSO_64, 0), "arch_prctl cannot map the vdso", "EEXIST");

export const probePidfd: Probe = () => {
	using target = take("", nr.SYS_eventfd2, 0, O_CLOEXEC);
	using pidfd = scopedFd(openPidfd(process.pid));
	closeFd(getPidfdFd(pidfd.fd, target.fd));
	return undefined;
};

export const probeMountId: Probe = () => {
	using file = scopedFd(openAt("/", O_PATH | O_CLOEXEC));
	return findFdinfo(file.fd, "mnt_id:");
};

export const probeTimerfd: Probe = () => {
	using timer = take("", nr.SYS_timerfd_create, 1, TFD_CLOEXEC);
	return findFdinfo(timer.fd, "clockid:");
};

export const probeFdinfoLock: Probe = () => {
	using file = take("", nr.SYS_memfd_create, toCString("criu-probe"), MFD_CLOEXEC);
	mustSyscall("of a memfd", nr.SYS_flock, file.fd, LOCK_SH);
	return findFdinfo(file.fd, "lock:");
};

function scanNoPages(category: bigint): number {
	using pagemap = scopedFd(openAt("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
	const argument = PmScanArg.encode({ size: 96n, category_mask: category, return_mask: category });
	return syscall(nr.SYS_ioctl, pagemap.fd, PAGEMAP_SCAN, argument);
}

export const probePagemapScan: Probe = () => tolerate(scanNoPages(0n), "the PAGEMAP_SCAN ioctl is missing");
export const probeGuardPages: Probe = () =>
	tolerate(scanNoPages(PAGE_IS_GUARD), "PAGEMAP_SCAN does not know guard pages");

/** Soft-dirty shows as `sd` among the flags of fresh mappings. Source: proc_pid_smaps(5). */
export const probeMemoryTracking: Probe = () => {
	if (probePagemapScan() === undefined) return undefined;
	return /^VmFlags:.* sd/m.test(readFileSync("/proc/self/smaps", "latin1"))
		? undefined
		: "neither PAGEMAP_SCAN nor soft-dirty tracking is there";
};

export const probeKcmpEpoll: Probe = () => {
	using eventfd = take("", nr.SYS_eventfd2, 0, O_CLOEXEC);
	using epoll = take("", nr.SYS_epoll_create1, EPOLL_CLOEXEC);
	mustSyscall(
		"of an eventfd",
		nr.SYS_epoll_ctl,
		epoll.fd,
		EPOLL_CTL_ADD,
		eventfd.fd,
		EpollEvent.encode({ events: EPOLLIN }),
	);
	const slot = KcmpEpollSlot.encode({ efd: epoll.fd, tfd: eventfd.fd, toff: 0 });
	mustSyscall("KCMP_EPOLL_TFD", nr.SYS_kcmp, process.pid, process.pid, KCMP_EPOLL_TFD, eventfd.fd, addressOf(slot));
	return undefined;
};

function openUserfault(features: bigint): undefined {
	using uffd = take("", nr.SYS_userfaultfd, O_CLOEXEC);
	mustSyscall("UFFDIO_API", nr.SYS_ioctl, uffd.fd, UFFDIO_API, new BigUint64Array([UFFD_API, features, 0n]));
	return undefined;
}

export const probeUserfault: Probe = () => openUserfault(0n);
export const probeUserfaultEvents: Probe = () =>
	openUserfault(
		UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_EVENT_REMOVE,
	);

export const probeTimerIds: Probe = () =>
	tolerate(
		syscall(nr.SYS_prctl, PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_GET, 0, 0, 0),
		"the prctl PR_TIMER_CREATE_RESTORE_IDS is missing",
	);

export const probeOpenat2: Probe = () => {
	closeFd(
		mustSyscall(
			"of /",
			nr.SYS_openat2,
			AT_FDCWD,
			toCString("/"),
			OpenHow.encode({ flags: BigInt(O_PATH | O_CLOEXEC) }),
			24,
		),
	);
	return undefined;
};

/** Flags are looked at before descriptors: a kernel that knows the flag complains of the descriptor. */
export const probeSetGroup: Probe = () => {
	const flags = MOVE_MOUNT_SET_GROUP | MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
	const empty = toCString("");
	return tolerate(
		syscall(nr.SYS_move_mount, -1, empty, -1, empty, flags),
		"move_mount does not know MOVE_MOUNT_SET_GROUP",
		"EBADF",
	);
};

export const probeBufferLock: Probe = () => {
	using socket = take("", nr.SYS_socket, AF_UNIX, SOCK_STREAM | O_CLOEXEC, 0);
	mustSyscall(
		"SO_BUF_LOCK",
		nr.SYS_getsockopt,
		socket.fd,
		SOL_SOCKET,
		SO_BUF_LOCK,
		new Uint32Array(1),
		new Uint32Array([4]),
	);
	return undefined;
};

export const probeFreebind: Probe = () => {
	using socket = take("", nr.SYS_socket, AF_INET6, SOCK_STREAM | O_CLOEXEC, 0);
	mustSyscall("IPV6_FREEBIND", nr.SYS_setsockopt, socket.fd, IPPROTO_IPV6, IPV6_FREEBIND, new Int32Array([1]), 4);
	return undefined;
};

export const probeHugeMemfd: Probe = () => {
	using file = take("MFD_HUGETLB", nr.SYS_memfd_create, toCString("criu-probe"), MFD_CLOEXEC | MFD_HUGETLB);
	return file.fd >= 0 ? undefined : "no descriptor";
};

export const probeSocketNs: Probe = () => {
	using socket = take("", nr.SYS_socket, AF_UNIX, SOCK_STREAM | O_CLOEXEC, 0);
	closeFd(mustSyscall("SIOCGSKNS", nr.SYS_ioctl, socket.fd, SIOCGSKNS));
	return undefined;
};

/** An unbound socket has no file, which only a kernel that knows the request can tell. */
export const probeSocketFile: Probe = () => {
	using socket = take("", nr.SYS_socket, AF_UNIX, SOCK_STREAM | O_CLOEXEC, 0);
	return tolerate(syscall(nr.SYS_ioctl, socket.fd, SIOCUNIXFILE), "the SIOCUNIXFILE ioctl is missing", "ENOENT");
};

export const probeTun: Probe = () => {
	using tun = scopedFd(openAt("/dev/net/tun", O_RDWR | O_CLOEXEC));
	mustSyscall("TUNGETFEATURES", nr.SYS_ioctl, tun.fd, TUNGETFEATURES, new Uint32Array(1));
	return undefined;
};

export const probeTunNs: Probe = () => {
	using tun = scopedFd(openAt("/dev/net/tun", O_RDWR | O_CLOEXEC));
	closeFd(mustSyscall("SIOCGSKNS of a tun device", nr.SYS_ioctl, tun.fd, SIOCGSKNS));
	return undefined;
};

export const probeLoginUid: Probe = () => {
	closeFd(openAt("/proc/self/loginuid", O_RDWR | O_CLOEXEC));
	return undefined;
};

export const probeNsPid: Probe = () =>
	/^NSpid:/m.test(readFileSync("/proc/self/status", "latin1")) ? undefined : "/proc/self/status has no NSpid line";

export const probeAppArmorStack: Probe = () =>
	readFileSync("/sys/kernel/security/apparmor/features/domain/stack", "latin1").trim() === "yes"
		? undefined
		: "AppArmor profiles cannot be stacked";

export const probeUserNs: Probe = () => findFile("/proc/self/ns/user")() ?? probeSetMmMap();
export const probeCgroupNs = findFile("/proc/self/ns/cgroup");
export const probeTimeNs = findFile("/proc/self/timens_offsets");

/** Both families' programs must be found in the usual places. */
export const probeLegacyIptables: Probe = () => {
	for (const family of ["iptables", "ip6tables"]) {
		const candidates = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map((dir) => findFile(`${dir}/${family}-legacy`));
		if (!candidates.some(succeeds)) return `${family}-legacy is not installed`;
	}
	return undefined;
};

function succeeds(probe: Probe): boolean {
	try {
		return probe() === undefined;
	} catch {
		return false;
	}
}
