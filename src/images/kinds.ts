// SPDX-License-Identifier: GPL-2.0-only
// The table of all image files: name, magic, messages, framing. Everything else in images/ works from this table.
// A kind's name is its key here and in magics.ts; it is the one that CRIU and crit use.

import type { Message } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { BugError } from "../errors.ts";
import { cgroup_entrySchema } from "./gen/cgroup_pb.ts";
import {
	core_entrySchema,
	creds_entrySchema,
	itimer_entrySchema,
	posix_timer_entrySchema,
	rlimit_entrySchema,
	sa_entrySchema,
	siginfo_entrySchema,
	task_kobj_ids_entrySchema,
} from "./gen/core_pb.ts";
import { fdinfo_entrySchema, file_entrySchema } from "./gen/fdinfo_pb.ts";
import {
	bpfmap_data_entrySchema,
	bpfmap_file_entrySchema,
	eventfd_file_entrySchema,
	eventpoll_file_entrySchema,
	eventpoll_tfd_entrySchema,
	ext_file_entrySchema,
	fifo_entrySchema,
	file_lock_entrySchema,
	fs_entrySchema,
	type ghost_chunk_entry,
	ghost_chunk_entrySchema,
	type ghost_file_entry,
	ghost_file_entrySchema,
	memfd_inode_entrySchema,
	ns_file_entrySchema,
	pidfd_entrySchema,
	pipe_data_entrySchema,
	pipe_entrySchema,
	reg_file_entrySchema,
	remap_file_path_entrySchema,
	signalfd_entrySchema,
	timerfd_entrySchema,
	tmpfs_file_entrySchema,
} from "./gen/file_pb.ts";
import {
	fanotify_file_entrySchema,
	fanotify_mark_entrySchema,
	inotify_file_entrySchema,
	inotify_wd_entrySchema,
	type irmap_cache_entry,
	irmap_cache_entrySchema,
} from "./gen/fsnotify_pb.ts";
import {
	cpuinfo_entrySchema,
	type inventory_entry,
	inventory_entrySchema,
	pstree_entrySchema,
} from "./gen/inventory_pb.ts";
import {
	type ipc_msg_entry,
	ipc_msg_entrySchema,
	ipc_msgSchema,
	ipc_sem_entrySchema,
	ipc_shm_entrySchema,
	ipc_var_entrySchema,
} from "./gen/ipc_pb.ts";
import { mm_entrySchema, pagemap_entrySchema, pagemap_headSchema, vma_entrySchema } from "./gen/mm_pb.ts";
import { autofs_entrySchema, binfmt_misc_entrySchema, mnt_entrySchema } from "./gen/mount_pb.ts";
import { pidns_entrySchema, timens_entrySchema, userns_entrySchema, utsns_entrySchema } from "./gen/namespace_pb.ts";
import { net_device_entrySchema, netns_entrySchema, tunfile_entrySchema } from "./gen/net_pb.ts";
import { apparmor_entrySchema, seccomp_entrySchema } from "./gen/security_pb.ts";
import {
	inet_sk_entrySchema,
	netlink_sk_entrySchema,
	packet_sock_entrySchema,
	sk_packet_entrySchema,
	tcp_stream_entrySchema,
	unix_sk_entrySchema,
} from "./gen/socket_pb.ts";
import { type stats_entry, stats_entrySchema } from "./gen/stats_pb.ts";
import { tty_data_entrySchema, tty_file_entrySchema, tty_info_entrySchema } from "./gen/tty_pb.ts";
import { MAGIC } from "./magics.ts";

/**
 * - raw: no messages; bytes to the end of the file (after the magics where there are any)
 * - single: one entry
 * - array: entries to the end of the file
 * - headed: one entry of type `head`, then an array of `entry`
 */
export type Framing = "raw" | "single" | "array" | "headed";

/** Messages that follow each entry of an image, before the next one. */
export interface NestedEntries<E extends Message> {
	readonly schema: GenMessage<Message>;
	countOf(entry: E): number;
	payloadOf(message: Message): number;
}

/** One kind of image file: `E` is the message of its entries, `H` that of its head. */
export interface ImageKind<E extends Message = Message, H extends Message = Message> {
	readonly name: string;
	/** File name with %u (decimal), %x (lower-case hexadecimal) or %s in the place of the id. */
	readonly file: string;
	/** Word that tells the kind; 0 for none. */
	readonly magic: number;
	/** Which common magic goes before it in images of version 2. */
	readonly common: "image" | "service" | "none";
	readonly framing: Framing;
	readonly head?: GenMessage<H>;
	readonly entry?: GenMessage<E>;
	/** Length in bytes of the raw payload that follows this message. */
	payloadOf?(message: E | H): number;
	/** True when no entries follow this head but raw bytes to the end of the file. */
	isRawAfterHead?(head: H): boolean;
	readonly nested?: NestedEntries<E>;
}

