// SPDX-License-Identifier: GPL-2.0-only
// Labels of Linux security modules (AppArmor, SELinux). Source: /proc/PID/attr/current, apparmor(7), selinux(8).

import { isErrno } from "../../errors.ts";
import { readProcFile } from "../../kernel/procfs/reader.ts";

const UNCONFINED = "unconfined";

/** No security module answers on this host: there is no need to ask again. */
let noModule = false;

/** The name in a security label: AppArmor adds its mode, SELinux a NUL. Undefined when nothing confines the task. */
export function parseLabel(text: string): string | undefined {
	const name = text.replace(/[\0\n]+$/, "").replace(/ \((enforce|complain|kill|mixed|prompt|unconfined)\)$/, "");
	return name === "" || name === UNCONFINED ? undefined : name;
}

/** The label of a task; undefined without a security module that gives labels. */
export function readLabel(pid: number | "self"): string | undefined {
	if (noModule) return undefined;
	try {
		return parseLabel(new TextDecoder().decode(readProcFile(`/proc/${pid}/attr/current`)));
	} catch (error) {
		// EINVAL: no module answers; ENOENT: none is built in.
		if (isErrno(error, "EINVAL", "ENOENT")) {
			noModule = true;
			return undefined;
		}
		throw error;
	}
}
