// SPDX-License-Identifier: GPL-2.0-only
// How a restore gets at what inotify and fanotify watch: by its path, by what has replaced a file without a name, or by handle.
// What has to be opened is opened with the files, before anything is watched; handles (O_PATH) make no events.

import type { Program } from "../../agent/program.ts";
import { CriuError } from "../../errors.ts";
import type { fh_entry } from "../../images/gen/fsnotify_pb.ts";
import { hasField } from "../../images/index.ts";
import { fromKernelDev } from "../../kernel/abi/devices.ts";
import { encodeFileHandle, MAX_HANDLE_SZ } from "../../kernel/abi/event-files.ts";
import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_PATH } from "../../kernel/abi/fcntl.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { readMountinfo } from "../../kernel/procfs/mountinfo.ts";
import { showPath, toCString } from "../../sys/file.ts";
import type { FilePlan, RestoreContext } from "../kind.ts";
import { checkPath, corruptImage } from "./image-checks.ts";
import { keptFilesOf, ownFdPath } from "./kept-files.ts";
import { planOpenReg } from "./reg-plan.ts";

/** How the kernel is to find a watched file. */
export interface WatchTarget {
	/** With its NUL. */
	readonly path: Uint8Array;
	/** The path is the link to a kept descriptor, which has to be followed; other paths are taken literally. */
	readonly follow: boolean;
	readonly shown: string;
}

/** What is wrong with a handle is told by the field that it belongs to. */
function bytesOfHandle(handle: fh_entry, field: string): Uint8Array {
	const words = BigUint64Array.from(handle.handle);
	if (handle.bytes === 0 || handle.bytes > Math.min(MAX_HANDLE_SZ, words.byteLength))
		throw corruptImage("files.img", `${field} has a handle of ${handle.bytes} bytes`);
	return new Uint8Array(words.buffer, 0, handle.bytes);
}

/** A directory by which the file system of a device can be reached. */
function findMountpoint(sdev: number, context: RestoreContext): Uint8Array {
	const mounts = context.once("own-mountinfo", () => readMountinfo("self"));
	const { major, minor } = fromKernelDev(sdev);
	const mount = mounts.find(({ devMajor, devMinor }) => devMajor === major && devMinor === minor);
	if (mount !== undefined) return mount.mountpoint;
	throw new CriuError("FILE_MISSING", `the file system ${major}:${minor}, of which a file is watched, isn't mounted`, {
		remedy: "mount it, or restore on the host of the dump before it restarts",
	});
}

function planHandle(program: Program, handle: fh_entry, sdev: number, field: string, context: RestoreContext) {
	const bytes = encodeFileHandle(handle.type | 0, bytesOfHandle(handle, field));
	const mountpoint = findMountpoint(sdev, context);
	const directory = program.syscall(`open ${showPath(mountpoint)}`, nr.SYS_openat, [
		AT_FDCWD,
		toCString(mountpoint),
		O_DIRECTORY | O_NONBLOCK,
		0,
	]);
	const file = program.syscall(
		`open the file of ${field} by its handle`,
		nr.SYS_open_by_handle_at,
		[directory, bytes, O_PATH],
		{
			remedies: {
				ESTALE: "the watched file was removed since the dump: copy it back and dump again",
				EPERM: "run criu as root: it takes CAP_DAC_READ_SEARCH",
				EOPNOTSUPP: "its file system opens no handles: dump again with --irmap-scan-path",
			},
		},
	);
	program.syscall("close the mount point", nr.SYS_close, [directory]);
	return file;
}

/** Adds what makes a watched file reachable. `field` names the watch. @throws ImageError, CriuError FILE_MISSING */
export function planWatched(handle: fh_entry, sdev: number, field: string, file: FilePlan): WatchTarget {
	const { program, plan, context } = file;
	if (!hasField(handle, "fileId") && hasField(handle, "path") && handle.path.length > 0) {
		const path = checkPath("files.img", `path of ${field}`, handle.path);
		return { path: toCString(path), follow: false, shown: showPath(path) };
	}
	const opened = hasField(handle, "fileId")
		? planOpenReg(program, handle.fileId, O_PATH | O_NOFOLLOW, plan, context)
		: planHandle(program, handle, sdev, field, context);
	const number = keptFilesOf(plan).keep(program, opened);
	return { path: ownFdPath(number), follow: true, shown: `the file of ${field}` };
}
