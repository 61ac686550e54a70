// SPDX-License-Identifier: GPL-2.0-only
// The names that `criu check --feature` knows, with what each means: data only, so that help needs no kernel access.

export interface Feature {
	readonly name: string;
	readonly meaning: string;
	/** `extra` and `experimental`: also part of that check level; `named`: only when asked for by name. */
	readonly level: "extra" | "experimental" | "named";
}

function feature(name: string, meaning: string, level: Feature["level"] = "extra"): Feature {
	return { name, meaning, level };
}

export const features = [
	feature("mnt_id", "mount id in fdinfo"),
	feature("mem_dirty_track", "tracking of changed memory"),
	feature("aio_remap", "AIO rings can be moved"),
	feature("timerfd", "state of timerfds in fdinfo"),
	feature("tun", "tun devices"),
	feature("tun_ns", "network namespace of tun devices", "named"),
	feature("userns", "user namespaces"),
	feature("fdinfo_lock", "file locks in fdinfo"),
	feature("seccomp_suspend", "seccomp can be suspended by a tracer"),
	feature("seccomp_filters", "seccomp filters can be read"),
	feature("loginuid", "loginuid can be set"),
	feature("cgroupns", "cgroup namespaces"),
	feature("autofs", "autofs mounts show their pipe", "experimental"),
	feature("tcp_half_closed", "TCP repair of half-closed connections"),
	feature("compat_cr", "32-bit programs", "experimental"),
	feature("uffd", "userfaultfd"),
	feature("uffd-noncoop", "userfaultfd events for fork and remapping"),
	feature("can_map_vdso", "the vdso can be mapped anew"),
	feature("sk_ns", "network namespace of a socket"),
	feature("sk_unix_file", "file of a bound unix socket", "named"),
	feature("net_diag_raw", "raw sockets in sock_diag"),
	feature("nsid", "ids of network namespaces", "named"),
	feature("link_nsid", "ids of the network namespaces of links", "named"),
	feature("kcmp_epoll", "kcmp finds files in epoll sets"),
	feature("timens", "time namespaces"),
	feature("external_net_ns", "external network namespaces", "named"),
	feature("clone3_set_tid", "processes with chosen pids"),
	feature("newifindex", "links with chosen index in another namespace"),
	feature("nftables", "built with nftables", "named"),
	feature("has_ipt_legacy", "legacy iptables programs", "named"),
	feature("pidfd_store", "pidfd_open and pidfd_getfd"),
	feature("ns_pid", "NSpid in status"),
	feature("apparmor_stacking", "AppArmor namespaces", "named"),
	feature("network_lock_nftables", "network lock by nftables"),
	feature("sockopt_buf_lock", "locks of socket buffer sizes"),
	feature("memfd_hugetlb", "memfds of huge pages"),
	feature("move_mount_set_group", "mount groups can be copied"),
	feature("openat2", "openat2"),
	feature("get_rseq_conf", "rseq registration can be read"),
	feature("ipv6_freebind", "IPV6_FREEBIND"),
	feature("pagemap_scan", "PAGEMAP_SCAN"),
	feature("timer_cr_ids", "POSIX timers with chosen ids"),
	feature("overlayfs_maps", "maps and stat agree on overlayfs"),
	feature("breakpoints", "hardware breakpoints by ptrace", "named"),
	feature("pagemap_scan_guard_pages", "PAGEMAP_SCAN reports guard pages"),
] as const satisfies readonly Feature[];
