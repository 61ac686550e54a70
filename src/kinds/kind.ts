// SPDX-License-Identifier: GPL-2.0-only
// What a kind of resource is: one module with its dump half and its restore half, registered in registry.ts. The engine
// walks the registry and knows no resource; a kind knows nothing of the engine.

import type { ProgramResult } from "../agent/channel.ts";
import type { LoadRef, OpRef, Program } from "../agent/program.ts";
import type { Registers } from "../agent/registers.x86_64.ts";
import type { StoppedThread } from "../agent/tracee.ts";
import type { CriuError } from "../errors.ts";
import type { core_entry, task_kobj_ids_entry } from "../images/gen/core_pb.ts";
import type { fd_types, fdinfo_entry, file_entry } from "../images/gen/fdinfo_pb.ts";
import type { fs_entry } from "../images/gen/file_pb.ts";
import type { fown_entry } from "../images/gen/fown_pb.ts";
import type { pstree_entry } from "../images/gen/inventory_pb.ts";
import type { mm_entry } from "../images/gen/mm_pb.ts";
import type { ImageDir } from "../images/index.ts";
import type { UserDesc } from "../kernel/abi/user-regs.x86_64.ts";
import type { Fdinfo } from "../kernel/procfs/fdinfo.ts";
import type { SmapsFacts } from "../kernel/procfs/smaps.ts";
import type { ProcStat } from "../kernel/procfs/stat.ts";
import type { ProcStatus } from "../kernel/procfs/status.ts";
import type { Options } from "../options.ts";
import type { Ranges } from "../pages/ranges.ts";
import type { FileStat } from "../sys/file.ts";

// ---- dump ----------------------------------------------------------------------------------------------------------

/** Where memory of a task is mapped from the images that it was restored from (--map-pages). */
export interface MappedMemory {
	readonly ranges: Ranges;
	/** Where the images were changed afterwards. */
	readonly changed: Ranges;
}

/** A task that stands still to be dumped. */
export interface DumpedTask {
	/** As we see it. */
	readonly pid: number;
	/** As it sees itself, in its own pid namespace. */
	readonly vpid: number;
	/** The root of the dumped tree. */
	readonly isRoot: boolean;
	/** In the tree; undefined for the root. */
	readonly parent: DumpedTask | undefined;
	/** Rises from parents to children, and with the birth of siblings. */
	readonly order: number;
	/**
	 * The wait status with which the first thread has ended, where others live on: `pid` and `thread` are those of another one
	 * then, by which the kernel tells the same of the process, and the first of `threads` is what is left of the leader.
	 */
	readonly leaderExit: number | undefined;
	/** A descriptor for the process, for pidfd_getfd. */
	readonly pidfd: number;
	readonly stat: ProcStat;
	readonly status: ProcStatus;
	/** Sorted by start; memory that is mapped from images as what it stands for. */
	readonly vmas: readonly SmapsFacts[];
	readonly mapped: MappedMemory;
	/** The leader. */
	readonly thread: StoppedThread;
	/** All threads, the leader first. */
	readonly threads: readonly DumpedThread[];
}

/** A thread that stands still to be dumped. */
export interface DumpedThread {
	readonly task: DumpedTask;
	/** As we see it. */
	readonly tid: number;
	/** As it sees itself. */
	readonly vtid: number;
	readonly isLeader: boolean;
	readonly stopped: StoppedThread;
	/** Of this thread. */
	readonly status: ProcStatus;
}

/** A zombie of the dumped tree. */
export interface DeadTask {
	readonly pid: number;
	readonly vpid: number;
	readonly parent: DumpedTask;
	readonly order: number;
	/** Has the exit code. */
	readonly stat: ProcStat;
	readonly status: ProcStatus;
}

/** The messages of one thread under construction. `core.threadCore` exists; `core.tc` only in the leader's. */
export interface ThreadDraft {
	readonly core: core_entry;
}

/** Messages of one task under construction; every kind fills in its part. `core` is the leader's. */
export interface TaskDraft extends ThreadDraft {
	readonly mm: mm_entry;
	readonly fs: fs_entry;
	readonly fds: fdinfo_entry[];
}

