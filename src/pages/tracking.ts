// SPDX-License-Identifier: GPL-2.0-only
// Which pages a task has written to, by userfaultfd's asynchronous write protection: the kernel notes the first write to each
// page and lets it happen. Source: userfaultfd(2) UFFD_FEATURE_WP_ASYNC, admin-guide/mm/pagemap.rst.

import { isErrno, KernelError } from "../errors.ts";
import { errnoNumber } from "../kernel/abi/errno.ts";
import { O_CLOEXEC } from "../kernel/abi/fcntl.ts";
import { UFFDIO_API, UFFDIO_REGISTER } from "../kernel/abi/ioctl.ts";
import { SYS_ioctl, SYS_userfaultfd } from "../kernel/abi/syscalls.x86_64.ts";
import * as uf from "../kernel/abi/userfaultfd.ts";
import { closeFd, openAt } from "../sys/file.ts";
import { syscall } from "../sys/host.ts";
import { appendRange, intersect, type Ranges, subtract } from "./ranges.ts";
import { scanWritten } from "./scan.ts";
import type { SoftTracking } from "./soft-dirty.ts";

const FEATURES =
	uf.UFFD_FEATURE_WP_ASYNC |
	uf.UFFD_FEATURE_PAGEFAULT_FLAG_WP |
	uf.UFFD_FEATURE_WP_HUGETLBFS_SHMEM |
	uf.UFFD_FEATURE_WP_UNPOPULATED;
const GONE: ReadonlySet<number> = new Set(["ESRCH", "ENOMEM"].map(errnoNumber));

/** Makes a fresh userfaultfd one that tracks writes. @throws KernelError EINVAL where the kernel can't */
export function enableTracking(uffd: number): void {
	const ret = syscall(SYS_ioctl, uffd, UFFDIO_API, uf.UffdioApi.encode({ api: uf.UFFD_API, features: FEATURES }));
	if (ret < 0) throw new KernelError("ioctl", -ret, "UFFDIO_API");
}

/** True where the kernel can track writes by a userfaultfd. @throws KernelError */
export function canTrack(): boolean {
	const uffd = syscall(SYS_userfaultfd, O_CLOEXEC | uf.UFFD_USER_MODE_ONLY);
	if (uffd < 0) return false;
	try {
		enableTracking(uffd);
		return true;
	} catch (error) {
		if (!isErrno(error, "EINVAL")) throw error;
		return false;
	} finally {
		closeFd(uffd);
	}
}

/**
 * Puts mappings under a userfaultfd; what is under it already stays as it is. Gives those that are; undefined when the memory that
 * it was made for is gone. What belongs to another userfaultfd, or can't be tracked, is left out.
 */
export function registerRanges(uffd: number, ranges: Ranges): Ranges | undefined {
	const done: Ranges = [];
	for (const { start, end } of ranges) {
		const range = { start, len: end - start };
		const arg = uf.UffdioRegister.encode({ range, mode: uf.UFFDIO_REGISTER_MODE_WP });
		const ret = syscall(SYS_ioctl, uffd, UFFDIO_REGISTER, arg);
		if (ret === 0) done.push({ start, end });
		else if (GONE.has(-ret)) return undefined;
	}
	return done;
}

/** How the memory of one task is tracked in a dump. */
export type TaskTracking = UserfaultTracking | SoftTracking;

export interface UserfaultTracking {
	/** Its userfaultfd, a copy of ours. */
	readonly uffd: number;
	/** What the parent images have, where its bits tell of the time since then; empty: nothing can be left to them. */
	readonly coverage: Ranges;
	/** Write protection begins anew: the next dump builds on this one. */
	readonly arm: boolean;
}

/**
 * Ranges whose data is the same as in the parent images. `mappings`: private mappings of a task that stands still.
 *
 * @throws KernelError
 */
export function findUnchanged(pid: number, mappings: Ranges, tracking: UserfaultTracking): Ranges {
	const { uffd, coverage, arm } = tracking;
	const tracked = registerRanges(uffd, mappings) ?? [];
	const fd = openAt(`/proc/${pid}/pagemap`, 0);
	try {
		const unchanged: Ranges = [];
		for (const mapping of tracked) {
			const written = scanWritten(fd, mapping.start, mapping.end, arm);
			if (written === undefined) continue;
			for (const { start, end } of subtract([mapping], written)) appendRange(unchanged, start, end);
		}
		return intersect(unchanged, coverage);
	} finally {
		closeFd(fd);
	}
}
