// SPDX-License-Identifier: GPL-2.0-only
// inotify: watches come back under their numbers. Unread events nobody can put back: the program is told that some were lost.
// Images: files.img (inotify_file_entry). Source: inotify(7), proc_pid_fdinfo(5), fs/notify/inotify/inotify_user.c.

import type { OpRef } from "../../agent/program.ts";
import type { CriuError } from "../../errors.ts";
import { fd_types, type file_entry, file_entrySchema } from "../../images/gen/fdinfo_pb.ts";
import {
	inotify_file_entrySchema,
	type inotify_wd_entry,
	inotify_wd_entrySchema,
} from "../../images/gen/fsnotify_pb.ts";
import { create } from "../../images/index.ts";
import * as ev from "../../kernel/abi/event-files.ts";
import { F_DUPFD, O_NONBLOCK } from "../../kernel/abi/fcntl.ts";
import { INOTIFY_IOC_SETNEXTWD } from "../../kernel/abi/ioctl.ts";
import { SYS_fcntl, SYS_inotify_add_watch, SYS_inotify_init1, SYS_ioctl } from "../../kernel/abi/syscalls.x86_64.ts";
import type { InotifyWatch } from "../../kernel/procfs/fdinfo-kinds.ts";
import { log } from "../../log.ts";
import type { DumpContext, FdFacts, FileFinish, FileKind, FilePlan } from "../kind.ts";
import { checkFlags, findHandleBlockers, hasAnonLink, imageFlags, planFlags, refuseFd } from "./anon-inode.ts";
import { checkInner, corruptImage } from "./image-checks.ts";
import { keptFilesOf } from "./kept-files.ts";
import { forgetRemovals } from "./link-remap.ts";
import { makeOverflown } from "./overflown.ts";
import { planAsync } from "./reg-plan.ts";
import { planWatched, type WatchTarget } from "./watch-plan.ts";
import { avoidUnread, encodeHandle, findPlace, warnOfEvents } from "./watched.ts";

const MAX_WD = 0x7fffffff;
/** What a watch keeps besides its events. */
const LASTING = (ev.IN_EXCL_UNLINK | ev.IN_ONESHOT) >>> 0;
const MAX_WATCHES = 1 << 20;

function watchesOf({ info }: FdFacts): readonly InotifyWatch[] {
	return info.kind.type === "inotify" ? info.kind.watches : [];
}

function findInotifyBlockers(file: FdFacts, context: DumpContext): CriuError[] {
	const handle = findHandleBlockers(file);
	if (handle.length > 0) return handle;
	const lost = watchesOf(file).filter((watch) => findPlace(watch, file.task, context) === undefined);
	return lost
		.map(({ ino, wd }) =>
			refuseFd(
				file,
				`watches inode ${ino} (watch ${wd}), to which no path was found`,
				"name a folder that it lies in with --irmap-scan-path",
			),
		)
		.concat(avoidUnread(file, "inotify", context));
}

function dumpInotify(file: FdFacts, id: number, context: DumpContext): file_entry {
	const isTold = !context.options.dropUnread;
	const hasUnread = warnOfEvents(file, "inotify", isTold ? "a restored program gets IN_Q_OVERFLOW instead" : undefined);
	const wd = watchesOf(file).map((watch) =>
		create(inotify_wd_entrySchema, {
			id: 0,
			iIno: watch.ino,
			mask: watch.mask,
			ignoredMask: watch.ignoredMask,
			sDev: watch.sdev,
			wd: watch.wd,
			fHandle: encodeHandle(watch, file.task, context),
		}),
	);
	return create(file_entrySchema, {
		type: fd_types.INOTIFY,
		id,
		ify: create(inotify_file_entrySchema, {
			id,
			flags: imageFlags(file),
			fown: file.fown,
			wd,
			...(hasUnread && isTold ? { unread: true } : {}),
		}),
	});
}