/** Gives ids to open file descriptions and to files named by path, and collects entries of files.img. */
export interface FileRegistry {
	/** A fresh id (u32, from 1, one counter for all types). */
	newId(): number;
	/** Appends an entry to files.img. */
	add(entry: file_entry): void;
	/** The id of the description of a file, which is dumped at first sight; undefined when no kind can dump it. */
	addOpen(file: FdFacts): { readonly id: number; readonly type: fd_types } | undefined;
	/** Why an open file can't be dumped. */
	findBlockers(file: FdFacts): CriuError[];
	/** A mapped file or exe: one id for each inode. `fd` is an O_PATH or readable copy of ours. */
	addMapped(task: DumpedTask, link: Uint8Array, fd: number): number;
	/** A directory (cwd, root): always a fresh id. */
	addDirectory(task: DumpedTask, link: Uint8Array, fd: number): number;
	/** Puts the entries of files.img into another order before they're written. */
	arrange(order: (entries: readonly file_entry[]) => file_entry[]): void;
	/** Work that completes images of kinds when files.img is written. */
	atEnd(work: (dir: ImageDir) => void): void;
	/** What is for the user only: done once the dump is whole and nothing stands any more. */
	afterwards(work: () => void): void;
	/** What takes back a change outside of the images directory if the dump fails. */
	onFailure(undo: () => void): void;
}

/** What all kinds see of a dump. */
export interface DumpContext {
	readonly options: Options;
	/** All tasks of the tree, parents before their children. */
	readonly tasks: readonly DumpedTask[];
	/** Its zombies. */
	readonly dead: readonly DeadTask[];
	/** Undefined in a preflight, which writes nothing. */
	readonly dir: ImageDir | undefined;
	readonly files: FileRegistry;
	/** Once per key: something that several tasks or descriptors share. */
	once<T>(key: string, make: () => T): T;
}

/** Reads the answers of a program and completes the draft. */
export type Completion = (answers: ProgramResult) => void;

// ---- restore -------------------------------------------------------------------------------------------------------

/** A core image. */
export interface CoreImage {
	/** Its number: the thread's id, for a leader the pid. */
	readonly tid: number;
	readonly core: core_entry;
}

/** One thread as its image tells. */
export interface ThreadImage extends CoreImage {
	readonly isLeader: boolean;
	readonly task: TaskImage;
}

/** One task as its images tell. */
export interface TaskImage extends CoreImage {
	readonly pstree: pstree_entry;
	readonly mm: mm_entry;
	readonly fs: fs_entry;
	readonly fds: readonly fdinfo_entry[];
	/** The wait status with which its first thread had ended; undefined when it hadn't. */
	readonly leaderExit?: number | undefined;
	/** Which kernel objects it shares with others. */
	readonly ids: task_kobj_ids_entry;
	/** All threads, the leader first. */
	readonly threads: readonly ThreadImage[];
}

/** Something that the engine does to a task from outside, after its agent has done everything else. */
export interface OutsideStep {
	readonly what: string;
	run(pid: number): void;
}

/**
 * The stages of a task's restore. All tasks finish one before any begins the next, but for the first two, which a task goes
 * through before its children are made: tree, memory. Threads are made before "files" and begin with "state". Within a stage kinds come in the order of
 * the registry, and tasks parents first.
 */
export const STAGES = ["tree", "memory", "files", "release", "state", "signals", "creds", "arm"] as const;
export type Stage = (typeof STAGES)[number];

/** Stages that follow each other without waiting for other tasks: an agent runs them as one program. */
export const STAGE_GROUPS: readonly (readonly Stage[])[] = [
	["tree", "memory"],
	["files"],
	["release"],
	["state", "signals", "creds"],
	["arm"],
];

/** Descriptor numbers that no restored file uses. */
export interface FdNumbers {
	/** A number above or between the restored ones, the same one for the same purpose. */
	reserve(purpose: string): number;
	/** Lets the new process have a descriptor of ours under a reserved number; gives that number. */
	pass(ownFd: number, purpose: string): number;
}

