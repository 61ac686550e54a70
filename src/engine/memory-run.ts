// SPDX-License-Identifier: GPL-2.0-only
// What the memory side of one dump or pre-dump builds on and leaves behind: parent images, who keeps track of writes, where
// pages go. Plain dumps pass through it without a look at anything.

import { symlinkSync } from "node:fs";
import type { InjectedAgent } from "../agent/injected.ts";
import { Program } from "../agent/program.ts";
import { type CriuError, ImageError, isErrno, UnsupportedError, UsageError } from "../errors.ts";
import { type ImageDir, KINDS, PARENT_LINK } from "../images/index.ts";
import { O_CLOEXEC, O_NONBLOCK } from "../kernel/abi/fcntl.ts";
import { SYS_close, SYS_userfaultfd } from "../kernel/abi/syscalls.x86_64.ts";
import { UFFD_USER_MODE_ONLY } from "../kernel/abi/userfaultfd.ts";
import { readLink } from "../kernel/procfs/links.ts";
import { readStatus } from "../kernel/procfs/status.ts";
import { listFds } from "../kernel/procfs/tasks.ts";
import type { DumpedTask } from "../kinds/kind.ts";
import { log } from "../log.ts";
import type { Options } from "../options.ts";
import { dedup, freeAfterwards } from "../pages/dedup.ts";
import { DeferredSink } from "../pages/deferred-sink.ts";
import { PageClient } from "../pages/page-client.ts";
import { listHeld, SENT_PAGEMAP } from "../pages/pagemap.ts";
import { hasSoftDirty } from "../pages/pagemap-walk.ts";
import type { Ranges } from "../pages/ranges.ts";
import { LocalSink, type PageSink } from "../pages/sink.ts";
import { StreamSink } from "../pages/stream-sink.ts";
import { canTrack, enableTracking, type TaskTracking } from "../pages/tracking.ts";
import type { PageLink } from "../pages/wire.ts";
import { ZstdSink } from "../pages/zstd-sink.ts";
import { closeFd } from "../sys/file.ts";
import { getPidfdFd, openPidfd } from "../sys/process.ts";
import { connectPageServer } from "./page-link.ts";
import { NO_USERFAULT, startTracker, type TrackedTask, Tracker, type TrackerAddress } from "./tracker.ts";

/** A task whose writes are noted, with descriptors of ours. */
interface Held extends TrackedTask {
	readonly pidfd: number;
	/** What was noted is what changed since the parent images. */
	readonly sinceParent: boolean;
}

export class MemoryRun {
	private readonly held = new Map<number, Held>();
	private chosen: Tracker | undefined;
	private readonly stale: Tracker[] = [];
	private readonly coverage = new Map<number, Ranges>();
	/** The secret by which the tracker knows this dump; undefined when nothing is tracked from it on. */
	readonly token: string | undefined;
	/** Writes are noted by soft-dirty bits, as the kernel has nothing better. */
	private readonly bySoftDirty: boolean;

	private constructor(
		private readonly options: Options,
		private readonly parent: ImageDir | undefined,
		readonly sink: PageSink,
		private readonly link: PageLink | undefined,
		/** Writes are noted from this dump on. */
		readonly arms: boolean,
	) {
		this.token = arms ? crypto.randomUUID() : undefined;
		this.bySoftDirty = arms && !canTrack() && hasSoftDirty();
	}

	/**
	 * Looks up what a dump builds on. `arms`: the tasks live on, and the next dump builds on this one.
	 *
	 * @throws UsageError PARENT_DIR; CriuError when the page server can't be reached
	 */
	static open(options: Options, dir: ImageDir, arms: boolean): MemoryRun {
		const parent = options.prevImagesDir === undefined ? undefined : linkParent(dir, options.prevImagesDir);
		const { sink, link } = options.pageServer
			? connectSink(options, dir)
			: { sink: options.zstd ? new ZstdSink(dir) : localSink(dir, parent), link: undefined };
		const run = new MemoryRun(options, parent, sink, link, arms);
		try {
			run.readParent();
			return run;
		} catch (error) {
			run[Symbol.dispose]();
			throw error;
		}
	}

	/** The parent images' tracker and what they hold; images that can't be built on make the dump a full one. */
	private readParent(): void {
		const { parent } = this;
		if (parent === undefined) return;
		try {
			const { trackToken, trackerPid, trackerState } = parent.readInventory("parent");
			if (trackToken === "") {
				log.warn("the images of --prev-images-dir were made without --track-mem: all pages are dumped");
				return;
			}
			const tracker = Tracker.open(trackerPid, trackerState);
			if (tracker?.token !== trackToken) {
				tracker?.close();
				log.warn("nothing is known any more of writes since the images of --prev-images-dir: all pages are dumped");
				return;
			}
			this.chosen = tracker;
			this.readCoverage(parent);
		} catch (error) {
			if (!(error instanceof ImageError)) throw error;
			log.warn(`can't build on the images of --prev-images-dir, all pages are dumped: ${error.message}`);
		}
	}

