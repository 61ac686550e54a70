// SPDX-License-Identifier: GPL-2.0-only
// Handles of namespaces: descriptors of /proc/PID/ns/… or of a place where one is mounted. Those that tasks of the tree are in
// come back as handles of what these are in then. Images: files.img (ns_file_entry). Source: namespaces(7), setns(2).

import type { OpRef } from "../../agent/program.ts";
import { type CriuError, UnsupportedError } from "../../errors.ts";
import { fd_types, type file_entry, file_entrySchema } from "../../images/gen/fdinfo_pb.ts";
import { ns_file_entrySchema } from "../../images/gen/file_pb.ts";
import { create } from "../../images/index.ts";
import { AT_FDCWD } from "../../kernel/abi/fcntl.ts";
import { NAMESPACE_FLAG, NAMESPACE_NAMES, type NamespaceName } from "../../kernel/abi/namespaces.ts";
import { SYS_openat } from "../../kernel/abi/syscalls.x86_64.ts";
import { readNamespace } from "../../kernel/procfs/links.ts";
import { toCString } from "../../sys/file.ts";
import type { DumpContext, FdFacts, FileKind, FilePlan } from "../kind.ts";
import { namespaceIdOf, ownIds, readNamespaces } from "../ns/namespaces.ts";
import { imageFlags, refuseFd } from "./anon-inode.ts";
import { checkInner, corruptImage } from "./image-checks.ts";
import { toOpenFlags } from "./reg-plan.ts";

const LINK = /^(cgroup|ipc|mnt|net|pid|time|user|uts):\[(\d{1,20})\]$/;

interface Handle {
	readonly kind: NamespaceName;
	readonly inode: bigint;
}

function handleOf({ link }: FdFacts): Handle | undefined {
	const [, kind, inode] = LINK.exec(new TextDecoder("latin1").decode(link)) ?? [];
	return kind === undefined || inode === undefined ? undefined : { kind: kind as NamespaceName, inode: BigInt(inode) };
}

/** True when a task of the tree is in that namespace. */
function isOfTree({ kind, inode }: Handle, context: DumpContext): boolean {
	return context.once(`tree-in-${kind}:${inode}`, () =>
		context.tasks.some(({ pid }) => readNamespace(pid, kind) === inode),
	);
}

function findNsBlockers(file: FdFacts, context: DumpContext): CriuError[] {
	const handle = handleOf(file);
	if (handle === undefined || isOfTree(handle, context)) return [];
	return [
		refuseFd(
			file,
			`refers to a ${handle.kind} namespace that no process of the tree is in`,
			"close it in the program first, or dump a tree that includes a process in it",
		),
	];
}

/** Only time namespaces of the tree can be others than ours; the first one that isn't ours comes behind ours. */
function idOf({ kind, inode }: Handle, context: DumpContext): number {
	const own = context.once("own-namespaces", () => readNamespaces("self"));
	return kind === "time" && own.get(kind) !== inode ? own.size + 1 : namespaceIdOf(kind, ownIds(own));
}

function dumpNsFile(file: FdFacts, id: number, context: DumpContext): file_entry {
	const handle = handleOf(file);
	const nsf = create(ns_file_entrySchema, {
		id,
		nsId: handle === undefined ? 0 : idOf(handle, context),
		nsCflag: handle === undefined ? 0 : NAMESPACE_FLAG[handle.kind] >>> 0,
		flags: imageFlags(file),
	});
	return create(file_entrySchema, { type: fd_types.NS, id, nsf });
}

function planNsFile(entry: file_entry, { program, context, image }: FilePlan): OpRef {
	const { id, nsId, nsCflag, flags } = checkInner(entry.id, "namespace handle", entry.nsf);
	const kind = NAMESPACE_NAMES.find((name) => NAMESPACE_FLAG[name] >>> 0 === nsCflag);
	if (kind === undefined) throw corruptImage("files.img", `ns_cflag of file ${id} is ${nsCflag}`);
	const isIn = [image, ...context.tasks].find(({ ids }) => namespaceIdOf(kind, ids) === nsId);
	if (isIn === undefined)
		throw new UnsupportedError("UNSUPPORTED_NAMESPACE", `file ${id} is a ${kind} namespace that no task is in`, {
			remedy: "restore these images with the original criu",
		});
	const path = `/proc/${isIn === image ? "self" : isIn.tid}/ns/${kind}`;
	return program.syscall(`open ${path}`, SYS_openat, [AT_FDCWD, toCString(path), toOpenFlags(flags), 0], {
		remedies: { ENOENT: "this kernel has no such namespaces: restore on the kernel of the dump" },
	});
}

/** Handles of namespaces. */
export const nsFile: FileKind = {
	name: "namespace handle",
	type: fd_types.NS,
	source: "/proc/PID/fd, /proc/PID/ns",
	matches: (file) => handleOf(file) !== undefined,
	findBlockers: findNsBlockers,
	dump: dumpNsFile,
	plan: planNsFile,
};