/** The plan of one thread. Threads but leaders come into being before the stage "files". */
export interface ThreadPlan {
	readonly programs: Readonly<Record<Stage, Program>>;
	/** PTRACE_O_* with which it is traced while it's built. */
	traceOptions: number;
	/** What is done when the thread has its last registers, right before it is let go: a stop that must hold it back. */
	readonly beforeDetach: OutsideStep[];
	/** What is done once the whole tree has been let go. */
	readonly afterDetach: OutsideStep[];
	/** Last registers, set by ptrace: leave fields undefined until the owning kind sets them. */
	final: { regs?: Registers; xstate?: Uint8Array; sigmask?: bigint; segments?: readonly UserDesc[] };
}

/** The plan of one task, and of its leader. Pure data but for `outside`. */
export interface TaskPlan extends ThreadPlan {
	readonly pid: number;
	/** What a session leader does right after setsid(2), before it makes children that are to have it by birth. */
	readonly session: Program;
	/** Tasks that must have made what this one takes from them. */
	readonly awaits: Set<number>;
	/** What its parent is to have heard, or to hear, of its being stopped; done while the parent is built still. */
	news: { readonly do: "stop" | "stop-and-continue"; readonly signal: number } | undefined;
	/** Its other threads begin the stages of a group when the leader has ended them: it acts on all of them. */
	leaderFirst: boolean;
	readonly outside: OutsideStep[];
	readonly numbers: FdNumbers;
	/** The agent's own memory in the new process, [start, end). */
	readonly area: { readonly start: bigint; readonly end: bigint };
	/** The tree has 32-bit tasks: the area lies where calls of theirs reach it. */
	readonly hasCalls32: boolean;
	/** Start of a large range of addresses that nothing of the task will use: room for mappings that one thing needs while it's made. */
	readonly scratch: bigint;
	/** The same for mappings that stay while files are made, each at an offset of its own (`LASTING`). */
	readonly lasting: bigint;
	/** Mappings whose missing pages come later (--lazy-pages). */
	readonly lazy: { start: bigint; end: bigint }[];
	/** Paths that exist on disk only until the restore is over (ghosts); removed if it fails. */
	readonly temporaryPaths: Uint8Array[];
	/** What takes back, once the new processes are gone, what a failed restore leaves besides. */
	readonly undo: (() => void)[];
	/** Masters of new terminals whose own were outside of the dump: for the caller, as long as nothing has been made. */
	readonly orphanMasters: number[];
}

/** What all kinds see of a restore. */
export interface RestoreContext {
	readonly options: Options;
	readonly dir: ImageDir;
	/** files.img by id. */
	readonly files: ReadonlyMap<number, file_entry>;
	/** All tasks, parents before their children. */
	readonly tasks: readonly TaskImage[];
	/** Pids of all tasks and zombies. */
	readonly pids: ReadonlySet<number>;
	/** The task whose memory and descriptors each child starts with, by the child's pid. */
	readonly makers: ReadonlyMap<number, TaskImage>;
	once<T>(key: string, make: () => T): T;
	/** Adds operations that open a file of files.img by path and flags for mapping, exe, cwd or root; the descriptor. */
	openMapped(program: Program, id: number, flags: number, plan: TaskPlan): OpRef;
}

// ---- kinds ---------------------------------------------------------------------------------------------------------

/** A kind of state that every task or every thread has; one that both have has all halves. */
export interface TaskKind {
	readonly name: string;
	/**
	 * Why this task can't be dumped. Runs while the task stands still and before anything is done to it; must not change
	 * anything. All findings, not just the first.
	 */
	findBlockers?(task: DumpedTask, context: DumpContext): CriuError[];
	/** Fills the draft from facts; questions that only the task can answer go into `ask`, completed afterwards. */
	dump?(task: DumpedTask, draft: TaskDraft, ask: Program, context: DumpContext): Completion | undefined;
	/** Questions that depend on earlier answers: `run` has the task carry out a program at once. */
	converse?(task: DumpedTask, draft: TaskDraft, run: (program: Program) => ProgramResult, context: DumpContext): void;
	/** What has changed of a task that stood still while its memory was copied: others may act on it from outside. */
	conclude?(task: DumpedTask, draft: TaskDraft, context: DumpContext): void;
	/** The same as `dump` for a thread; `ask` is carried out by the thread itself and may hold system calls only. */
	dumpThread?(thread: DumpedThread, draft: ThreadDraft, ask: Program, context: DumpContext): Completion | undefined;
	/** Checks this kind's part of the image and adds what restores it. @throws ImageError, UnsupportedError */
	plan?(image: TaskImage, plan: TaskPlan, context: RestoreContext): void;
	/** The thread half of a restore is also for a leader that ends before the others go on. */
	readonly ofDeadLeader?: boolean;
	/** The same for a thread. */
	planThread?(image: ThreadImage, plan: ThreadPlan, context: RestoreContext): void;
}

