// SPDX-License-Identifier: GPL-2.0-only
// Open files in words.

import type { DumpFolder } from "../crit/dump-folder.ts";
import { typeName } from "../crit/dump-folder.ts";
import { describeSocket } from "../crit/socket-text.ts";
import { textOfName } from "../crit/text-forms.ts";
import { fd_types, type file_entry } from "../images/gen/fdinfo_pb.ts";
import { KINDS } from "../images/index.ts";

const O_ACCMODE = 3;
const ACCESS = ["read", "write", "read+write", ""] as const;
const KIND_NAMES: Readonly<Record<string, string>> = {
	REG: "file",
	PIPE: "pipe",
	FIFO: "fifo",
	INETSK: "socket",
	UNIXSK: "socket",
	PACKETSK: "socket",
	NETLINKSK: "socket",
	TTY: "terminal",
	NS: "namespace",
	TUNF: "tun device",
	EXT: "external",
	EVENTPOLL: "epoll",
	BPFMAP: "bpf map",
	POSIX_MQ: "message queue",
};

export interface FileText {
	kind: string;
	name: string;
	access: string;
}

/** What the global images say about files, read once. */
export class FileNames {
	readonly #remaps = new Map<number, { ghost: boolean; id: number }>();
	readonly #memfds = new Map<number, string>();
	readonly #ttys = new Map<number, string>();

	constructor(
		private readonly folder: DumpFolder,
		tolerate: <T>(read: () => T) => T | undefined,
	) {
		const { dir } = folder;
		for (const { origId, remapId, remapType } of tolerate(() => dir.readEntries(KINDS.REMAP_FPATH)) ?? []) {
			// Before there was a type, a bit of the number told it.
			const ghost = remapType === 1 || remapId >= 0x80000000;
			this.#remaps.set(origId, { ghost, id: remapId & 0x7fffffff });
		}
		for (const { inodeId, name } of tolerate(() => dir.readEntries(KINDS.MEMFD_INODE)) ?? []) {
			this.#memfds.set(Number(inodeId), textOfName(name));
		}
		for (const info of tolerate(() => dir.readEntries(KINDS.TTY_INFO)) ?? []) {
			if (info.pty !== undefined) this.#ttys.set(info.id, `pty ${info.pty.index}`);
		}
	}

	/** The path of a regular file; empty when it isn't known. */
	path(id: number): string {
		const name = this.folder.file(id)?.reg?.name;
		return name === undefined ? "" : textOfName(name);
	}

	/** Whether the file had been deleted and goes along in the images. */
	isGhost(id: number): boolean {
		return this.#remaps.get(id)?.ghost === true;
	}

	/** Whether the file has another name than the one it was opened by. */
	isRemapped(id: number): boolean {
		return this.#remaps.has(id);
	}

	/** The file behind a descriptor. */
	describe(type: number, id: number): FileText {
		const kind = KIND_NAMES[typeName(type)] ?? typeName(type).toLowerCase();
		const file = this.folder.file(id);
		if (file === undefined) return { kind, name: "(not in the images)", access: "" };
		return { kind, name: this.#name(file), access: accessOf(file) };
	}

	#name(file: file_entry): string {
		const socket = describeSocket(file);
		if (socket !== undefined) {
			const { family, type, state, local, remote } = socket;
			return [family, type, state, local, remote === "" ? "" : `-> ${remote}`].filter((word) => word !== "").join(" ");
		}
		if (file.reg !== undefined) {
			const path = textOfName(file.reg.name);
			return this.isGhost(file.id) ? `${path} (deleted, its content is in the images)` : path;
		}
		if (file.pipe !== undefined) return `pipe ${file.pipe.pipeId}`;
		if (file.fifo !== undefined) return this.path(file.fifo.regfId);
		if (file.tty !== undefined) return this.#ttys.get(file.tty.ttyInfoId) ?? this.path(file.tty.regfId);
		if (file.memfd !== undefined) return this.#memfds.get(file.memfd.inodeId) ?? "";
		if (file.efd !== undefined) return `counter ${file.efd.counter}`;
		if (file.epfd !== undefined) return `watches ${file.epfd.tfd.length}`;
		if (file.ify !== undefined) return `watches ${file.ify.wd.length}`;
		if (file.mqueue !== undefined) return `/${textOfName(file.mqueue.name)}`;
		if (file.pidfd !== undefined) return `of pid ${file.pidfd.nspid}`;
		return file.type === fd_types.TIMERFD && file.tfd !== undefined ? `clock ${file.tfd.clockid}` : "";
	}
}

function accessOf(file: file_entry): string {
	const flags =
		file.reg?.flags ??
		file.pipe?.flags ??
		file.tty?.flags ??
		file.memfd?.flags ??
		file.bpf?.flags ??
		file.mqueue?.flags ??
		undefined;
	return flags === undefined ? "" : (ACCESS[flags & O_ACCMODE] ?? "");
}
