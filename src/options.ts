// SPDX-License-Identifier: GPL-2.0-only
// Options of one run as plain data: what the command line, configuration files and requests fill in, and what the
// engine takes as an argument. No globals: two runs in one process may have different options.

/** What is done with cgroups of dumped tasks; CRIU's words. */
export type CgroupMode = "ignore" | "none" | "props" | "soft" | "full" | "strict";
export type NetworkLock = "iptables" | "nftables" | "skip";
/** How a file that a task needs is compared with the one that was dumped. */
export type FileValidation = "filesize" | "buildid";
export type PreDumpMode = "splice" | "read";
export type JoinableNamespace = "net" | "uts" | "time" | "ipc" | "user" | "mnt";

/** Which CPU properties are written with the images and compared at restore. */
export interface CpuCap {
	fpu: boolean;
	ins: boolean;
	cpu: boolean;
	/** True when asked for explicitly and not `none`: only then `cpuinfo.img` is written and read. */
	image: boolean;
}

/** A namespace that the restored tree joins instead of getting its own. */
export interface JoinNamespace {
	kind: JoinableNamespace;
	/** A pid (digits, 0 to 65535) or the path of a namespace file. */
	target: string;
	uid: number | undefined;
	gid: number | undefined;
}

/** An open descriptor of ours that a restored task gets in place of the dumped object named by `key`. */
export interface InheritFd {
	fd: number;
	key: string;
}

/** A cgroup path, for one set of controllers (comma list) or, when undefined, for all others. */
export interface CgroupRoot {
	controllers: string | undefined;
	path: string;
}

export interface LsmProfile {
	type: string;
	label: string;
}

/** Everything that can be chosen for a run. */
export interface Options {
	/** `-t`: root of the tree to dump. */
	pid: number | undefined;
	/** Absolute once the command has opened its directories; `.` before. */
	imagesDir: string;
	/** `-D -`: a descriptor of ours through which all images go instead; the directory is the work directory then. */
	imagePipe: number | undefined;
	/** The directory of log, pid file and statistics; undefined means the images directory. */
	workDir: string | undefined;
	/** undefined is stderr, `-` stdout; a relative name lies in the work directory. */
	logFile: string | undefined;
	logLevel: number;
	/** Ours: how lines of the log look. */
	logFormat: "text" | "json";
	logPid: boolean;
	displayStats: boolean;
	/** Relative names lie in the work directory, which is the current directory once a command runs. */
	pidfile: string | undefined;
	libDir: string | undefined;
	deprecated: boolean;
	unprivileged: boolean;
	stream: boolean;

	/** Dump: tasks go on running. Never together with `leaveStopped`: the last one given wins. */
	leaveRunning: boolean;
	/** Dump: tasks stay in a group stop. Restore: tasks are restored stopped. */
	leaveStopped: boolean;
	/** Restore: leave the tree to init; servers: become a daemon. */
	restoreDetached: boolean;
	restoreSibling: boolean;
	/** Words of the command that criu becomes after a restore. */
	execCmd: string[] | undefined;
	shellJob: boolean;
	fileLocks: boolean;
	root: string | undefined;
	tcpEstablished: boolean;
	tcpClose: boolean;
	tcpSkipInFlight: boolean;
	evasiveDevices: boolean;
	linkRemap: boolean;
	/** Bytes of allocated blocks; an unlinked file above it is not dumped. Undefined: all are, large ones with a warning. */
	ghostLimit: number | undefined;
	ghostFiemap: boolean;
	/** Seconds for freezing; 0 is no limit. */
	timeoutSec: number;
	freezeCgroup: string | undefined;
	weakSysctls: boolean;
	forceIrmap: boolean;
	irmapScanPaths: string[];
	/** Ours: unread events of inotify and fanotify may be lost. */
	dropUnread: boolean;
	networkLock: NetworkLock;
	fileValidation: FileValidation;
	skipFileRwxCheck: boolean;
	allowUprobes: boolean;
	mntnsCompatMode: boolean;
	cpuCap: CpuCap;
	lsmProfile: LsmProfile | undefined;
	lsmMountContext: string | undefined;
	emptyNetNs: boolean;
	joinNamespaces: JoinNamespace[];
	actionScripts: string[];

	/** `KIND[ID]:VALUE` strings as given. */
	external: string[];
	autoExtMnt: boolean;
	extMasters: boolean;
	extSharing: boolean;
	inheritFds: InheritFd[];
	extUnixSk: boolean;
	skipMnt: string[];
	enableFs: string[];

	manageCgroups: CgroupMode;
	cgroupRoots: CgroupRoot[];
	cgroupProps: string | undefined;
	cgroupPropsFile: string | undefined;
	cgroupDumpControllers: string[];
	cgroupYard: string | undefined;

