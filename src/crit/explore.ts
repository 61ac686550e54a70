// SPDX-License-Identifier: GPL-2.0-only
// `crit x DIR WHAT`: a folder of images as tables of text, in the original's forms.

import { ImageError } from "../errors.ts";
import type { fdinfo_entry } from "../images/gen/fdinfo_pb.ts";
import type { pstree_entry } from "../images/gen/inventory_pb.ts";
import type { vma_entry } from "../images/gen/mm_pb.ts";
import { KINDS } from "../images/index.ts";
import { makePrintable } from "../log.ts";
import type { ByteSink } from "./byte-sink.ts";
import { DumpFolder, pagesOf, typeName } from "./dump-folder.ts";
import { encodeQuotedPrintable } from "./quoted-printable.ts";
import { describeSocket } from "./socket-text.ts";
import { textOfName } from "./text-forms.ts";

const PAGE_SHIFT = 12n;
/** Bits of a vma's status. */
const REGULAR = 1 << 0;
const STACK = 1 << 1;
const VSYSCALL = 1 << 2;
const VDSO = 1 << 3;
const FILE_PRIVATE = 1 << 6;
const FILE_SHARED = 1 << 7;
const ANON_SHARED = 1 << 8;
const SYSVIPC = 1 << 10;
const SOCKET = 1 << 11;
const GROWSDOWN = 0x100;

function column(value: number | string, width = 7): string {
	return String(value).padStart(width);
}

function address(value: bigint): string {
	return value.toString(16).padStart(8, "0");
}

/** A name for the terminal. */
function shown(bytes: Uint8Array): string {
	return makePrintable(textOfName(bytes));
}

class Explorer {
	constructor(
		private readonly folder: DumpFolder,
		private readonly out: ByteSink,
	) {}

