// SPDX-License-Identifier: GPL-2.0-only
// --external: what the user declares as not part of the dump, by its key. A restore gets it by --inherit-fd with the same key.

import { readFdinfo } from "../../kernel/procfs/fdinfo.ts";
import type { DumpContext } from "../kind.ts";
import type { NamedFile } from "./file-path.ts";

type ExternalContext = Pick<DumpContext, "options" | "once">;

/** True when the user has named this key; what follows a colon behind it is for others. */
export function isExternal(key: string, context: ExternalContext): boolean {
	const keys = context.once("external-keys", () => new Set(context.options.external.map(bare)));
	return keys.has(key);
}

/** `KIND[ID]` of `KIND[ID]:VALUE`. */
function bare(text: string): string {
	const end = text.indexOf("]:");
	return end < 0 ? text : text.slice(0, end + 1);
}

/** Key of a file by its mount and inode, both hexadecimal. */
export function keyOfFile(mntId: number, inode: bigint): string {
	return `file[${mntId.toString(16)}:${inode.toString(16)}]`;
}

/** Id of a file's mount. Mappings tell none, but our own descriptor of the file does. */
export function mountOf(file: NamedFile): number {
	return file.mntId ?? readFdinfo("self", file.ownFd).mntId;
}

/** The key under which the user has declared a file as external; undefined when it's dumped as any other. */
export function findExternalFile(file: NamedFile, context: ExternalContext): string | undefined {
	const { external } = context.options;
	if (external.length === 0 || !external.some((text) => text.startsWith("file["))) return undefined;
	const key = keyOfFile(mountOf(file), file.stat.ino);
	return isExternal(key, context) ? key : undefined;
}
