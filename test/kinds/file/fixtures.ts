// SPDX-License-Identifier: GPL-2.0-only
// Image directories, entries and plans for tests of the kinds of file.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Program } from "../../../src/agent/program.ts";
import { fd_types, type file_entry, file_entrySchema } from "../../../src/images/gen/fdinfo_pb.ts";
import { pipe_entrySchema, type reg_file_entry, reg_file_entrySchema } from "../../../src/images/gen/file_pb.ts";
import { create, ImageDir } from "../../../src/images/index.ts";
import { readFdinfo } from "../../../src/kernel/procfs/fdinfo.ts";
import { readFdLink } from "../../../src/kernel/procfs/links.ts";
import { FileTable } from "../../../src/kinds/file/file-table.ts";
import { emptyFown } from "../../../src/kinds/file/fown.ts";
import type {
	DumpContext,
	DumpedTask,
	FdFacts,
	FdNumbers,
	FileKind,
	RestoreContext,
	TaskPlan,
} from "../../../src/kinds/kind.ts";
import { defaultOptions, type Options } from "../../../src/options.ts";
import { closeFd, statFd } from "../../../src/sys/file.ts";
import { mustSyscall, type SyscallArg } from "../../../src/sys/host.ts";
import { emptyPlan, imageOf } from "../task/fixtures.ts";

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A directory that is removed at the end of its scope. */
export class TempDir {
	readonly path = mkdtempSync(join(tmpdir(), "criu-files-"));
	/** For images, opened at first use. */
	private opened: ImageDir | undefined;

	get images(): ImageDir {
		this.opened ??= ImageDir.open(this.path);
		return this.opened;
	}

	at(name: string): string {
		return join(this.path, name);
	}

	[Symbol.dispose](): void {
		this.opened?.close();
		rmSync(this.path, { recursive: true, force: true });
	}
}

function makeOnce() {
	const values = new Map<string, unknown>();
	return <T>(key: string, make: () => T): T => {
		if (!values.has(key)) values.set(key, make());
		return values.get(key) as T;
	};
}

/** The context of a dump with a real table of files. */
export function fileDump(
	dir: ImageDir | undefined,
	options: Partial<Options> = {},
): DumpContext & { files: FileTable } {
	const context = { options: { ...defaultOptions(), ...options }, tasks: [], dead: [], dir, once: makeOnce() };
	const files: FileTable = new FileTable({
		...context,
		get files() {
			return files;
		},
	});
	return { ...context, files };
}

/** The context of a restore of these entries. */
export function fileRestore(
	dir: ImageDir,
	entries: readonly file_entry[] = [],
	options: Partial<Options> = {},
): RestoreContext {
	return {
		options: { ...defaultOptions(), ...options },
		dir,
		files: new Map(entries.map((entry) => [entry.id, entry])),
		once: makeOnce(),
		tasks: [],
		pids: new Set([100]),
		makers: new Map(),
		openMapped: () => ({ op: 0 }),
	};
}

/** Numbers from 900 on; closes at once what it is to pass. */
export class FakeNumbers implements FdNumbers {
	private readonly byPurpose = new Map<string, number>();
	private next = 900;

	reserve(purpose: string): number {
		const number = this.byPurpose.get(purpose) ?? this.next++;
		this.byPurpose.set(purpose, number);
		return number;
	}

	pass(ownFd: number): number {
		closeFd(ownFd);
		return this.next++;
	}
}

/** A descriptor of this test's own process, as if its task stood still. */
export function ownFile(fd: number): FdFacts {
	const task = { pid: process.pid, vpid: process.pid, threads: [], pidfd: -1 } as unknown as DumpedTask;
	const info = readFdinfo(process.pid, fd);
	return { task, fd, link: readFdLink(process.pid, fd), stat: statFd(fd), info, ownFd: fd, fown: emptyFown() };
}

/** Descriptors made by a system call, closed at the end of the scope. */
export class OwnFds {
	private readonly fds: number[] = [];

	make(nr: number, ...args: SyscallArg[]): number {
		const fd = mustSyscall("for a test", nr, ...args);
		this.fds.push(fd);
		return fd;
	}

	[Symbol.dispose](): void {
		for (const fd of this.fds) closeFd(fd);
	}
}

/** What a kind plans for an entry: the operations, and the plan with what it adds to other stages. */
export function planEntry(kind: FileKind, entry: file_entry, context: RestoreContext) {
	const program = new Program();
	const plan = filePlan();
	kind.plan(entry, { program, plan, context, image: imageOf(100) });
	return { ops: program.ops, plan };
}

export function filePlan(): TaskPlan {
	return { ...emptyPlan(), numbers: new FakeNumbers(), scratch: 0x10000000n, lasting: 0x20000000n };
}

export function regEntry(id: number, name: string | Uint8Array, fields: Partial<reg_file_entry> = {}): file_entry {
	const bytes = typeof name === "string" ? bytesOf(name) : name;
	const { $typeName: _, ...rest } = fields;
	const reg = create(reg_file_entrySchema, { id, flags: 0, pos: 0n, fown: emptyFown(), name: bytes, ...rest });
	return create(file_entrySchema, { type: fd_types.REG, id, reg });
}

export function pipeEntry(id: number, pipeId: number, flags: number): file_entry {
	const pipe = create(pipe_entrySchema, { id, pipeId, flags, fown: emptyFown() });
	return create(file_entrySchema, { type: fd_types.PIPE, id, pipe });
}

/** The code of the error that a call throws; "nothing" when it doesn't. */
export function codeOf(run: () => unknown): string {
	try {
		run();
	} catch (error) {
		return (error as { code?: string }).code ?? String(error);
	}
	return "nothing";
}
