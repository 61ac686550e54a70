// SPDX-License-Identifier: GPL-2.0-only
// Checks that the kinds of file share when they read images: every number and name in there may be forged.

import { ImageError } from "../../errors.ts";

/** Descriptor numbers lie below this (sysctl fs.nr_open as it comes). */
export const MAX_FDS = 1048576;
/** Bytes of the longest path, with its NUL. */
export const PATH_MAX = 4096;
const NAME_MAX = 255;
const SLASH = 0x2f;
const DOT = 0x2e;

/** The error for something that no dump can have written. `problem` names the field. */
export function corruptImage(file: string, problem: string): ImageError {
	return new ImageError("IMAGE_CORRUPT", `${file}: ${problem}`, {
		file,
		remedy: "dump again; the images were damaged",
	});
}

/** A path that open(2) can take: absolute, without NUL, of a length that the kernel accepts. @throws ImageError */
export function checkPath(file: string, field: string, path: Uint8Array): Uint8Array {
	if (path[0] !== SLASH) throw corruptImage(file, `${field} is no absolute path`);
	if (path.includes(0)) throw corruptImage(file, `${field} holds a NUL byte`);
	if (path.length >= PATH_MAX) throw corruptImage(file, `${field} has ${path.length} bytes`);
	for (let start = 1, end = 0; end < path.length; start = end + 1) {
		end = path.indexOf(SLASH, start);
		if (end < 0) end = path.length;
		if (end - start > NAME_MAX) throw corruptImage(file, `${field} has a part of ${end - start} bytes`);
		// The kernel shows no such paths; names below what is to be made and removed mustn't lead elsewhere.
		const isDots = path[start] === DOT && path[end - 1] === DOT;
		if (isDots && (end - start === 1 || end - start === 2)) throw corruptImage(file, `${field} has a part of dots`);
	}
	return path;
}

/** The message of a given type inside an entry of files.img, with the id of the entry. @throws ImageError */
export function checkInner<T extends { id: number }>(id: number, name: string, inner: T | undefined): T {
	if (inner === undefined) throw corruptImage("files.img", `entry ${id} has no ${name}`);
	if (inner.id !== id) throw corruptImage("files.img", `entry ${id} holds a ${name} with id ${inner.id}`);
	return inner;
}
