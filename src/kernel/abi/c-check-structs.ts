// SPDX-License-Identifier: GPL-2.0-only
// Which C type each description of this folder stands for, for c-check.ts.

import { Iocb, IoEvent } from "./aio.ts";
import * as bpf from "./bpf.ts";
import { CapUserData, CapUserHeader } from "./capability.ts";
import { EpollEvent, FileHandle, InotifyEvent } from "./event-files.ts";
import { Flock, FOwnerEx, OpenHow } from "./fcntl.ts";
import { Fiemap, FiemapExtent } from "./fiemap.ts";
import { RobustListHead } from "./futex.ts";
import {
	GroupFilter,
	GroupReq,
	Ifreq,
	SockaddrIn,
	SockaddrIn6,
	TcpInfo,
	TcpRepairOpt,
	TcpRepairWindow,
} from "./inet.ts";
import { MqAttr, Sembuf, SemidDs, Seminfo, ShmidDs } from "./ipc.ts";
import { KcmpEpollSlot } from "./kcmp.ts";
import { MountAttr } from "./mount.ts";
import { Nlattr, Nlmsghdr, SockaddrNl } from "./netlink.ts";
import { PacketMreq, SockaddrLl, TpacketBlock, TpacketReq3 } from "./packet.ts";
import { PageRegion, PmScanArg } from "./pagemap-scan.ts";
import { PrctlMmMap } from "./prctl.ts";
import { ProcmapQuery } from "./procmap-query.ts";
import {
	PtracePeeksiginfoArgs,
	PtraceRseqConfiguration,
	PtraceSudConfig,
	PtraceSyscallInfo,
	SeccompMetadata,
} from "./ptrace.ts";
import { Rlimit64 } from "./resource.ts";
import { Rseq, RseqCs } from "./rseq.ts";
import { Ifinfomsg } from "./rtnetlink.ts";
import { CloneArgs, SchedAttr } from "./sched.ts";
import { SockFilter, SockFprog } from "./seccomp.ts";
import { KernelSigaction, Sigevent, StackT } from "./sigaction.x86_64.ts";
import { FpxSwBytes, RtSigframe, Sigcontext32, Sigcontext64, Ucontext } from "./sigframe.x86_64.ts";
import { Siginfo } from "./siginfo.ts";
import * as diag from "./sock-diag.ts";
import { Cmsghdr, Iovec, Linger, Msghdr, SockaddrUn, Ucred } from "./socket.ts";
import { Statx, StatxTimestamp } from "./stat.ts";
import { Stat, Statfs } from "./stat.x86_64.ts";
import type { AnyStruct } from "./struct.ts";
import { Termios, Termios2, Winsize } from "./termios.ts";
import { Itimerspec, Itimerval, Timespec, Timeval } from "./time.ts";
import { UserDesc, UserFpregs, UserRegs } from "./user-regs.x86_64.ts";
import * as uffd from "./userfaultfd.ts";
import { XsaveHeader } from "./xsave.x86_64.ts";

/** Which family of headers shows a type. */
export type HeaderSet = "kernel" | "libc";

export interface StructCheck {
	struct: AnyStruct;
	headers: HeaderSet;
	/** The C type. */
	type: string;
	/** Preprocessor condition under which the headers know the type. */
	guard?: string;
	/** C member designators of fields that are called otherwise here. */
	members?: Readonly<Record<string, string>>;
	/** Conditions of fields that came later than the type. */
	newer?: Readonly<Record<string, string>>;
	/** Newer headers have more fields at the end. */
	grows?: boolean;
	/** Fields that C can't point at. */
	skip?: readonly string[];
}

type Extra = Omit<StructCheck, "struct" | "headers" | "type">;

/** A type whose C name is `struct <name>`. */
function kernel(struct: AnyStruct, extra: Extra = {}): StructCheck {
	return { struct, headers: "kernel", type: `struct ${struct.name}`, ...extra };
}

function libc(struct: AnyStruct, extra: Extra = {}): StructCheck {
	return { struct, headers: "libc", type: `struct ${struct.name}`, ...extra };
}

/** A part of the union that bpf(2) takes. */
function bpfAttr(struct: AnyStruct, members: Readonly<Record<string, string>> = {}): StructCheck {
	return { struct, headers: "kernel", type: "union bpf_attr", grows: true, members };
}

const since = (hex: string): string => `LINUX_VERSION_CODE >= ${hex}`;

