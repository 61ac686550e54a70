// SPDX-License-Identifier: GPL-2.0-only
// The fields of /proc/PID that may differ between the dumped and the restored process, each with the reason.
// Everything that is not listed here has to be the same.

import { mergesAlike } from "./merged-maps.ts";
import type { Difference, Snapshot } from "./snapshot.ts";

/** A rule that lets a field differ. */
export interface MayDiffer {
	/** Matched against the whole key. */
	pattern: RegExp;
	/** Only where this says so; absent: always. */
	when?: (difference: Difference, before: Snapshot, after: Snapshot) => boolean;
	why: string;
}

/** True for fields of a mapping whose backing object has no name that lasts. */
function isNamelessMap(difference: Difference, before: Snapshot): boolean {
	const path = before.get(difference.key.replace(/\/[^/]+$/, "/path")) ?? "";
	return path.endsWith(" (deleted)") || path.startsWith("[anon_shmem");
}

function isNamelessFd(difference: Difference, before: Snapshot): boolean {
	const link = before.get(difference.key.replace(/\/[^/]+$/, "/link")) ?? "";
	return link.endsWith(" (deleted)") || /^[a-z_]+:\[#|^\/proc\/|^anon_inode:\[pidfd\]$/.test(link);
}

/** True where the two values, taken as words, differ in the given word only. */
function sameBut(...words: string[]): (difference: Difference) => boolean {
	const strip = (text: string | undefined) =>
		text
			?.split(/\s+/)
			.filter((word) => !words.includes(word))
			.join(" ");
	return ({ before, after }) => before !== undefined && strip(before) === strip(after);
}

function differsByOctal({ before, after }: Difference, bit: number): boolean {
	return (Number.parseInt(before ?? "0", 8) ^ Number.parseInt(after ?? "0", 8)) === bit;
}

function onlyLargeFileBit(difference: Difference, before: Snapshot): boolean {
	return (
		(before.get(difference.key.replace(/\/flags$/, "/link")) ?? "").startsWith("pipe:") &&
		differsByOctal(difference, 0o100000)
	);
}

const pfForkNoExec = 0x40;
const pfSuperPriv = 0x100;
const pfRandomize = 0x400000;
const pfNoSetAffinity = 0x4000000;

/** True where only bits of PF_* differ that tell of a task's past, not of its state. */
function onlyPastFlags({ before, after }: Difference): boolean {
	const past = pfForkNoExec | pfSuperPriv | pfRandomize;
	return ((Number(before) ^ Number(after)) & ~past & ~pfNoSetAffinity) >>> 0 === 0;
}

/** Differences that are right for any pair of dump and restore. */
export const mayDiffer: readonly MayDiffer[] = [
	{
		pattern: /s?maps\/.*\/.*/,
		when: mergesAlike,
		why: "the kernel joins neighbours or not by which of them had pages of their own when they were made (anon_vma)",
	},
	{
		pattern: /stat\/(utime|stime|cutime|cstime|guest_time|cguest_time)/,
		why: "CPU time: the kernel has no way to set it",
	},
	{
		pattern: /ns\/time(_for_children)?/,
		why: "a new time namespace, as the original's: only there can the monotonic clocks go on from where they were",
	},
	{ pattern: /stat\/starttime/, why: "start time is the time of the clone; the original keeps none either" },
	{ pattern: /stat\/(minflt|majflt|cminflt|cmajflt)/, why: "page fault counters can't be set" },
	{
		pattern: /stat\/rss|status\/(VmRSS|VmHWM|RssAnon|RssFile|RssShmem)/,
		why: "clean file pages and zero pages come back on touch",
	},
	{ pattern: /status\/VmPeak/, why: "high-water mark: can't be lowered or raised but by mapping" },
	{ pattern: /status\/VmPTE/, why: "page tables follow the touched pages" },
	{ pattern: /status\/VmSwap/, why: "restored pages start in memory" },
	{ pattern: /status\/HugetlbPages/, why: "mapped huge pages, counted like rss: they come back on touch" },
	{ pattern: /stat\/exit_code/, why: "what a wait for the last stop or continue would tell; gone with that" },
	{ pattern: /stat\/processor/, why: "the CPU that it ran on last" },
	{ pattern: /stat\/wchan/, why: "place in the kernel; a restarted call may sleep elsewhere" },
	{ pattern: /stat\/kstk(esp|eip)/, why: "shown for exiting tasks only" },
	{ pattern: /stat\/delayacct_blkio_ticks/, why: "accounting of waits for disks can't be set" },
	{ pattern: /stat\/flags/, when: onlyPastFlags, why: "PF_FORKNOEXEC, PF_SUPERPRIV and PF_RANDOMIZE tell of the past" },
	{
		pattern: /stat\/state|status\/State/,
		when: isRunnable,
		why: "a running or briefly sleeping program may be caught in either",
	},
	{ pattern: /status\/(non)?voluntary_ctxt_switches/, why: "scheduler counters can't be set" },
	{ pattern: /status\/FDSize/, why: "size of the descriptor table, grows in steps and never shrinks" },
	{ pattern: /status\/SigQ/, why: "counts the signals of all processes of the user" },
	{
		pattern: /status\/Mems_allowed.*|status\/Cpus_allowed_list/,
		when: () => false,
		why: "never differ; listed to be explicit",
	},
	{ pattern: /maps\/.*\/inode/, when: isNamelessMap, why: "a deleted file or shared anonymous memory is made anew" },
	{
		pattern: /fd\/\d+\/ino/,
		when: isNamelessFd,
		why: "a deleted file, a pipe, a file of /proc, a process is made anew",
	},
	{
		pattern: /fd\/\d+\/lock/,
		when: onlyLockTaker,
		why: "a process that took a lock (flock) and has closed the file can't be shown again; deleted files are made anew",
	},
	{ pattern: /fd\/\d+\/eventfd-id/, why: "the kernel's own count of eventfds" },
	{ pattern: /fd\/\d+\/map_id/, why: "the kernel's own count of bpf maps" },
	{
		pattern: /fd\/\d+\/tfd\/.*/,
		when: onlyInode,
		why: "a watched pipe is made anew",
	},
	{
		pattern: /fd\/\d+\/flags/,
		when: onlyLargeFileBit,
		why: "O_LARGEFILE on a pipe only tells by which call it was opened",
	},
	{
		pattern: /smaps\/.*\/VmFlags/,
		when: sameBut("ac", "sd"),
		why: "memory that was writable once counts for overcommit for ever; made read-only at once it doesn't",
	},
	{ pattern: /smaps\/.*\/VmFlags/, when: sameBut("sd"), why: "soft-dirty: a new mapping counts as written" },
	{
		pattern: /stat\/(signal|blocked|sigcatch|sigignore)|status\/(SigPnd|ShdPnd|SigBlk|SigIgn|SigCgt)|limits/,
		when: areInState("Z"),
		why: "signals and limits mean nothing to the dead",
	},
	{
		pattern: /stat\/blocked|status\/SigBlk/,
		when: areInState("T"),
		why: "stopped inside of sigsuspend or on its way into it, whose mask holds only inside of the call",
	},
];

/** True for fields of a process that's in the given state on both sides. */
function areInState(letter: string): (difference: Difference, before: Snapshot, after: Snapshot) => boolean {
	return ({ key }, before, after) => {
		const state = `${/^(proc\/\d+\/)?/.exec(key)?.[0] ?? ""}stat/state`;
		return before.get(state) === letter && after.get(state) === letter;
	};
}

function isRunnable({ before, after }: Difference): boolean {
	return [before, after].every((state) => /^[RSD]\b/.test(state ?? ""));
}

/** Lines of locks but for the pid of a flock and the inode of a deleted file. */
function onlyLockTaker({ key, before, after }: Difference, snapshot: Snapshot): boolean {
	const isDeleted = (snapshot.get(key.replace(/lock$/, "link")) ?? "").endsWith(" (deleted)");
	const strip = (line: string | undefined) => {
		const known = line?.replace(/(FLOCK\s+\S+\s+\S+) \d+/, "$1");
		return isDeleted ? known?.replace(/:\d+ /, ": ") : known;
	};
	return strip(before) === strip(after);
}

function onlyInode({ before, after }: Difference): boolean {
	return before?.replace(/ ino:[0-9a-f]+/, "") === after?.replace(/ ino:[0-9a-f]+/, "");
}

/** Differences while memory is mapped from images. */
export const mappedMayDiffer: readonly MayDiffer[] = [
	{
		pattern: /status\/VmLck/,
		why: "what is mapped is locked, so that MADV_DONTNEED can't bring the file's pages back",
	},
];

/** Differences between a running program and the same one stopped by a signal. */
export const stoppedMayDiffer: readonly MayDiffer[] = [
	{ pattern: /stat\/state|status\/State/, why: "it's stopped" },
	{
		pattern: /stat\/blocked|status\/SigBlk/,
		why: "stopped on its way into sigsuspend, whose mask holds only inside of the call",
	},
	{
		pattern: /status\/ShdPnd/,
		when: onlyMoreChildNews,
		why: "SIGCHLD tells a stopped parent that its children have stopped",
	},
];

function onlyMoreChildNews({ before, after }: Difference): boolean {
	return (BigInt(`0x${before}`) | 0x10000n) === BigInt(`0x${after}`);
}

/** Differences that the peer makes, allowed only in runs where it had a hand. */
export const peerMayDiffer: readonly MayDiffer[] = [
	{
		pattern: /smaps\/.*\/VmFlags/,
		when: sameBut("ac"),
		why: "the peer maps private files writable first, so they're accounted",
	},
	{ pattern: /maps\/.*\/path/, when: isMemfdNow, why: "the peer makes shared anonymous memory of memfds" },
	{ pattern: /fd\/\d+\/flags/, when: onlyDirectoryBit, why: "the peer opens directories without O_DIRECTORY" },
];

function onlyDirectoryBit(difference: Difference): boolean {
	return differsByOctal(difference, 0o200000);
}

function isMemfdNow({ before, after }: Difference): boolean {
	return after?.replace(/^\/memfd:/, "") === before;
}

/** The differences that no rule allows. A rule for a field of the root holds for that of each thread and descendant. */
export function findUnexplained(
	differences: readonly Difference[],
	before: Snapshot,
	after: Snapshot,
	rules: readonly Pick<MayDiffer, "pattern" | "when">[],
): Difference[] {
	const whole = rules.map(({ pattern, when }) => ({ pattern: new RegExp(`^(?:${pattern.source})$`), when }));
	return differences.filter((difference) => {
		const field = difference.key.replace(/^(proc\/\d+\/)?(task\/\d+\/)?/, "");
		return !whole.some(({ pattern, when }) => {
			const matches = pattern.test(field) || pattern.test(difference.key);
			return matches && (when?.(difference, before, after) ?? true);
		});
	});
}