	/** Before the tasks are stopped: what is in the parent images. */
	private readCoverage(parent: ImageDir): void {
		const kind = this.options.pageServer ? SENT_PAGEMAP : KINDS.PAGEMAP;
		const pattern = this.options.pageServer ? /^sent-pagemap-(\d+)$/ : /^pagemap-(\d+)\.img$/;
		for (const name of parent.list()) {
			const id = Number(pattern.exec(name)?.[1] ?? "0");
			const pagemap = id === 0 ? undefined : parent.findHeaded(kind, id);
			if (pagemap !== undefined) this.coverage.set(id, listHeld(name, pagemap.entries));
		}
	}

	/** Once tasks stand still: what trackers of ours do to them isn't seen as theirs. */
	attach(tasks: readonly DumpedTask[]): void {
		for (const tracker of this.stale.splice(0)) tracker.close();
		this.stale.push(...hideTrackers(tasks, this.chosen));
		// Bits that are cleared tell nothing any more to those who built on them.
		if (this.bySoftDirty) this.stale.push(...findTrackers(tasks, this.chosen));
	}

	/** The dump begins. From here on its parent can be built on no more where it notes writes anew. */
	begin(): void {
		for (const task of this.chosen?.takeTasks() ?? []) this.hold(task, true);
		if (!this.arms) return;
		for (const tracker of this.stale.splice(0)) tracker.end();
		this.chosen?.end();
		this.chosen = undefined;
	}

	private hold(task: TrackedTask, sinceParent: boolean): void {
		try {
			this.held.set(task.pid, { ...task, pidfd: openProcess(task.pid), sinceParent });
		} catch (error) {
			if (task.uffd !== NO_USERFAULT) closeFd(task.uffd);
			if (!isErrno(error, "ESRCH", "EINVAL")) throw error;
		}
	}

	private findHeld({ pid, stat }: DumpedTask): Held | undefined {
		const held = this.held.get(pid);
		return held?.start === String(stat.starttime) ? held : undefined;
	}

	/** True when a task isn't tracked yet and is to be, by its own doing. */
	wants(task: DumpedTask): boolean {
		return this.arms && !this.bySoftDirty && this.findHeld(task) === undefined;
	}

	/** Has the agent make the userfaultfd of a task. Without one it's dumped in full. @throws UnsupportedError */
	adopt(task: DumpedTask, agent: InjectedAgent): void {
		if (!this.wants(task)) return;
		// Programs without privileges may have only such a one, and nothing is asked of it: the kernel notes writes by itself.
		const uffd = borrowUserfault(task, agent, enableTracking, UFFD_USER_MODE_ONLY);
		if (uffd === undefined) return;
		this.release(task.pid);
		this.hold({ pid: task.pid, start: String(task.stat.starttime), uffd }, false);
	}

	/** How a task is tracked; undefined: all of its pages are dumped. */
	trackingOf(task: DumpedTask): TaskTracking | undefined {
		if (this.bySoftDirty && this.findHeld(task) === undefined) {
			this.release(task.pid);
			const traces = { marks: [], frames: [] };
			this.hold({ pid: task.pid, start: String(task.stat.starttime), uffd: NO_USERFAULT, traces }, false);
		}
		const held = this.findHeld(task);
		if (held === undefined) return undefined;
		const { arms } = this;
		const known = held.sinceParent && this.sink.hasParent(task.vpid) ? this.coverage.get(task.vpid) : undefined;
		const coverage = known ?? [];
		if (held.traces !== undefined) return { coverage, arm: arms, traces: held.traces };
		return { uffd: held.uffd, coverage, arm: arms };
	}

	/** All pages are safe: starts what keeps track from here on, and tells where it is. `livesOn`: the tasks do. */
	finish(livesOn: boolean): TrackerAddress | undefined {
		this.sink.finish();
		if (this.token !== undefined) return startTracker(this.token, [...this.held.values()]);
		// The chain ends here; the tasks are as they were before it.
		if (livesOn) this.chosen?.end();
		if (livesOn) this.chosen = undefined;
		return undefined;
	}

	/** The dump is whole: with --auto-dedup what it has is freed in older images, unless the server does that. */
	settle(dir: ImageDir): void {
		this.sink.settle();
		if (!this.options.autoDedup || this.options.pageServer || this.parent === undefined) return;
		freeAfterwards("older images", () => dedup(dir));
	}

	private release(pid: number): void {
		const held = this.held.get(pid);
		if (held === undefined) return;
		this.held.delete(pid);
		if (held.uffd !== NO_USERFAULT) closeFd(held.uffd);
		closeFd(held.pidfd);
	}

	[Symbol.dispose](): void {
		for (const pid of [...this.held.keys()]) this.release(pid);
		this.chosen?.close();
		for (const tracker of this.stale) tracker.close();
		this.sink[Symbol.dispose]();
		this.link?.[Symbol.dispose]();
		this.parent?.close();
	}
}