export const STRUCT_CHECKS: readonly StructCheck[] = [
	...[
		CapUserData,
		CapUserHeader,
		Iocb,
		IoEvent,
		EpollEvent,
		InotifyEvent,
		Flock,
		FOwnerEx,
		OpenHow,
		Fiemap,
		FiemapExtent,
	].map((s) => kernel(s)),
	kernel(RobustListHead, { members: { list: "list.next" } }),
	...[SockaddrIn, SockaddrIn6, TcpRepairOpt, TcpRepairWindow, KcmpEpollSlot, MountAttr, PrctlMmMap].map((s) =>
		kernel(s),
	),
	...[PacketMreq, SockaddrLl, TpacketReq3].map((s) => kernel(s)),
	kernel(TpacketBlock, { members: { block_status: "hdr.bh1.block_status", num_pkts: "hdr.bh1.num_pkts" } }),
	kernel(GroupReq),
	kernel(GroupFilter, { skip: ["gf_slist"] }),
	kernel(TcpInfo, { grows: true }),
	kernel(PageRegion, { guard: "defined(PAGEMAP_SCAN)" }),
	kernel(PmScanArg, { guard: "defined(PAGEMAP_SCAN)" }),
	kernel(ProcmapQuery, { guard: "defined(PROCMAP_QUERY)" }),
	...[PtracePeeksiginfoArgs, PtraceRseqConfiguration, SeccompMetadata].map((s) => kernel(s)),
	kernel(PtraceSudConfig, { guard: "defined(PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG)" }),
	kernel(PtraceSyscallInfo, {
		members: {
			entry_nr: "entry.nr",
			entry_args: "entry.args",
			exit_rval: "exit.rval",
			exit_is_error: "exit.is_error",
			seccomp_ret_data: "seccomp.ret_data",
		},
	}),
	...[
		Nlattr,
		Nlmsghdr,
		SockaddrNl,
		Ifinfomsg,
		diag.UnixDiagReq,
		diag.UnixDiagMsg,
		diag.InetDiagSockid,
		diag.InetDiagReqV2,
	].map((s) => kernel(s)),
	...[diag.InetDiagMsg, diag.NetlinkDiagReq, diag.NetlinkDiagMsg, diag.PacketDiagReq, diag.PacketDiagMsg].map((s) =>
		kernel(s),
	),
	...[diag.PacketDiagInfo, diag.PacketDiagMclist, diag.PacketDiagRing].map((s) => kernel(s)),
	kernel(Rlimit64),
	kernel(Rseq, { newer: { node_id: since("0x60300"), mm_cid: since("0x60300") } }),
	kernel(RseqCs),
	...[CloneArgs, SchedAttr, SockFilter, SockFprog, KernelSigaction].map((s) => kernel(s)),
	{ struct: StackT, headers: "kernel", type: "stack_t" },
	kernel(bpf.BpfMapInfo, { grows: true }),
	bpfAttr(bpf.BpfMapCreate),
	bpfAttr(bpf.BpfGetInfo, { bpf_fd: "info.bpf_fd", info_len: "info.info_len", info: "info.info" }),
	bpfAttr(bpf.BpfGetFdById),
	bpfAttr(bpf.BpfMapBatch, Object.fromEntries(Object.keys(bpf.BpfMapBatch.fields).map((key) => [key, `batch.${key}`]))),
	bpfAttr(bpf.BpfMapFreeze),
	kernel(bpf.BpfBtfInfo, { grows: true }),
	bpfAttr(bpf.BpfBtfLoad),
	bpfAttr(bpf.BpfBtfId),
	kernel(Sigevent),
	kernel(Siginfo),
	...[FpxSwBytes, Sigcontext32, Sigcontext64, Ucontext].map((s) => kernel(s)),
	{ struct: RtSigframe, headers: "kernel", type: "struct cr_rt_sigframe" },
	...[Iovec, SockaddrUn, StatxTimestamp, Stat, Termios, Termios2, Winsize].map((s) => kernel(s)),
	kernel(Statx, { newer: { stx_subvol: "defined(STATX_SUBVOL)" } }),
	kernel(Statfs),
	...[Timespec, Timeval, Itimerval, Itimerspec].map((s) => kernel(s)),
	kernel(UserDesc, { skip: ["flags"] }),
	kernel(UserRegs),
	kernel(UserFpregs),
	kernel(XsaveHeader, { members: { xstate_bv: "xfeatures", xcomp_bv: "reserved1[0]" } }),
	...[uffd.UffdioApi, uffd.UffdioRange, uffd.UffdioRegister, uffd.UffdioCopy, uffd.UffdioZeropage].map((s) =>
		kernel(s),
	),
	kernel(uffd.UffdioWriteprotect),
	kernel(uffd.UffdioContinue),
	kernel(uffd.UffdioPoison, { guard: "defined(UFFDIO_POISON)" }),
	kernel(uffd.UffdioMove, { guard: "defined(UFFDIO_MOVE)" }),
	kernel(uffd.UffdMsg, {
		members: {
			pagefault_flags: "arg.pagefault.flags",
			pagefault_address: "arg.pagefault.address",
			pagefault_ptid: "arg.pagefault.feat.ptid",
			fork_ufd: "arg.fork.ufd",
			remap_from: "arg.remap.from",
			remap_to: "arg.remap.to",
			remap_len: "arg.remap.len",
			remove_start: "arg.remove.start",
			remove_end: "arg.remove.end",
		},
	}),
	kernel(ShmidDs, {
		members: Object.fromEntries(
			["key", "uid", "gid", "cuid", "cgid", "mode"].map((name) => [name, `shm_perm.${name}`]),
		),
	}),
	kernel(Sembuf),
	kernel(MqAttr),
	kernel(SemidDs, { members: { key: "sem_perm.key" } }),
	kernel(Seminfo),
	libc(Ifreq, { members: { ifr_name: "ifr_ifrn.ifrn_name", ifr_ifindex: "ifr_ifru.ifru_ivalue" } }),
	...[Msghdr, Cmsghdr, Ucred, Linger, FileHandle].map((s) => libc(s)),
];