type KindName = keyof typeof MAGIC;

function raw(name: KindName, file: string): ImageKind {
	return { name, file, magic: MAGIC[name], common: MAGIC[name] === 0 ? "none" : "image", framing: "raw" };
}

function single<E extends Message>(
	name: KindName,
	file: string,
	entry: GenMessage<E>,
	payloadOf?: (message: E) => number,
): ImageKind<E> {
	const payload = payloadOf === undefined ? {} : { payloadOf: (message: Message) => payloadOf(message as E) };
	return { name, file, magic: MAGIC[name], common: "image", framing: "single", entry, ...payload };
}

function array<E extends Message>(
	name: KindName,
	file: string,
	entry: GenMessage<E>,
	payloadOf?: (message: E) => number,
): ImageKind<E> {
	return { ...single(name, file, entry, payloadOf), framing: "array" };
}

function headed<E extends Message, H extends Message>(
	name: KindName,
	file: string,
	head: GenMessage<H>,
	entry: GenMessage<E>,
): ImageKind<E, H> {
	return { name, file, magic: MAGIC[name], common: "image", framing: "headed", head, entry };
}

function nested<E extends Message, N extends Message>(
	schema: GenMessage<N>,
	countOf: (entry: E) => number,
	payloadOf: (message: N) => number,
): NestedEntries<E> {
	return { schema, countOf, payloadOf: (message) => payloadOf(message as N) };
}

function roundUp(length: number, unit: number): number {
	return Math.ceil(length / unit) * unit;
}

