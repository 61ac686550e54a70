// SPDX-License-Identifier: GPL-2.0-only
// Framing of image files, and the file errors of this layer.
//
//   file  = [u32 common magic] [u32 magic of the kind] record…      (raw kinds: bytes only)
//   entry = u32 size, size bytes of message, [raw payload, its length told by the message]
//
// All little endian. Version 1 directories have no common magic; inventory.img never has one.

import { CriuError, ImageError, KernelError } from "../errors.ts";
import { errnoName } from "../kernel/abi/errno.ts";
import type { ImageKind } from "./kinds.ts";
import { IMG_COMMON_MAGIC, IMG_SERVICE_MAGIC } from "./magics.ts";

/** Version of an image directory: 1 without common magics, 2 with them. Only 2 is written. */
export type ImgVersion = 1 | 2;

/** Largest message that is read or written, in bytes; 64 MiB hold over a million vmas. */
export const MAX_ENTRY_SIZE = 64 * 1024 * 1024;

/** The words at the start of an image of that kind. */
export function headerOf(kind: ImageKind, version: ImgVersion): number[] {
	if (kind.magic === 0) return [];
	if (version === 1 || kind.common === "none") return [kind.magic];
	return [kind.common === "service" ? IMG_SERVICE_MAGIC : IMG_COMMON_MAGIC, kind.magic];
}

interface FsFailure {
	code: string;
	errno: number;
	syscall: string;
}

function isFsFailure(error: unknown): error is Error & FsFailure {
	return error instanceof Error && "code" in error && "errno" in error && typeof error.errno === "number";
}

/** A failure of node:fs as KernelError; other errors as they are. */
export function toKernelError(error: unknown, path: string): unknown {
	if (!isFsFailure(error)) return error;
	return new KernelError(error.syscall ?? "io", Math.abs(error.errno), path);
}

/** True for a failure of node:fs with that errno name. */
export function isFsErrno(error: unknown, ...names: string[]): boolean {
	return isFsFailure(error) && names.includes(errnoName(Math.abs(error.errno)));
}

const WRITE_REMEDIES: Record<string, string> = {
	ENOSPC: "free space on the file system of the images directory, or choose another directory",
	EDQUOT: "raise the disk quota, or choose another images directory",
	EFBIG: "raise the file size limit (ulimit -f) that criu runs under",
	EROFS: "choose an images directory on a file system that is mounted for writing",
	EACCES: "run criu as a user who may write to the images directory",
	EPERM: "run criu as a user who may write to the images directory",
};

/** IMAGE_WRITE: a failure to create or write an image; `error` is what node:fs threw. */
export function writeFailure(file: string, error: unknown): CriuError {
	if (error instanceof CriuError) return error;
	const cause = toKernelError(error, file);
	const remedy = cause instanceof KernelError ? WRITE_REMEDIES[cause.code] : undefined;
	return new ImageError("IMAGE_WRITE", `cannot write image ${file}`, {
		file,
		cause,
		remedy: remedy ?? "check the file system of the images directory",
	});
}

/** IMAGE_READ: a failure to open or read an image; `error` is what node:fs threw. */
export function readFailure(file: string, error: unknown): CriuError {
	if (error instanceof CriuError) return error;
	return new ImageError("IMAGE_READ", `cannot read image ${file}`, {
		file,
		cause: toKernelError(error, file),
		remedy: "check the images directory and its permissions",
	});
}

/** IMAGE_TRUNCATED: the file ends inside of a record. */
export function truncated(file: string, offset: number, what: string): ImageError {
	return new ImageError("IMAGE_TRUNCATED", `image ${file} ends inside of ${what} at offset ${offset}`, {
		file,
		offset,
		remedy: "take the images from an intact copy, or dump again",
	});
}