	#line(text: string): void {
		this.out.text(`${text}\n`);
	}

	ps(): void {
		const entries = this.folder.pstree();
		const children = new Map<number, pstree_entry[]>();
		for (const entry of entries) {
			const siblings = children.get(entry.ppid);
			if (siblings === undefined) children.set(entry.ppid, [entry]);
			else siblings.push(entry);
		}
		this.#line(`${column("PID")}${column("PGID")}${column("SID")}   COMM`);
		const stack = (children.get(0) ?? []).map((entry) => ({ entry, depth: 0 })).reverse();
		const seen = new Set<number>();
		for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
			const { entry, depth } = top;
			if (seen.has(entry.pid)) continue;
			seen.add(entry.pid);
			const comm = shown(this.folder.core(entry.pid)?.tc?.comm ?? new Uint8Array());
			const indent = " ".repeat(4 * depth);
			this.#line(`${column(entry.pid)}${column(entry.pgid)}${column(entry.sid)}   ${indent}${comm}`);
			for (const child of (children.get(entry.pid) ?? []).reverse()) stack.push({ entry: child, depth: depth + 1 });
		}
	}

	#path(id: number): string {
		const name = this.folder.file(id)?.reg?.name;
		return name === undefined || name.length === 0 ? "unknown path" : shown(name);
	}

	#file({ id, type }: Pick<fdinfo_entry, "id" | "type">): string {
		const file = this.folder.file(id);
		switch (typeName(type)) {
			case "REG":
				return this.#path(id);
			case "PIPE":
				return `pipe[${file?.pipe?.pipeId ?? "?"}]`;
			case "UNIXSK": {
				if (file?.usk === undefined) return "unix[?]";
				const { ino, peer, name } = file.usk;
				return `unix[${ino} (${peer})${name.length > 0 ? ` ${makePrintable(encodeQuotedPrintable(name))}` : ""}]`;
			}
			default:
				return `${typeName(type)}.${id}`;
		}
	}

	fds(): void {
		for (const { pid } of this.folder.pstree()) {
			this.#line(String(pid));
			for (const entry of this.folder.fds(pid) ?? []) this.#line(`\t${column(entry.fd)}: ${this.#file(entry)}`);
			const fs = this.folder.fs(pid);
			if (fs === undefined) continue;
			this.#line(`\t${column("cwd")}: ${this.#path(fs.cwdId)}`);
			this.#line(`\t${column("root")}: ${this.#path(fs.rootId)}`);
		}
	}

	sk(): void {
		for (const { pid } of this.folder.pstree()) {
			this.#line(String(pid));
			for (const { id, fd } of this.folder.fds(pid) ?? []) {
				const file = this.folder.file(id);
				const socket = file === undefined ? undefined : describeSocket(file);
				if (file === undefined || socket === undefined) continue;
				const ino = file.usk?.ino ?? file.isk?.ino ?? file.nlsk?.ino;
				const { family, type, state, local, remote } = socket;
				const ends = remote === "" ? local : `${local} -> ${remote}`;
				const words = [
					family,
					type,
					state,
					...(ino === undefined ? [] : [`ino ${ino}`]),
					...(ends === "" ? [] : [ends]),
				];
				this.#line(`\t${column(fd)}: ${makePrintable(words.join(" "))}`);
			}
		}
	}

	#memory(vma: vma_entry, numberOf: (id: bigint) => string): string {
		const { status } = vma;
		if (status & SYSVIPC) return ` ips[${numberOf(vma.shmid)}]`;
		if (status & ANON_SHARED) return ` shmem[${numberOf(vma.shmid)}]`;
		if (status & SOCKET) return ` packet[${numberOf(vma.shmid)}]`;
		if (status & (FILE_PRIVATE | FILE_SHARED)) {
			const offset = vma.pgoff === 0n ? "" : ` + 0x${vma.pgoff.toString(16)}`;
			return ` ${this.#path(Number(vma.shmid))}${offset}${status & FILE_SHARED ? " (s)" : ""}`;
		}
		if (status & STACK) return " [stack]";
		if (status & VSYSCALL) return " [vsyscall]";
		if (status & VDSO) return " [vdso]";
		return vma.flags & GROWSDOWN ? " [stack?]" : "";
	}

	mems(): void {
		const numbers = new Map<bigint, string>();
		const numberOf = (id: bigint): string => {
			const number = numbers.get(id) ?? (numbers.size + 1).toString(16);
			numbers.set(id, number);
			return number;
		};
		for (const { pid } of this.folder.pstree()) {
			const mm = this.folder.mm(pid);
			this.#line(String(pid));
			if (mm === undefined) continue;
			this.#line(`\t${"exe".padEnd(36)}    ${this.#path(mm.exeFileId)}`);
			for (const vma of mm.vmas) {
				const range = `${address(vma.start)}-${address(vma.end)}`.padEnd(36);
				const prot = [vma.prot & 1 ? "r" : "-", vma.prot & 2 ? "w" : "-", vma.prot & 4 ? "x" : "-"].join("");
				this.#line(`\t${range}${prot}${this.#memory(vma, numberOf)}${vma.status & REGULAR ? "" : " *"}`);
			}
		}
	}

	rss(): void {
		for (const { pid } of this.folder.pstree()) {
			const vmas = this.folder.mm(pid)?.vmas ?? [];
			this.#line(String(pid));
			let at = 0;
			let told = -1;
			for (const entry of this.folder.pagemap(pid)) {
				const pages = pagesOf(entry);
				const end = entry.vaddr + (pages << PAGE_SHIFT);
				while (at < vmas.length && (vmas[at] as vma_entry).end <= entry.vaddr) at++;
				let covered = "";
				for (; at < vmas.length && (vmas[at] as vma_entry).start < end; at++) {
					covered += `${at === told ? " ~" : this.#extent(vmas[at] as vma_entry)}\n\t${" ".repeat(23)}`;
					told = at;
				}
				if (at > 0) at--;
				const head = `\t${entry.vaddr.toString(16)} / ${String(pages).padEnd(8)}`;
				this.#line(`${head.padEnd(24)}${covered}`);
			}
		}
	}

	#extent(vma: vma_entry): string {
		const pages = String((vma.end - vma.start) >> PAGE_SHIFT).padEnd(8);
		const file = vma.status & (FILE_PRIVATE | FILE_SHARED) ? ` ${this.#path(Number(vma.shmid))}` : "";
		return ` ${address(vma.start)} / ${pages}${file}`;
	}
}

/** Writes a view (a key of VIEWS) of the images in a folder. @throws ImageError */
export function explore(path: string, what: string, out: ByteSink): void {
	using folder = new DumpFolder(path);
	if (!folder.dir.exists(KINDS.PSTREE)) {
		throw new ImageError("IMAGE_MISSING", `image pstree.img is missing in ${path}`, {
			file: "pstree.img",
			remedy: "name a folder that holds the images of a dump",
		});
	}
	const explorer = new Explorer(folder, out);
	const views: Record<string, () => void> = {
		ps: () => explorer.ps(),
		fds: () => explorer.fds(),
		mems: () => explorer.mems(),
		rss: () => explorer.rss(),
		sk: () => explorer.sk(),
	};
	views[what]?.();
}
