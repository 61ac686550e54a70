// SPDX-License-Identifier: GPL-2.0-only
// Which modules' constants c-check.ts compares, and what is special about some of them.

import * as aio from "./aio.ts";
import * as archPrctl from "./arch-prctl.x86_64.ts";
import * as auxv from "./auxv.ts";
import * as bpf from "./bpf.ts";
import * as capability from "./capability.ts";
import * as devices from "./devices.ts";
import * as eventFiles from "./event-files.ts";
import * as fcntl from "./fcntl.ts";
import * as fiemap from "./fiemap.ts";
import * as futex from "./futex.ts";
import * as inet from "./inet.ts";
import * as ioctl from "./ioctl.ts";
import * as ipc from "./ipc.ts";
import * as kcmp from "./kcmp.ts";
import * as magic from "./magic.ts";
import * as mman from "./mman.ts";
import * as mount from "./mount.ts";
import * as namespaces from "./namespaces.ts";
import * as netlink from "./netlink.ts";
import * as packet from "./packet.ts";
import * as pagemapScan from "./pagemap-scan.ts";
import * as prctl from "./prctl.ts";
import * as ptrace from "./ptrace.ts";
import * as resource from "./resource.ts";
import * as rseq from "./rseq.ts";
import * as rtnetlink from "./rtnetlink.ts";
import * as sched from "./sched.ts";
import * as seccomp from "./seccomp.ts";
import * as securebits from "./securebits.ts";
import * as sigframe from "./sigframe.x86_64.ts";
import * as signal from "./signal.ts";
import * as sockDiag from "./sock-diag.ts";
import * as socket from "./socket.ts";
import * as stat from "./stat.ts";
import * as syscalls from "./syscall-numbers.x86_64.ts";
import * as termios from "./termios.ts";
import * as time from "./time.ts";
import * as userfaultfd from "./userfaultfd.ts";
import * as wait from "./wait.ts";

export interface ConstantCheck {
	/** The module; what isn't a number or bigint is passed over. */
	names: Readonly<Record<string, unknown>>;
	/** Constants that headers spell as something that can't be compared. */
	skip?: readonly string[];
	/** Constants that are enumerators: compared without #ifdef. */
	enums?: { kernel?: RegExp; libc?: RegExp };
	/** Our prefix and the header's. */
	prefix?: readonly [ours: string, theirs: string];
}

export const CONSTANT_CHECKS: readonly ConstantCheck[] = [
	{ names: archPrctl },
	{ names: auxv },
	{ names: bpf, enums: { kernel: /^BPF_/ } },
	{ names: capability },
	{ names: devices },
	{ names: eventFiles },
	// The C library calls O_LARGEFILE 0, for itself.
	{ names: fcntl, skip: ["O_LARGEFILE"] },
	{ names: fiemap },
	{ names: { IOCB_CMD_PREAD: aio.IOCB_CMD_PREAD } },
	{ names: futex },
	{
		names: inet,
		enums: {
			libc: /^TCP_(ESTABLISHED|SYN_SENT|SYN_RECV|FIN_WAIT[12]|TIME_WAIT|CLOSE|CLOSE_WAIT|LAST_ACK|LISTEN|CLOSING)$/,
		},
	},
	{ names: ioctl },
	{ names: ipc },
	{ names: kcmp, enums: { kernel: /^KCMP_/ } },
	{ names: magic },
	{ names: mman },
	{ names: mount, enums: { kernel: /^FSCONFIG_/ } },
	{ names: namespaces },
	{ names: netlink },
	{ names: packet },
	{ names: pagemapScan },
	{ names: prctl },
	{ names: ptrace },
	{ names: resource },
	{ names: rseq, enums: { kernel: /^RSEQ_(FLAG|CS_FLAG|CPU_ID)/ } },
	{ names: rtnetlink, enums: { kernel: /^(RTM_|IFLA_|NETNSA_)/ } },
	{ names: sched },
	{ names: seccomp },
	{ names: securebits },
	{ names: sigframe },
	// SIG_DFL and SIG_IGN are pointers there; the upper end of the real-time signals is a name the headers don't define.
	{ names: signal, skip: ["SIG_DFL", "SIG_IGN", "SIGRTMAX", "SIGRTMIN"] },
	{ names: sockDiag, enums: { kernel: /^(SK_MEMINFO|UNIX_DIAG|INET_DIAG_(?!NOCOOKIE)|NETLINK_DIAG|PACKET_DIAG)/ } },
	{ names: socket },
	{ names: stat },
	{ names: syscalls, prefix: ["SYS_", "__NR_"] },
	{ names: termios },
	{ names: time },
	{ names: userfaultfd },
	{ names: wait },
];