/** All kinds, by name. */
export const KINDS = {
	INVENTORY: {
		...single("INVENTORY", "inventory.img", inventory_entrySchema),
		common: "none",
	} satisfies ImageKind<inventory_entry>,
	FDINFO: array("FDINFO", "fdinfo-%u.img", fdinfo_entrySchema),
	PAGEMAP: headed("PAGEMAP", "pagemap-%u.img", pagemap_headSchema, pagemap_entrySchema),
	SHMEM_PAGEMAP: headed("SHMEM_PAGEMAP", "pagemap-shmem-%u.img", pagemap_headSchema, pagemap_entrySchema),
	REG_FILES: array("REG_FILES", "reg-files.img", reg_file_entrySchema),
	EXT_FILES: array("EXT_FILES", "ext-files.img", ext_file_entrySchema),
	NS_FILES: array("NS_FILES", "ns-files.img", ns_file_entrySchema),
	EVENTFD_FILE: array("EVENTFD_FILE", "eventfd.img", eventfd_file_entrySchema),
	EVENTPOLL_FILE: array("EVENTPOLL_FILE", "eventpoll.img", eventpoll_file_entrySchema),
	EVENTPOLL_TFD: array("EVENTPOLL_TFD", "eventpoll-tfd.img", eventpoll_tfd_entrySchema),
	SIGNALFD: array("SIGNALFD", "signalfd.img", signalfd_entrySchema),
	INOTIFY_FILE: array("INOTIFY_FILE", "inotify.img", inotify_file_entrySchema),
	INOTIFY_WD: array("INOTIFY_WD", "inotify-wd.img", inotify_wd_entrySchema),
	FANOTIFY_FILE: array("FANOTIFY_FILE", "fanotify.img", fanotify_file_entrySchema),
	FANOTIFY_MARK: array("FANOTIFY_MARK", "fanotify-mark.img", fanotify_mark_entrySchema),
	CORE: single("CORE", "core-%u.img", core_entrySchema),
	IDS: single("IDS", "ids-%u.img", task_kobj_ids_entrySchema),
	MM: single("MM", "mm-%u.img", mm_entrySchema),
	VMAS: array("VMAS", "vmas-%u.img", vma_entrySchema),
	PIPES: array("PIPES", "pipes.img", pipe_entrySchema),
	PIPES_DATA: array("PIPES_DATA", "pipes-data.img", pipe_data_entrySchema, (m) => m.bytes),
	FIFO: array("FIFO", "fifo.img", fifo_entrySchema),
	FIFO_DATA: array("FIFO_DATA", "fifo-data.img", pipe_data_entrySchema, (m) => m.bytes),
	PSTREE: array("PSTREE", "pstree.img", pstree_entrySchema),
	SIGACT: array("SIGACT", "sigacts-%u.img", sa_entrySchema),
	UNIXSK: array("UNIXSK", "unixsk.img", unix_sk_entrySchema),
	INETSK: array("INETSK", "inetsk.img", inet_sk_entrySchema),
	PACKETSK: array("PACKETSK", "packetsk.img", packet_sock_entrySchema),
	NETLINK_SK: array("NETLINK_SK", "netlinksk.img", netlink_sk_entrySchema),
	SK_QUEUES: array("SK_QUEUES", "sk-queues.img", sk_packet_entrySchema, (m) => m.length),
	ITIMERS: array("ITIMERS", "itimers-%u.img", itimer_entrySchema),
	POSIX_TIMERS: array("POSIX_TIMERS", "posix-timers-%u.img", posix_timer_entrySchema),
	CREDS: single("CREDS", "creds-%u.img", creds_entrySchema),
	UTSNS: single("UTSNS", "utsns-%u.img", utsns_entrySchema),
	IPC_VAR: single("IPC_VAR", "ipcns-var-%u.img", ipc_var_entrySchema),
	IPCNS_SHM: array("IPCNS_SHM", "ipcns-shm-%u.img", ipc_shm_entrySchema, (m) =>
		m.inPagemaps ? 0 : roundUp(Number(m.size), 4),
	),
	IPCNS_MSG: {
		...array("IPCNS_MSG", "ipcns-msg-%u.img", ipc_msg_entrySchema),
		nested: nested(
			ipc_msgSchema,
			(m: ipc_msg_entry) => m.qnum,
			(m) => roundUp(m.msize, 8),
		),
	} satisfies ImageKind<ipc_msg_entry>,
	IPCNS_SEM: array("IPCNS_SEM", "ipcns-sem-%u.img", ipc_sem_entrySchema, (m) => roundUp(m.nsems * 2, 8)),
	FS: single("FS", "fs-%u.img", fs_entrySchema),
	REMAP_FPATH: array("REMAP_FPATH", "remap-fpath.img", remap_file_path_entrySchema),
	GHOST_FILE: {
		...headed("GHOST_FILE", "ghost-file-%x.img", ghost_file_entrySchema, ghost_chunk_entrySchema),
		payloadOf: (m) => (m.$typeName === ghost_chunk_entrySchema.typeName ? Number(m.len) : 0),
		isRawAfterHead: (m) => !m.chunks,
	} satisfies ImageKind<ghost_chunk_entry, ghost_file_entry>,
	// Ours. Without suffix: readers of CRIU's take what ends in .img for an image that they know.
	TMPFS_FILES: array("TMPFS_FILES", "tmpfs-files", tmpfs_file_entrySchema),
	TMPFS_FILE: {
		...headed("TMPFS_FILE", "tmpfs-file-%x", ghost_file_entrySchema, ghost_chunk_entrySchema),
		payloadOf: (m) => (m.$typeName === ghost_chunk_entrySchema.typeName ? Number(m.len) : 0),
		isRawAfterHead: (m) => !m.chunks,
	} satisfies ImageKind<ghost_chunk_entry, ghost_file_entry>,
	MEMFD_INODE: array("MEMFD_INODE", "memfd.img", memfd_inode_entrySchema),
	TCP_STREAM: single("TCP_STREAM", "tcp-stream-%x.img", tcp_stream_entrySchema, (m) => m.inqLen + m.outqLen),
	MNTS: array("MNTS", "mountpoints-%u.img", mnt_entrySchema),
	NETDEV: array("NETDEV", "netdev-%u.img", net_device_entrySchema),
	NETNS: single("NETNS", "netns-%u.img", netns_entrySchema),
	IFADDR: raw("IFADDR", "ifaddr-%u.img"),
	ROUTE: raw("ROUTE", "route-%u.img"),
	ROUTE6: raw("ROUTE6", "route6-%u.img"),
	RULE: raw("RULE", "rule-%u.img"),
	IPTABLES: raw("IPTABLES", "iptables-%u.img"),
	IP6TABLES: raw("IP6TABLES", "ip6tables-%u.img"),
	NFTABLES: raw("NFTABLES", "nftables-%u.img"),
	TMPFS_IMG: raw("TMPFS_IMG", "tmpfs-%u.tar.gz.img"),
	TMPFS_DEV: raw("TMPFS_DEV", "tmpfs-dev-%u.tar.gz.img"),
	AUTOFS: single("AUTOFS", "autofs-%u.img", autofs_entrySchema),
	BINFMT_MISC_OLD: array("BINFMT_MISC_OLD", "binfmt-misc-%u.img", binfmt_misc_entrySchema),
	BINFMT_MISC: array("BINFMT_MISC", "binfmt-misc.img", binfmt_misc_entrySchema),
	TTY_FILES: array("TTY_FILES", "tty.img", tty_file_entrySchema),
	TTY_INFO: array("TTY_INFO", "tty-info.img", tty_info_entrySchema),
	TTY_DATA: array("TTY_DATA", "tty-data.img", tty_data_entrySchema),
	FILE_LOCKS: array("FILE_LOCKS", "filelocks.img", file_lock_entrySchema),
	RLIMIT: array("RLIMIT", "rlimit-%u.img", rlimit_entrySchema),
	PAGES: raw("PAGES", "pages-%u.img"),
	PAGES_OLD: raw("PAGES_OLD", "pages-%u.img"),
	SHM_PAGES_OLD: raw("SHM_PAGES_OLD", "pages-shmem-%u.img"),
	SIGNAL: array("SIGNAL", "signal-s-%u.img", siginfo_entrySchema),
	PSIGNAL: array("PSIGNAL", "signal-p-%u.img", siginfo_entrySchema),
	TUNFILE: array("TUNFILE", "tunfile.img", tunfile_entrySchema),
	CGROUP: single("CGROUP", "cgroup.img", cgroup_entrySchema),
	TIMERFD: array("TIMERFD", "timerfd.img", timerfd_entrySchema),
	CPUINFO: single("CPUINFO", "cpuinfo.img", cpuinfo_entrySchema),
	SECCOMP: single("SECCOMP", "seccomp.img", seccomp_entrySchema),
	USERNS: single("USERNS", "userns-%u.img", userns_entrySchema),
	NETNF_CT: raw("NETNF_CT", "netns-ct-%u.img"),
	NETNF_EXP: raw("NETNF_EXP", "netns-exp-%u.img"),
	FILES: array("FILES", "files.img", file_entrySchema),
	TIMENS: single("TIMENS", "timens-%u.img", timens_entrySchema),
	PIDNS: single("PIDNS", "pidns-%u.img", pidns_entrySchema),
	BPFMAP_FILE: array("BPFMAP_FILE", "bpfmap-file.img", bpfmap_file_entrySchema),
	BPFMAP_DATA: array("BPFMAP_DATA", "bpfmap-data.img", bpfmap_data_entrySchema, (m) => m.keysBytes + m.valuesBytes),
	APPARMOR: single("APPARMOR", "apparmor.img", apparmor_entrySchema),
	PIDFD: array("PIDFD", "pidfd.img", pidfd_entrySchema),
	STATS: { ...single("STATS", "stats-%s", stats_entrySchema), common: "service" } satisfies ImageKind<stats_entry>,
	IRMAP_CACHE: {
		...array("IRMAP_CACHE", "irmap-cache", irmap_cache_entrySchema),
		common: "service",
	} satisfies ImageKind<irmap_cache_entry>,
} as const;

