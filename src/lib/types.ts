// SPDX-License-Identifier: LGPL-2.1-only
// What programs give to the library and get from it. Self-contained: these are the package's type declarations.

/** Which criu does the work. */
export interface Connection {
	/**
	 * Path of the socket of a running `criu service`. Without one, a worker of its own is started for each call: the program
	 * `criu`, as a child process.
	 */
	service?: string | undefined;
	/** The program for workers; by default `criu`, looked for in PATH. */
	criu?: string | undefined;
}

/** A step of a dump or restore, told while it lasts. */
export interface CriuEvent {
	/** `pre-dump`, `network-lock`, `query-ext-files`, `post-dump`, `pre-restore`, `post-restore`, `pre-resume`, … */
	readonly name: string;
	/** Pid of the restored root process, at `setup-namespaces` and `post-restore`. */
	readonly pid: number | undefined;
	/** At `orphan-pts-master`: the master of a terminal, open; it's yours to close. */
	readonly fd: number | undefined;
}

/** What a handler may say: `false`, or an exception, ends the run; at `query-ext-files` further external resources. */
export type EventAnswer = boolean | { readonly external?: readonly string[] } | undefined;

/** What is asked at each step, and waited for; or only told, which may wait, too. */
export type EventHandler =
	| ((event: CriuEvent) => EventAnswer | Promise<EventAnswer>)
	| ((event: CriuEvent) => void | Promise<void>);

/** Of every call. */
export interface CallOptions extends Connection {
	/** Ends the call: what was begun is taken back, and the promise is rejected with the signal's reason. */
	signal?: AbortSignal | undefined;
}

/** Of calls that have images. Directories are opened by the calling program: criu reaches them by its descriptors. */
export interface ImagesOptions extends CallOptions {
	/** The directory of the images; it must be there. */
	imagesDir: string;
	/** Where log and statistics go; by default the images directory. */
	workDir?: string | undefined;
	/** Name of the log in the work directory; by default `criu.log`. */
	logFile?: string | undefined;
	/** 0 nothing, 1 errors, 2 warnings (default), 3 progress, 4 details. */
	logLevel?: 0 | 1 | 2 | 3 | 4 | undefined;
	/** A file of options, which has the last word. */
	configFile?: string | undefined;
	/** Asked at each step of a dump or restore, and waited for. */
	onEvent?: EventHandler | undefined;
	/** See the options of the same names in criu(8). */
	shellJob?: boolean | undefined;
	fileLocks?: boolean | undefined;
	tcpEstablished?: boolean | undefined;
	tcpClose?: boolean | undefined;
	tcpSkipInFlight?: boolean | undefined;
	evasiveDevices?: boolean | undefined;
	linkRemap?: boolean | undefined;
	autoDedup?: boolean | undefined;
	unprivileged?: boolean | undefined;
	/** Properties of the CPU that are written, or have to be there again; none of them with an empty list. */
	cpuCap?: readonly ("fpu" | "cpu" | "ins")[] | undefined;
	/** What keeps packets away from connections of the frozen tree. */
	networkLock?: "iptables" | "nftables" | "skip" | undefined;
	/** Of a dump: pages stay there until a restore's daemon asks for them, at `pageServer`. Of a restore: a `criu lazy-pages` daemon brings them. */
	lazyPages?: boolean | undefined;
	/** Encrypts the connection to a page server. */
	tls?: TlsOptions | undefined;
	/** A terminal whose master isn't dumped: the restore makes a new one and hands it to `onEvent`. */
	orphanPtsMaster?: boolean | undefined;
	/** Things outside of the tree: `KIND[ID]:VALUE`. */
	external?: readonly string[] | undefined;
}

/** Certificates of a connection, all PEM files; by default those below /etc/pki. */
export interface TlsOptions {
	/** Who the other side must be certified by. */
	caCert?: string | undefined;
	/** Certificates that are not valid any more. */
	caCrl?: string | undefined;
	cert?: string | undefined;
	key?: string | undefined;
	/** The other side's certificate may be of another name than its address. */
	noCnVerify?: boolean | undefined;
}

/** Of dumps and pre-dumps. */
export interface DumpOptions extends ImagesOptions {
	/** The root of the tree. Without one the calling program dumps itself, which takes a `service`. */
	pid?: number | undefined;
	/** The tree runs on; by default it ends. */
	leaveRunning?: boolean | undefined;
	/** The tree stays, stopped. */
	leaveStopped?: boolean | undefined;
	/** Unix sockets may be connected to processes outside. */
	extUnixSk?: boolean | undefined;
	forceIrmap?: boolean | undefined;
	/** Note what is written from now on, for the next dump. */
	trackMem?: boolean | undefined;
	/** How a pre-dump reads memory; by default splice. */
	preDumpMode?: "splice" | "read" | undefined;
	/** Where watched files may be that have lost their names, with `forceIrmap`. */
	irmapScanPaths?: readonly string[] | undefined;
	/** Images that these build on, relative to `imagesDir`. */
	parentImages?: string | undefined;
	/** Where `criu page-server` takes the pages. */
	pageServer?: { readonly address: string; readonly port: number } | undefined;
	/** Largest deleted file that is kept, in bytes. */
	ghostLimit?: number | undefined;
	/** Seconds for freezing; 0 is no limit. */
	timeout?: number | undefined;
	freezeCgroup?: string | undefined;
}

export interface DumpResult {
	/** True in a program that had dumped itself, when it's restored. */
	readonly restored: boolean;
}

export interface RestoreOptions extends ImagesOptions {
	/** The restored processes stay stopped. */
	leaveStopped?: boolean | undefined;
	skipFileRwxCheck?: boolean | undefined;
	weakSysctls?: boolean | undefined;
	/** The root directory of the restored mount namespace. */
	root?: string | undefined;
	/** Own descriptors that take the place of dumped objects. Only without `service`. */
	inheritFds?: readonly { readonly key: string; readonly fd: number }[] | undefined;
}

export interface RestoreResult {
	/** The root process, which is no child of the calling program. */
	readonly pid: number;
}

/** What the kernel and this criu can do. */
export interface Features {
	/** Pre-dumps and incremental dumps. */
	readonly memTrack: boolean;
	readonly lazyPages: boolean;
	readonly pidfdStore: boolean;
}

/** The version of CRIU that this criu is compatible with. */
export interface Version {
	readonly major: number;
	readonly minor: number;
	readonly sublevel: number;
}