/** An open descriptor of a dumped task. */
export interface FdFacts {
	readonly task: DumpedTask;
	readonly fd: number;
	/** The link of /proc/PID/fd, raw, with " (deleted)" if there. */
	readonly link: Uint8Array;
	readonly stat: FileStat;
	/** pos, flags (with access mode, without O_CLOEXEC), mnt_id and the kind's own lines. */
	readonly info: Fdinfo;
	/** A copy in our own table, sharing the description; not for O_PATH files of kinds that need none. */
	readonly ownFd: number;
	readonly fown: fown_entry;
	/** The path that the link shows leads to the file. */
	readonly isAtPath?: boolean | undefined;
	/** The descriptor of the same number of a task before, when it's of the same description: its copy is this one's too. */
	readonly sameAs?: FdFacts | undefined;
}

/** A descriptor under a number that is known, or that an earlier operation gives. */
export type FdArg = OpRef | LoadRef | number;

/** Makes one description in the restored task. */
export interface FilePlan {
	readonly program: Program;
	readonly plan: TaskPlan;
	readonly context: RestoreContext;
	readonly image: TaskImage;
}

/** A descriptor that a task of the tree has. */
export interface FileRef {
	readonly plan: TaskPlan;
	readonly number: number;
}

/** What a kind does when the files of all tasks are planned: the last one of them may take whatever the others have made. */
export interface LastFiles extends FilePlan {
	/** A descriptor of a description, in whichever task; undefined when no task has one. */
	find(id: number): FileRef | undefined;
	/** Makes a description that no task has in its table; it's kept until all tasks have their files. @throws ImageError */
	make(id: number): FileRef;
}

/** Completes a description when all descriptors of all tasks are at their numbers. `program` is of the stage "release". */
export interface FileFinish extends FilePlan {
	/** Its descriptor in this task. */
	readonly number: number;
	/** The tasks that have it in their tables, in the order of the tree. */
	readonly holders: readonly TaskImage[];
	/** A descriptor of a description, in whichever task; undefined when no task has one. */
	find(id: number): FileRef | undefined;
}

/** A kind of open file. */
export interface FileKind {
	readonly name: string;
	/** The type in fdinfo and files.img. */
	readonly type: fd_types;
	/** Where the kernel shows its state. */
	readonly source: string;
	matches(file: FdFacts): boolean;
	findBlockers?(file: FdFacts, context: DumpContext): CriuError[];
	/** The entry for files.img (with its type and id set); payloads go into images of the kind's own. */
	dump(file: FdFacts, id: number, context: DumpContext): file_entry;
	/**
	 * Adds operations that open the description with its flags and position; the result is its descriptor under any
	 * number. Owner (F_SETOWN), descriptor numbers and FD_CLOEXEC are the planner's business.
	 */
	plan(entry: file_entry, file: FilePlan): FdArg;
	/** Adds what needs the files of several tasks. Called once for each restore, whether it has files of this kind or not. */
	planLast?(last: LastFiles): void;
	/** Adds what has to wait until all descriptors of all tasks are in place: references to others, timers. */
	finish?(entry: file_entry, file: FileFinish): void;
}

/** A kind of file that exists and that this version can't dump. */
export interface UnsupportedFileKind {
	readonly name: string;
	readonly type: fd_types | undefined;
	readonly unsupported: true;
	matches(file: FdFacts): boolean;
	/** What only a look at the file tells, behind the name. */
	detail?(file: FdFacts): string;
	/** Why, and what the user can do; the object is named by the caller. */
	readonly reason: string;
	readonly remedy: string;
}
