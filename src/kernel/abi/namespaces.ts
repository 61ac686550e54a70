// SPDX-License-Identifier: GPL-2.0-only
// The kinds of namespaces: clone flag and name under /proc/PID/ns. Source: namespaces(7).

import {
	CLONE_NEWCGROUP,
	CLONE_NEWIPC,
	CLONE_NEWNET,
	CLONE_NEWNS,
	CLONE_NEWPID,
	CLONE_NEWTIME,
	CLONE_NEWUSER,
	CLONE_NEWUTS,
} from "./sched.ts";

/** File names under /proc/PID/ns that name the task's own namespaces (without the *_for_children ones). */
export const NAMESPACE_NAMES = ["pid", "net", "ipc", "uts", "time", "mnt", "user", "cgroup"] as const;

export type NamespaceName = (typeof NAMESPACE_NAMES)[number];

/** The clone(2) flag of each kind. */
export const NAMESPACE_FLAG: Readonly<Record<NamespaceName, number>> = {
	pid: CLONE_NEWPID,
	net: CLONE_NEWNET,
	ipc: CLONE_NEWIPC,
	uts: CLONE_NEWUTS,
	time: CLONE_NEWTIME,
	mnt: CLONE_NEWNS,
	user: CLONE_NEWUSER,
	cgroup: CLONE_NEWCGROUP,
};

// Inodes of the initial namespaces (include/uapi/linux/nsfs.h, include/linux/proc_ns.h)
export const PROC_IPC_INIT_INO = 0xefffffff;
export const PROC_UTS_INIT_INO = 0xeffffffe;
export const PROC_USER_INIT_INO = 0xeffffffd;
export const PROC_PID_INIT_INO = 0xeffffffc;
export const PROC_CGROUP_INIT_INO = 0xeffffffb;
export const PROC_TIME_INIT_INO = 0xeffffffa;
