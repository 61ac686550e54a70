// SPDX-License-Identifier: GPL-2.0-only
// `criu check`: runs probes of the kernel and gives a verdict. Which probes belong to which level is data below.

import { BugError, type CriuError, messageOf, UnsupportedError, UsageError } from "../errors.ts";
import { type Feature, features } from "./features.ts";
import type { Probe } from "./probe-host.ts";
import * as host from "./probe-host.ts";
import * as links from "./probe-links.ts";
import * as objects from "./probe-objects.ts";
import * as task from "./probe-task.ts";
import type { CheckLevel, CheckResult } from "./types.ts";

export interface Requirement {
	/** What every dump and restore needs, in the user's words. */
	what: string;
	probe: Probe;
	remedy: string;
}

const NEWER_KERNEL = "use a newer kernel (5.10 or later), built with CONFIG_CHECKPOINT_RESTORE";
const MORE_RIGHTS = "run criu as root with CAP_SYS_ADMIN, CAP_SYS_PTRACE and CAP_CHECKPOINT_RESTORE";

const FEATURE_REMEDY =
	"nothing to do unless a program needs it; a newer kernel, more rights or another build of criu may have it";

/** Without these nothing works: the plain check. */
export const requirements: readonly Requirement[] = [
	{ what: "mapped files in /proc/PID/map_files", probe: host.probeMapFiles, remedy: MORE_RIGHTS },
	{ what: "comparing kernel objects (kcmp)", probe: host.probeKcmp, remedy: NEWER_KERNEL },
	{ what: "the address of the thread id (PR_GET_TID_ADDRESS)", probe: host.probeTidAddress, remedy: NEWER_KERNEL },
	{ what: "setting memory boundaries (PR_SET_MM_MAP)", probe: host.probeSetMmMap, remedy: NEWER_KERNEL },
	{ what: "owners of files (F_GETOWNER_UIDS)", probe: host.probeOwnerUids, remedy: NEWER_KERNEL },
	{ what: "all fields of /proc/PID/stat", probe: host.probeStatFields, remedy: NEWER_KERNEL },
	{ what: "state of event files in fdinfo", probe: host.probeEventFdinfo, remedy: NEWER_KERNEL },
	{
		what: "locks of pseudoterminals (TIOCGPTLCK)",
		probe: host.probePtyLock,
		remedy: "mount devpts and provide /dev/ptmx",
	},
	{ what: "reading sockets without taking (SO_PEEK_OFF)", probe: host.probePeekOff, remedy: NEWER_KERNEL },
	{ what: "mapping the vdso anew (ARCH_MAP_VDSO_64)", probe: host.probeMapVdso, remedy: NEWER_KERNEL },
	{ what: "descriptors of other processes (pidfd_getfd)", probe: host.probePidfd, remedy: NEWER_KERNEL },
	{
		what: "pending signals of other processes (PTRACE_PEEKSIGINFO)",
		probe: task.probePeekSiginfo,
		remedy: MORE_RIGHTS,
	},
	{ what: "processes with chosen pids (clone3 with set_tid)", probe: task.probeSetTid, remedy: MORE_RIGHTS },
];

const lacksNftables: Probe = () => "this version of criu is built without nftables";

