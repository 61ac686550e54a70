// SPDX-License-Identifier: GPL-2.0-only
// Writes C text that holds the descriptions and constants of this folder against the machine's real headers, so that a wrong
// offset fails the build. What the headers are too old to know is passed over by #ifdef. Two texts, since the kernel's and
// the C library's headers can't be included together.

import { CONSTANT_CHECKS } from "./c-check-constants.ts";
import { type HeaderSet, STRUCT_CHECKS, type StructCheck } from "./c-check-structs.ts";
import type { AnyStruct, FieldSpec } from "./struct.ts";

function headerNames(text: string): string[] {
	return text.trim().split(/\s+/);
}

const HEADERS: Readonly<Record<HeaderSet, readonly string[]>> = {
	kernel: headerNames(`
		stddef.h linux/types.h linux/version.h linux/fcntl.h linux/openat2.h linux/stat.h linux/mman.h
		linux/memfd.h linux/fs.h linux/falloc.h linux/close_range.h linux/ptrace.h elf.h linux/auxvec.h
		linux/futex.h linux/resource.h linux/capability.h linux/securebits.h linux/kcmp.h linux/rseq.h
		linux/time.h linux/timerfd.h linux/seccomp.h linux/filter.h linux/audit.h linux/mount.h linux/fiemap.h
		linux/userfaultfd.h linux/nsfs.h linux/eventpoll.h linux/inotify.h linux/fanotify.h linux/signal.h
		linux/wait.h linux/sched.h linux/sched/types.h linux/uio.h linux/socket.h linux/in.h linux/in6.h
		linux/tcp.h linux/udp.h linux/un.h linux/netlink.h linux/sock_diag.h linux/unix_diag.h linux/inet_diag.h
		linux/netlink_diag.h linux/packet_diag.h linux/if_packet.h linux/sockios.h linux/if_tun.h linux/termios.h linux/prctl.h linux/magic.h
		linux/pidfd.h asm/prctl.h asm/stat.h asm/statfs.h asm/unistd_64.h asm/sigcontext.h asm/ucontext.h
		asm/ldt.h asm/ioctls.h asm/socket.h sys/user.h linux/ipc.h linux/shm.h linux/sem.h linux/rtnetlink.h
		linux/if_link.h linux/net_namespace.h linux/aio_abi.h linux/bpf.h linux/mqueue.h
	`),
	libc: headerNames(`
		stddef.h fcntl.h sys/socket.h netinet/in.h netinet/tcp.h net/if.h sys/epoll.h sys/eventfd.h sys/signalfd.h
		sys/shm.h
	`),
};

const WIDTHS: Readonly<Record<string, number>> = { u8: 1, u16: 2, u32: 4, u64: 8, i8: 1, i16: 2, i32: 4, i64: 8 };

function fieldWidth(spec: FieldSpec): number {
	const [type, , count] = spec as readonly [FieldSpec[0], number, number?];
	if (typeof type === "object") return (type as AnyStruct).size;
	if (type === "bytes") return count ?? 0;
	return (WIDTHS[type] ?? 0) * (count ?? 1);
}

function assertLine(condition: string, label: string): string {
	return `_Static_assert(${condition}, "${label}");`;
}

function guarded(guard: string | undefined, lines: string[]): string[] {
	return guard === undefined ? lines : [`#if ${guard}`, ...lines, "#endif"];
}

function structLines(check: StructCheck): string[] {
	const { struct, type } = check;
	const lines = [assertLine(`sizeof(${type}) ${check.grows ? ">=" : "=="} ${struct.size}`, `sizeof ${struct.name}`)];
	for (const [key, spec] of Object.entries(struct.fields)) {
		if (check.skip?.includes(key)) continue;
		const member = check.members?.[key] ?? key;
		const label = `${struct.name}.${key}`;
		lines.push(
			...guarded(check.newer?.[key], [
				assertLine(`offsetof(${type}, ${member}) == ${spec[1]}`, `offset of ${label}`),
				assertLine(`sizeof(((${type} *)0)->${member}) == ${fieldWidth(spec)}`, `width of ${label}`),
			]),
		);
	}
	return guarded(check.guard, lines);
}

function constantLines(name: string, cName: string, value: number | bigint, always: boolean): string[] {
	const line =
		typeof value === "bigint"
			? assertLine(`(unsigned long long)(${cName}) == ${BigInt.asUintN(64, value)}ULL`, name)
			: assertLine(`(unsigned int)(${cName}) == ${value >>> 0}U`, name);
	return always ? [line] : [`#ifdef ${cName}`, line, "#endif"];
}

/**
 * A C file of `_Static_assert`s; compile it with `gcc -Werror -fsyntax-only`. `headers` says which: "kernel" (uapi headers,
 * nearly everything) or "libc" (what only the C library's headers show).
 */
export function cStaticAsserts(headers: HeaderSet = "kernel"): string {
	const lines = ["/* Made by src/kernel/abi/c-check.ts. */"];
	if (headers === "libc") lines.push("#define _GNU_SOURCE 1");
	for (const header of HEADERS[headers]) lines.push(`#if __has_include(<${header}>)`, `#include <${header}>`, "#endif");
	if (headers === "kernel")
		lines.push("struct cr_rt_sigframe { char *pretcode; struct ucontext uc; struct siginfo info; };");
	for (const check of STRUCT_CHECKS) if (check.headers === headers) lines.push(...structLines(check));
	for (const { names, skip, enums, prefix } of CONSTANT_CHECKS) {
		for (const [name, value] of Object.entries(names)) {
			if ((typeof value !== "number" && typeof value !== "bigint") || skip?.includes(name)) continue;
			const cName = prefix === undefined ? name : prefix[1] + name.slice(prefix[0].length);
			lines.push(...constantLines(name, cName, value, enums?.[headers]?.test(name) ?? false));
		}
	}
	return `${lines.join("\n")}\n`;
}