/** A pidfd of the process, also by the thread that stands for a leader which has ended. @throws KernelError ESRCH: it's gone */
function openProcess(pid: number): number {
	try {
		return openPidfd(pid);
	} catch (error) {
		// Which of both depends on the kernel.
		if (!isErrno(error, "EINVAL", "ENOENT")) throw error;
		return openPidfd(readStatus(pid).tgid);
	}
}

const knows = (one: Tracker | undefined, { pid, stat }: DumpedTask) => one?.tracks(pid, stat.starttime) ?? false;

/** Trackers of any of the tasks, besides the one that is known. The caller closes them. */
function findTrackers(tasks: readonly DumpedTask[], known: Tracker | undefined): Tracker[] {
	const found: Tracker[] = [];
	for (const other of Tracker.list())
		if (other.pid !== known?.pid && tasks.some((task) => knows(other, task))) found.push(other);
		else other.close();
	return found;
}

/**
 * Takes back the marks that trackers of ours have made on what was seen of the mappings of tasks. Gives those trackers, besides the
 * one that is known. The caller closes them.
 */
export function hideTrackers(tasks: readonly DumpedTask[], known: Tracker | undefined): Tracker[] {
	const marked = tasks.filter(({ vmas }) => vmas.some(({ vmFlags }) => vmFlags.has("uw")));
	const others = marked.every((task) => knows(known, task)) ? [] : findTrackers(marked, known);
	for (const task of marked)
		if ([known, ...others].some((one) => knows(one, task)))
			for (const { vmFlags } of task.vmas) (vmFlags as Set<string>).delete("uw");
	return others;
}

function localSink(dir: ImageDir, parent: ImageDir | undefined): PageSink {
	if (dir.hasPagesLast) return new DeferredSink(dir);
	return dir.isStreamed ? new StreamSink(dir) : new LocalSink(dir, parent);
}

/** Connects to the page server, and finds out how it talks. @throws UsageError, KernelError, CriuError PAGE_CONNECTION, TLS_* */
function connectSink(options: Options, dir: ImageDir): { sink: PageSink; link: PageLink } {
	const link = connectPageServer(options);
	try {
		return { sink: PageClient.start(link.fd, dir, options.psSocket !== undefined), link };
	} catch (error) {
		const reason = link.explain(error);
		link[Symbol.dispose]();
		throw reason;
	}
}

/** Makes the link to the images that these build on, unless there is one, and opens what it leads to. */
function linkParent(dir: ImageDir, target: string): ImageDir {
	const invalid = (cause?: unknown) =>
		new UsageError("PARENT_DIR", `Invalid parent image directory provided: ${target}`, {
			cause,
			remedy: "give --prev-images-dir a directory of images, relative to the images directory",
		});
	try {
		symlinkSync(target, `/proc/self/fd/${dir.descriptor}/${PARENT_LINK}`);
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw invalid(error);
	}
	let parent: ImageDir | undefined;
	try {
		parent = dir.openParent();
	} catch (error) {
		throw invalid(error);
	}
	if (parent === undefined) throw invalid();
	return parent;
}

const latin1 = new TextDecoder("latin1");

/** A program that handles its own page faults would find its memory taken. */
function hasUserfault({ pid }: DumpedTask): boolean {
	return listFds(pid).some((fd) => latin1.decode(readLink(`/proc/${pid}/fd/${fd}`)) === "anon_inode:[userfaultfd]");
}

/** Has the agent make a userfaultfd of a task, with UFFD_* flags, ours alone in the end; undefined where that isn't possible. @throws UnsupportedError */
export function borrowUserfault(
	task: DumpedTask,
	agent: InjectedAgent,
	enable: (uffd: number) => void,
	flags = 0,
): number | undefined {
	const { rules } = task.thread;
	// Should we die, the agent closes it, subject to seccomp again.
	if (hasUserfault(task) || (rules !== undefined && rules.judge(SYS_close) !== "runs")) return undefined;
	const ask = new Program();
	const made = ask.borrow("note what is written", SYS_userfaultfd, [O_CLOEXEC | O_NONBLOCK | flags], { check: "any" });
	const answers = agent.programs.run(ask);
	if (!answers.succeeded(made)) {
		log.warn(`writes of pid ${task.pid} can't be noted: userfaultfd gave ${answers.result(made)}`);
		return undefined;
	}
	const back = new Program();
	back.giveBack("leave no descriptor behind");
	let uffd: number;
	try {
		uffd = getPidfdFd(task.pidfd, Number(answers.result(made)));
	} finally {
		agent.programs.run(back);
	}
	try {
		enable(uffd);
		return uffd;
	} catch (error) {
		closeFd(uffd);
		if (!isErrno(error, "EINVAL")) throw error;
		throw noTracking(error);
	}
}

/** The error for a kernel that can't note writes. */
export function noTracking(cause?: unknown): CriuError {
	return new UnsupportedError("NO_MEMORY_TRACKING", "Tracking memory is not available on this kernel", {
		cause,
		remedy:
			"use Linux 6.7 or later with CONFIG_USERFAULTFD, or a kernel with CONFIG_MEM_SOFT_DIRTY, or dump without --track-mem",
	});
}