export type ImageKindName = keyof typeof KINDS;

/** What stands for the id in a file name: a pid, inode, namespace id, device number, or the text of %s. */
export type ImageId = number | bigint | string;

/**
 * Name of the image file of a kind, such as `core-42.img` or `ghost-file-1f.img`.
 * @throws BugError when an id is missing, negative or no number, or when the text of %s is no plain word.
 */
export function imageFileName(kind: ImageKind, id?: ImageId): string {
	const match = /%[uxs]/.exec(kind.file);
	if (match === null) {
		if (id !== undefined) throw new BugError(`image ${kind.file} takes no id`);
		return kind.file;
	}
	const text = typeof id === "string" ? id : id?.toString(match[0] === "%x" ? 16 : 10);
	const rule = match[0] === "%s" ? /^[a-z]+$/ : match[0] === "%x" ? /^[0-9a-f]+$/ : /^[0-9]+$/;
	if (text === undefined || !rule.test(text)) throw new BugError(`bad id of image ${kind.file}: ${text}`);
	return kind.file.replace(match[0], text);
}

/** Kind and id of a file in an image directory; undefined for foreign files. `pages-N.img` is PAGES, never PAGES_OLD. */
export function findKindOfFile(name: string): { kind: ImageKind; id: string | undefined } | undefined {
	for (const kind of Object.values<ImageKind>(KINDS)) {
		const pattern = kind.file
			.replaceAll(".", "\\.")
			.replace("%u", "([0-9]+)")
			.replace("%x", "([0-9a-f]+)")
			.replace("%s", "([a-z]+)");
		const match = new RegExp(`^${pattern}$`).exec(name);
		if (match !== null) return { kind, id: match[1] };
	}
	return undefined;
}
