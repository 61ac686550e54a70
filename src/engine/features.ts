// SPDX-License-Identifier: GPL-2.0-only
// The names that `criu check --feature` knows, with what each means: data only, so that help needs no kernel access.

export interface Feature {
	readonly name: string;
	readonly meaning: string;
	/** `extra` and `experimental`: also part of that check level; `named`: only when asked for by name. */
	readonly level: "extra" | "experimental" | "named";
	/** How to get it, and what needs it. */
	readonly remedy?: string;
}

function feature(
	name: string,
	meaning: string,
	level: Feature["level"] = "extra",
	more: Pick<Feature, "remedy"> = {},
): Feature {
	return { name, meaning, level, ...more };
}

export const features = [
	feature("mnt_id", "mount id in fdinfo"),
	feature("mem_dirty_track", "tracking of changed memory", "extra", {
		remedy: "use Linux 6.7 or later, or a kernel with CONFIG_MEM_SOFT_DIRTY: incremental dumps need it",
	}),
	feature("aio_remap", "AIO rings can be moved", "extra", {
		remedy: "use a kernel with CONFIG_AIO: programs with io_setup need it",
	}),
	feature("timerfd", "state of timerfds in fdinfo"),
	feature("tun", "tun devices", "extra", {
		remedy: "load the module tun and provide /dev/net/tun: programs with tun devices need it (VPNs, virtual machines)",
	}),
	feature("tun_ns", "network namespace of tun devices", "named", {
		remedy: "load the module tun and provide /dev/net/tun: programs with tun devices need it",
	}),
	feature("userns", "user namespaces", "extra", {
		remedy: "use a kernel with CONFIG_USER_NS: rootless containers need it",
	}),
	feature("fdinfo_lock", "file locks in fdinfo"),
	feature("seccomp_suspend", "seccomp can be suspended by a tracer", "extra", {
		remedy:
			"run criu as root and outside of seccomp (docker: --security-opt seccomp=unconfined): programs with filters need it",
	}),
	feature("seccomp_filters", "seccomp filters can be read", "extra", {
		remedy:
			"use a kernel with CONFIG_SECCOMP_FILTER and run criu as root outside of seccomp: programs with filters need it",
	}),
	feature("loginuid", "loginuid can be set", "extra", {
		remedy: "use a kernel with CONFIG_AUDIT: programs of login sessions keep their login uid by it",
	}),
	feature("cgroupns", "cgroup namespaces", "extra", { remedy: "use a kernel with CONFIG_CGROUPS: containers need it" }),
	feature("autofs", "autofs mounts show their pipe", "experimental", {
		remedy: "load the module autofs4: containers with automounts need it",
	}),
	feature("tcp_half_closed", "TCP repair of half-closed connections", "extra", {
		remedy:
			"bring the loopback interface up (ip link set lo up) and run criu with CAP_NET_ADMIN: connections need it that one side has closed",
	}),
	feature("compat_cr", "32-bit programs", "experimental", {
		remedy:
			"use a kernel with CONFIG_IA32_EMULATION that isn't switched off (ia32_emulation=1): 32-bit programs need it",
	}),
	feature("uffd", "userfaultfd", "extra", { remedy: "use a kernel with CONFIG_USERFAULTFD: lazy restores need it" }),
	feature("uffd-noncoop", "userfaultfd events for fork and remapping", "extra", {
		remedy: "use a kernel with CONFIG_USERFAULTFD and run criu as root: lazy restores of programs that fork need it",
	}),
	feature("can_map_vdso", "the vdso can be mapped anew", "extra", {
		remedy: "use a kernel with CONFIG_CHECKPOINT_RESTORE: nothing can be restored without",
	}),
	feature("sk_ns", "network namespace of a socket", "extra", {
		remedy: "run criu with CAP_NET_ADMIN: sockets of several network namespaces need it",
	}),
	feature("sk_unix_file", "file of a bound unix socket", "named", {
		remedy: "run criu with CAP_NET_ADMIN: unix sockets whose path is hidden need it",
	}),
	feature("net_diag_raw", "raw sockets in sock_diag", "extra", {
		remedy: "use a kernel with CONFIG_INET_RAW_DIAG: programs with raw sockets need it (ping)",
	}),
	feature("nsid", "ids of network namespaces", "named", {
		remedy: "use Linux 4.0 or later: containers with network namespaces need it",
	}),
	feature("link_nsid", "ids of the network namespaces of links", "named", {
		remedy: "use Linux 4.0 or later: containers with network namespaces need it",
	}),
	feature("kcmp_epoll", "kcmp finds files in epoll sets", "extra", {
		remedy: "use a kernel with CONFIG_KCMP: epoll sets are told fast and exactly by it",
	}),
	feature("timens", "time namespaces", "extra", {
		remedy: "use a kernel with CONFIG_TIME_NS: monotonic clocks of restored programs go on by it",
	}),
	feature("external_net_ns", "external network namespaces", "named"),
	feature("clone3_set_tid", "processes with chosen pids", "extra", {
		remedy: "run criu with CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN: nothing can be restored without",
	}),
	feature("newifindex", "links with chosen index in another namespace", "extra", {
		remedy: "use Linux 5.13 or later: containers with network devices need it",
	}),
	feature("nftables", "built with nftables", "named", { remedy: "use --network-lock iptables or skip" }),
	feature("has_ipt_legacy", "legacy iptables programs", "named", {
		remedy: "install the legacy programs of iptables: only locks of old rule sets need them",
	}),
	feature("pidfd_store", "pidfd_open and pidfd_getfd", "extra", {
		remedy: "use Linux 5.6 or later: nothing can be dumped without",
	}),
	feature("ns_pid", "NSpid in status"),
	feature("apparmor_stacking", "AppArmor namespaces", "named", {
		remedy: "use a kernel with AppArmor, and mount securityfs: containers with profiles of their own need it",
	}),
	feature("network_lock_nftables", "network lock by nftables", "extra", {
		remedy: "use --network-lock iptables or skip",
	}),
	feature("sockopt_buf_lock", "locks of socket buffer sizes", "extra", {
		remedy: "use Linux 5.16 or later: sockets keep by it that their buffer sizes were set by hand",
	}),
	feature("memfd_hugetlb", "memfds of huge pages", "extra", {
		remedy:
			"reserve huge pages (vm.nr_hugepages) on a kernel with CONFIG_HUGETLBFS: programs with memfds of huge pages need it",
	}),
	feature("move_mount_set_group", "mount groups can be copied", "extra", {
		remedy: "use Linux 5.15 or later: containers with shared mounts need it",
	}),
	feature("openat2", "openat2"),
	feature("get_rseq_conf", "rseq registration can be read", "extra", {
		remedy: "use Linux 5.13 or later: programs with glibc 2.35 or later need it",
	}),
	feature("ipv6_freebind", "IPV6_FREEBIND", "extra", {
		remedy: "use a kernel with CONFIG_IPV6: sockets bound to addresses that aren't there need it",
	}),
	feature("pagemap_scan", "PAGEMAP_SCAN", "extra", {
		remedy: "use Linux 6.7 or later: dumps are faster by it, incremental ones don't miss a page",
	}),
	feature("timer_cr_ids", "POSIX timers with chosen ids", "extra", {
		remedy: "use Linux 6.15 or later: programs with large timer ids are restored faster by it",
	}),
	feature("overlayfs_maps", "maps and stat agree on overlayfs", "extra", {
		remedy: "use a kernel whose overlayfs tells mappings right: programs of containers on overlayfs need it",
	}),
	feature("breakpoints", "hardware breakpoints by ptrace", "named", {
		remedy: "run on a machine, or under a hypervisor, that lets programs have debug registers: this criu does without",
	}),
	feature("pagemap_scan_guard_pages", "PAGEMAP_SCAN reports guard pages", "extra", {
		remedy: "use Linux 6.15 or later: programs with guard pages (MADV_GUARD_INSTALL) need it",
	}),
] as const satisfies readonly Feature[];
