// SPDX-License-Identifier: GPL-2.0-only
import { fd_types, file_entrySchema, type file_entry } from "../../images/gen/fdinfo_pb.ts";
import { reg_file_entrySchema } from "../../images/gen/file_pb.ts";
import { fown_entrySchema } from "../../images/gen/fown_pb.ts";
import { create } from "../../images/index.ts";
import { statFd } from "../../sys/file.ts";
import type { DumpContext, DumpedTask, FileRegistry } from "../kind.ts";
export class FileTable implements FileRegistry {
	readonly entries: file_entry[] = [];
	private next = 1;
	private readonly mapped = new Map<string, number>();
	constructor(_: DumpContext) {}
	newId() { return this.next++; }
	add(entry: file_entry) { this.entries.push(entry); }
	addMapped(_t: DumpedTask, link: Uint8Array, fd: number) {
		const st = statFd(fd); const key = `${st.devMajor}:${st.devMinor}:${st.ino}`;
		let id = this.mapped.get(key);
		if (id === undefined) { id = this.newId(); this.mapped.set(key, id);
		this.add(create(file_entrySchema, { type: fd_types.REG, id, reg: create(reg_file_entrySchema, { id, flags: 0, pos: 0n, fown: create(fown_entrySchema, { uid: 0, euid: 0, signum: 0, pidType: 0, pid: 0 }), name: link, size: st.size, mode: st.mode }) })); }
		return id;
	}
	addDirectory(t: DumpedTask, link: Uint8Array, fd: number) { this.mapped.clear(); return this.addMapped(t, link, fd); }
}