	trackMem: boolean;
	/** Relative to the images directory. */
	prevImagesDir: string | undefined;
	autoDedup: boolean;
	/** Ours: pages files are compressed. */
	zstd: boolean;
	/** The tree stands still only until its memory is protected. */
	snapshot: boolean;
	preDumpMode: PreDumpMode;
	pageServer: boolean;
	lazyPages: boolean;
	/** Ours: private memory is mapped from the images. */
	mapPages: boolean;
	address: string | undefined;
	/** The host that was asked for, where `address` is what it was found at. */
	addressName: string | undefined;
	/** 0 lets the kernel pick. */
	port: number;
	psSocket: number | undefined;
	statusFd: number | undefined;
	/** Ours: lines of JSON that tell how far memory has been moved. */
	progressFd: number | undefined;
	/** Ours: the same for who reads along on stderr. */
	showsProgress: boolean;
	tls: boolean;
	tlsCaCert: string | undefined;
	tlsCaCrl: string | undefined;
	tlsCert: string | undefined;
	tlsKey: string | undefined;
	tlsNoCnVerify: boolean;

	checkExtra: boolean;
	checkExperimental: boolean;
	/** Of inspect: as JSON, or as a page in this file. */
	json: boolean;
	html: string | undefined;
	feature: string | undefined;

	/** Requests: every task of the tree has to be this user's, who could trace them all himself. */
	onlyUser: { readonly uid: number; readonly gid: number } | undefined;
	/** Requests: inode of the socket to the client. Who has the other end, and is dumped, gets its answer when it's restored. */
	clientSocket: number | undefined;
	/** Requests: the master of a terminal whose slave alone is in the images goes to the client. */
	orphanPtsMaster: boolean;
	/** Ours: look and report only; nothing is frozen for longer than a look, nothing is created. */
	dryRun: boolean;
	/** Ours: `check --pid`. */
	checkPid: number | undefined;
	/** Ours: restore into a new pid namespace with its own /proc. */
	newPidns: boolean;
}

export const DEFAULT_GHOST_LIMIT = 1024 * 1024;
const DEFAULT_TIMEOUT_SEC = 10;
export const DEFAULT_LOG_LEVEL = 2;

/** Seconds that stopping a tree may take: 0 stands for the default. */
export const stopTimeoutSec = ({ timeoutSec }: Pick<Options, "timeoutSec">): number =>
	timeoutSec > 0 ? timeoutSec : DEFAULT_TIMEOUT_SEC;

/** A fresh set of defaults; the lists in it belong to the caller. */
export function defaultOptions(): Options {
	return {
		...defaultGenericOptions(),
		...defaultTaskOptions(),
		...defaultResourceOptions(),
		...defaultMemoryOptions(),
	};
}

function defaultGenericOptions() {
	return {
		pid: undefined,
		imagesDir: ".",
		workDir: undefined,
		logFile: undefined,
		logLevel: DEFAULT_LOG_LEVEL,
		logFormat: "text",
		logPid: false,
		displayStats: false,
		pidfile: undefined,
		libDir: undefined,
		deprecated: false,
		unprivileged: false,
		stream: false,
		imagePipe: undefined,
		checkExtra: false,
		checkExperimental: false,
		json: false,
		html: undefined,
		feature: undefined,
		onlyUser: undefined,
		clientSocket: undefined,
		orphanPtsMaster: false,
		dryRun: false,
		checkPid: undefined,
		newPidns: false,
	} satisfies Partial<Options>;
}

function defaultTaskOptions() {
	return {
		leaveRunning: false,
		leaveStopped: false,
		restoreDetached: false,
		restoreSibling: false,
		execCmd: undefined,
		shellJob: false,
		fileLocks: false,
		root: undefined,
		tcpEstablished: false,
		tcpClose: false,
		tcpSkipInFlight: false,
		evasiveDevices: false,
		linkRemap: false,
		ghostLimit: undefined,
		ghostFiemap: true,
		timeoutSec: DEFAULT_TIMEOUT_SEC,
		freezeCgroup: undefined,
		weakSysctls: false,
		forceIrmap: false,
		irmapScanPaths: [],
		dropUnread: false,
		networkLock: "iptables",
		fileValidation: "buildid",
		skipFileRwxCheck: false,
		allowUprobes: false,
		mntnsCompatMode: false,
		cpuCap: { fpu: true, ins: true, cpu: false, image: false },
		lsmProfile: undefined,
		lsmMountContext: undefined,
		emptyNetNs: false,
		joinNamespaces: [],
		actionScripts: [],
	} satisfies Partial<Options>;
}

function defaultResourceOptions() {
	return {
		external: [],
		autoExtMnt: false,
		extMasters: false,
		extSharing: false,
		inheritFds: [],
		extUnixSk: false,
		skipMnt: [],
		enableFs: [],
		manageCgroups: "soft",
		cgroupRoots: [],
		cgroupProps: undefined,
		cgroupPropsFile: undefined,
		cgroupDumpControllers: [],
		cgroupYard: undefined,
	} satisfies Partial<Options>;
}

function defaultMemoryOptions() {
	return {
		trackMem: false,
		prevImagesDir: undefined,
		autoDedup: false,
		zstd: false,
		snapshot: false,
		preDumpMode: "splice",
		pageServer: false,
		lazyPages: false,
		mapPages: false,
		address: undefined,
		addressName: undefined,
		port: 0,
		psSocket: undefined,
		statusFd: undefined,
		progressFd: undefined,
		showsProgress: false,
		tls: false,
		tlsCaCert: undefined,
		tlsCaCrl: undefined,
		tlsCert: undefined,
		tlsKey: undefined,
		tlsNoCnVerify: false,
	} satisfies Partial<Options>;
}
