// SPDX-License-Identifier: GPL-2.0-only
// Which namespaces a task is in, compared with ours. Ids in images count from 1: ours come first, in this order.
// Source: namespaces(7), /proc/PID/ns.

import { type CriuError, isErrno, UnsupportedError } from "../../errors.ts";
import { type task_kobj_ids_entry, task_kobj_ids_entrySchema } from "../../images/gen/core_pb.ts";
import { create } from "../../images/index.ts";
import type { NamespaceName } from "../../kernel/abi/namespaces.ts";
import { readNamespace } from "../../kernel/procfs/links.ts";

/** The order in which CRIU numbers namespaces. */
const ORDER = ["pid", "net", "ipc", "uts", "time", "mnt", "user", "cgroup"] as const satisfies readonly NamespaceName[];
type Kind = (typeof ORDER)[number];

const FIELD = {
	pid: "pidNsId",
	net: "netNsId",
	ipc: "ipcNsId",
	uts: "utsNsId",
	time: "timeNsId",
	mnt: "mntNsId",
	user: "userNsId",
	cgroup: "cgroupNsId",
} as const;

/** Inode numbers of the namespaces of a process; kinds that the kernel lacks are absent. */
export function readNamespaces(pid: number | "self"): Map<Kind, bigint> {
	const found = new Map<Kind, bigint>();
	for (const kind of ORDER) {
		try {
			found.set(kind, readNamespace(pid, kind));
		} catch (error) {
			if (!isErrno(error, "ENOENT")) throw error;
		}
	}
	return found;
}

/** Our own ids: everything is number one. */
export function ownIds(own: ReadonlyMap<Kind, bigint>): task_kobj_ids_entry {
	const ids = create(task_kobj_ids_entrySchema, { vmId: 1, filesId: 1, fsId: 1, sighandId: 1 });
	let next = 1;
	for (const kind of ORDER) if (own.has(kind)) ids[FIELD[kind]] = next++;
	return ids;
}

/** The id of one kind. */
export function namespaceIdOf(kind: NamespaceName, ids: task_kobj_ids_entry): number {
	return ids[FIELD[kind]];
}

/** Namespace ids of a task: ours where it shares a namespace with us, otherwise the next of `foreign`, where they are kept. */
export function namespaceIds(
	own: ReadonlyMap<Kind, bigint>,
	task: ReadonlyMap<Kind, bigint>,
	foreign: Map<string, number>,
): Partial<Record<(typeof FIELD)[Kind], number>> {
	const ids: Partial<Record<(typeof FIELD)[Kind], number>> = {};
	const ours = ownIds(own);
	for (const kind of ORDER) {
		const inode = task.get(kind);
		if (inode === undefined) continue;
		const key = `${kind}:${inode}`;
		if (inode !== own.get(kind) && !foreign.has(key)) foreign.set(key, own.size + 1 + foreign.size);
		ids[FIELD[kind]] = inode === own.get(kind) ? ours[FIELD[kind]] : (foreign.get(key) ?? 0);
	}
	return ids;
}

/** Namespaces in which tasks can't be dumped by this version: all that aren't ours, but for time. */
function listForeign(own: ReadonlyMap<Kind, bigint>, task: ReadonlyMap<Kind, bigint>): Kind[] {
	return ORDER.filter((kind) => kind !== "time" && task.get(kind) !== own.get(kind));
}

/** Refuses a task in namespaces of its own, once for all of them; where it shares them with its parent that one's refusal tells. */
export function findNamespaceBlockers(
	pid: number,
	own: ReadonlyMap<Kind, bigint>,
	task: ReadonlyMap<Kind, bigint>,
	parent: ReadonlyMap<Kind, bigint> = own,
): CriuError[] {
	const foreign = listForeign(own, task);
	if (foreign.every((kind) => task.get(kind) === parent.get(kind))) return [];
	const options = foreign.map((kind) => `--${kind === "mnt" ? "mount" : kind}`).join(" ");
	const places = foreign.length === 1 ? `a ${foreign[0]} namespace` : `${foreign.join(", ")} namespaces`;
	return [
		new UnsupportedError(
			"UNSUPPORTED_NAMESPACE",
			`pid ${pid} is in ${places} of its own, which this version doesn't dump`,
			{ remedy: `run criu in there: nsenter ${options} --target ${pid} criu dump …` },
		),
	];
}

/** @throws UnsupportedError when images hold a task in namespaces of its own, other than time */
export function checkImageNamespaces(root: task_kobj_ids_entry, task: task_kobj_ids_entry): void {
	for (const kind of ORDER)
		if (kind !== "time" && root[FIELD[kind]] !== task[FIELD[kind]])
			throw new UnsupportedError(
				"UNSUPPORTED_NAMESPACE",
				`the images hold a ${kind} namespace, which this version doesn't restore`,
				{
					remedy: "restore these images with the original criu",
				},
			);
}