/** The watches of an image in the order of their numbers, checked. @throws ImageError */
export function checkWatches(id: number, watches: readonly inotify_wd_entry[]): inotify_wd_entry[] {
	if (watches.length > MAX_WATCHES) throw corruptImage("files.img", `inotify ${id} has ${watches.length} watches`);
	const sorted = [...watches].sort((a, b) => a.wd - b.wd);
	for (const [i, { wd, mask }] of sorted.entries()) {
		if (wd < 1 || wd > MAX_WD) throw corruptImage("files.img", `inotify ${id} has a watch ${wd}`);
		if (sorted[i - 1]?.wd === wd) throw corruptImage("files.img", `inotify ${id} has watch ${wd} twice`);
		if ((mask & ev.IN_ALL_EVENTS) === 0) throw corruptImage("files.img", `inotify ${id}: watch ${wd} is for no event`);
	}
	return sorted;
}

interface Watch {
	readonly entry: inotify_wd_entry;
	readonly target: WatchTarget;
}

/** An instance of ours that holds the word of lost events. */
function planOverflown(id: number, flags: number, { program, plan }: FilePlan): OpRef | undefined {
	try {
		const number = keptFilesOf(plan).pass(`inotify ${id}`, () => makeOverflown(flags));
		return program.syscall(`take inotify ${id}`, SYS_fcntl, [number, F_DUPFD, 0]);
	} catch (error) {
		log.warn(
			`inotify ${id}: events are lost that were unread at the dump, and the program isn't told: ${String(error)}`,
		);
		return undefined;
	}
}

function planNew(id: number, flags: number, { program }: FilePlan): OpRef {
	return program.syscall(`make inotify ${id}`, SYS_inotify_init1, [flags], {
		remedies: { EMFILE: "raise the sysctl fs.inotify.max_user_instances" },
	});
}

function planInotify(entry: file_entry, file: FilePlan): OpRef {
	const { program, context } = file;
	const { id, flags, wd, unread } = checkInner(entry.id, "inotify", entry.ify);
	const own = checkFlags(id, flags);
	const watches = checkWatches(id, wd).map((watch) => {
		const { fHandle } = watch;
		if (fHandle === undefined) throw corruptImage("files.img", `inotify ${id}: watch ${watch.wd} has no handle`);
		const target = planWatched(fHandle, watch.sDev, `watch ${watch.wd} of inotify ${id}`, file);
		return { entry: watch, target };
	});
	context.once(`inotify-watches:${id}`, (): readonly Watch[] => watches);
	const fd = (unread ? planOverflown(id, own & O_NONBLOCK, file) : undefined) ?? planNew(id, own & O_NONBLOCK, file);
	planFlags(program, fd, flags);
	planAsync(program, fd, flags);
	return fd;
}

const WATCH_REMEDIES = {
	ENOENT: "the watched file was removed since the dump: copy it back",
	ENOTDIR: "the watched file was removed since the dump: copy it back",
	ENOSPC: "raise the sysctl fs.inotify.max_user_watches",
	ENOTTY: "this kernel lacks CONFIG_CHECKPOINT_RESTORE",
	"": "two watched files have become one since the dump: put them back",
} as const;

/** Watches come last: what a restore itself does with files is no news for the program. */
function finishInotify(entry: file_entry, file: FileFinish): void {
	const { program, number, context, plan } = file;
	const { id } = checkInner(entry.id, "inotify", entry.ify);
	const watches = context.once(`inotify-watches:${id}`, (): readonly Watch[] => []);
	let next = 1;
	for (const { entry: watch, target } of watches) {
		const { wd, mask } = watch;
		if (wd !== next) {
			const what = `let watch ${wd} be the next`;
			program.syscall(what, SYS_ioctl, [number, INOTIFY_IOC_SETNEXTWD, wd], { remedies: WATCH_REMEDIES });
		}
		next = wd + 1;
		const events = (mask & (ev.IN_ALL_EVENTS | LASTING)) >>> 0;
		const flags = (target.follow ? events : events | ev.IN_DONT_FOLLOW) >>> 0;
		program.syscall(`watch ${target.shown}`, SYS_inotify_add_watch, [number, target.path, flags], {
			check: { equal: wd },
			remedies: WATCH_REMEDIES,
		});
	}
	if (watches.length > 0) forgetRemovals(number, plan, context);
}

/** inotify instances. */
export const inotify: FileKind = {
	name: "inotify",
	type: fd_types.INOTIFY,
	source: "/proc/PID/fdinfo, open_by_handle_at(2)",
	matches: hasAnonLink("inotify"),
	findBlockers: findInotifyBlockers,
	dump: dumpInotify,
	plan: planInotify,
	finish: finishInotify,
};