/** The probe of each feature. */
export const featureProbes: Readonly<Record<FeatureName, Probe>> = {
	mnt_id: host.probeMountId,
	mem_dirty_track: host.probeMemoryTracking,
	aio_remap: objects.probeAioRemap,
	timerfd: host.probeTimerfd,
	tun: host.probeTun,
	tun_ns: host.probeTunNs,
	userns: host.probeUserNs,
	fdinfo_lock: host.probeFdinfoLock,
	seccomp_suspend: task.probeSuspendSeccomp,
	seccomp_filters: task.probeSeccompFilters,
	loginuid: host.probeLoginUid,
	cgroupns: host.probeCgroupNs,
	autofs: links.probeAutofs,
	tcp_half_closed: objects.probeTcpHalfClosed,
	compat_cr: task.probeIa32,
	uffd: host.probeUserfault,
	"uffd-noncoop": host.probeUserfaultEvents,
	can_map_vdso: host.probeMapVdso,
	sk_ns: host.probeSocketNs,
	sk_unix_file: host.probeSocketFile,
	net_diag_raw: objects.probeRawDiag,
	nsid: links.probeNsid,
	link_nsid: links.probeNsid,
	kcmp_epoll: host.probeKcmpEpoll,
	timens: host.probeTimeNs,
	external_net_ns: () => undefined,
	clone3_set_tid: task.probeSetTid,
	newifindex: links.probeNewIfindex,
	nftables: lacksNftables,
	has_ipt_legacy: host.probeLegacyIptables,
	pidfd_store: host.probePidfd,
	ns_pid: host.probeNsPid,
	apparmor_stacking: host.probeAppArmorStack,
	network_lock_nftables: lacksNftables,
	sockopt_buf_lock: host.probeBufferLock,
	memfd_hugetlb: host.probeHugeMemfd,
	move_mount_set_group: host.probeSetGroup,
	openat2: host.probeOpenat2,
	get_rseq_conf: task.probeRseq,
	ipv6_freebind: host.probeFreebind,
	pagemap_scan: host.probePagemapScan,
	timer_cr_ids: host.probeTimerIds,
	overlayfs_maps: objects.probeOverlayMaps,
	breakpoints: task.probeBreakpoints,
	pagemap_scan_guard_pages: host.probeGuardPages,
};

type FeatureName = (typeof features)[number]["name"];

/** The tables that a check walks; tests give their own. */
export interface CheckTables {
	requirements: readonly Requirement[];
	features: readonly Feature[];
	/** One for each feature. */
	probes: Readonly<Record<string, Probe>>;
}

const hostTables: CheckTables = { requirements, features, probes: featureProbes };

/**
 * Checks this host: one feature when named, otherwise what every dump needs and what the level adds. Nothing is changed;
 * a few short-lived children of criu are made.
 */
export function checkHost(
	feature: string | undefined,
	level: CheckLevel,
	tables: CheckTables = hostTables,
): CheckResult {
	if (feature !== undefined) return checkFeature(feature, tables);
	for (const requirement of tables.requirements) {
		const problem = runProbe(requirement.probe, requirement.what, requirement.remedy);
		if (problem !== undefined) return { ok: false, lines: [], problems: [problem] };
	}
	const problems = tables.features.filter((f) => belongsTo(f, level)).flatMap((f) => checkNamed(f, tables));
	if (problems.length === 0) return { ok: true, lines: ["Looks good."], problems };
	const lines = [
		"Looks good but some kernel features are missing",
		"which, depending on your process tree, may cause",
		"dump or restore failure.",
	];
	return { ok: false, lines, problems };
}

function belongsTo(feature: Feature, level: CheckLevel): boolean {
	return (level.extra && feature.level === "extra") || (level.experimental && feature.level === "experimental");
}

function checkNamed(feature: Feature, { probes }: CheckTables): CriuError[] {
	const probe = probes[feature.name];
	if (probe === undefined) throw new BugError(`feature ${feature.name} has no probe`);
	const problem = runProbe(probe, `feature ${feature.name} (${feature.meaning})`, feature.remedy ?? FEATURE_REMEDY);
	return problem === undefined ? [] : [problem];
}

function checkFeature(name: string, tables: CheckTables): CheckResult {
	const feature = tables.features.find((f) => f.name === name);
	if (feature === undefined) {
		const remedy = "the names are at the end of criu --help";
		return failed(new UsageError("UNKNOWN_FEATURE", `Unknown feature ${name}`, { remedy }));
	}
	const [problem] = checkNamed(feature, tables);
	return problem === undefined ? { ok: true, lines: [`${name} is supported`], problems: [] } : failed(problem);
}

function failed(problem: CriuError): CheckResult {
	return { ok: false, lines: [], problems: [problem] };
}

function runProbe(probe: Probe, what: string, remedy: string): CriuError | undefined {
	try {
		const missing = probe();
		if (missing === undefined) return undefined;
		return new UnsupportedError("MISSING_FEATURE", `${what}: ${missing}`, { remedy });
	} catch (error) {
		return new UnsupportedError("MISSING_FEATURE", `${what}: ${messageOf(error)}`, { cause: error, remedy });
	}
}
