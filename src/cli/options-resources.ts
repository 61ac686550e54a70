// SPDX-License-Identifier: GPL-2.0-only
// Option table, part three: external resources (cli.md 2.3), cgroups (2.4), memory and the network (2.5).

import { existsSync, fstatSync, writeSync } from "node:fs";
import type { CgroupMode, Options } from "../options.ts";
import {
	BadChoiceError,
	badArgument,
	flag,
	list,
	type OptionSpec,
	type OptionUse,
	readInteger,
	text,
} from "./option-spec.ts";
import { chosen, requestText } from "./request-values.ts";

const CGROUP_IMAGE = "cgroup.img";
const dump = { commands: "D", group: "resources" } as const;
const both = { commands: "DR", group: "resources" } as const;
const cgroups = { commands: "DR", group: "cgroups" } as const;
/** Nothing is done with cgroups: because it was said so, or because a restore finds none in the images. */
function hasNoCgroups({ manageCgroups, imagesDir }: Options, letter: string): boolean {
	return manageCgroups === "ignore" || (letter === "R" && !existsSync(`${imagesDir}/${CGROUP_IMAGE}`));
}

const unlessIgnored = { ...cgroups, since: "later", isMoot: hasNoCgroups } as const;
const memory = { commands: "DPSL", group: "memory" } as const;

/** Kinds of `--external` that are there, or that name mounts, sockets or devices which a process in the host's namespaces can't have. */
const ACCEPTED = /^(?:file|tty|pipe|mnt|dev|unix|veth|netdev|macvlan)\[/;

/** Keeps an `--external` string; `mnt[]` forms switch on the automatic search instead. */
function addExternal(options: Options, use: OptionUse): void {
	const value = use.value ?? "";
	if (value.startsWith("mnt[]")) {
		// CRIU looks at one letter, and at it only behind a colon.
		const letter = value.startsWith(":", 5) ? value.slice(5, 7) : ":";
		if (![":", ":m", ":s"].includes(letter)) throw badArgument(use, "give mnt[], mnt[]:m or mnt[]:s");
		options.autoExtMnt = true;
		if (letter === ":m") options.extMasters = true;
		if (letter === ":s") options.extSharing = true;
		return;
	}
	const parent = /^macvlan\[[^\]]*\]:(.*)$/s.exec(value)?.[1];
	if (parent !== undefined && !existsSync(`/sys/class/net/${parent}`)) {
		throw badArgument(use, `name an interface of this host; ${parent} is not there`);
	}
	options.external.push(value);
}

function addMountMap(options: Options, use: OptionUse): void {
	const value = use.value ?? "";
	const colon = value.indexOf(":");
	if (value === "auto") options.autoExtMnt = true;
	else if (colon < 0) throw badArgument(use, "give KEY:VALUE or auto");
	else options.external.push(`mnt[${value.slice(0, colon)}]:${value.slice(colon + 1)}`);
}

function addUnixInodes(options: Options, use: OptionUse): void {
	options.extUnixSk = true;
	if (use.value === undefined) return;
	for (const inode of use.value.split(",").filter((text) => text !== "")) {
		if (!/^\d{1,20}$/.test(inode) || BigInt(inode) === 0n) throw badArgument(use, "give inode numbers: -x12,34");
		options.external.push(`unix[${inode}]`);
	}
}

function addInheritFd(options: Options, use: OptionUse): void {
	const [, target, text] = /^debug\[(\d{1,9})\]:(.*)$/s.exec(use.value ?? "") ?? [];
	if (target !== undefined && text !== undefined) {
		try {
			writeSync(Number(target), text);
		} catch {
			throw badArgument(use, `open descriptor ${target} for writing in what starts criu`);
		}
		return;
	}
	const [, fd, key] = /^fd\[(\d{1,9})\]:(.+)$/s.exec(use.value ?? "") ?? [];
	if (fd === undefined || key === undefined) throw badArgument(use, "give fd[NUMBER]:KEY");
	try {
		fstatSync(Number(fd));
	} catch {
		throw badArgument(use, `open descriptor ${fd} in what starts criu, for example by a redirection of the shell`);
	}
	options.inheritFds.push({ fd: Number(fd), key });
}

const CGROUP_MODES = { 0: "ignore", 1: "none", 2: "props", 3: "soft", 4: "full", 5: "strict", 6: "soft" };

function readCgroupMode(use: OptionUse): CgroupMode {
	const mode = use.value ?? "soft";
	switch (mode) {
		case "ignore":
		case "none":
		case "props":
		case "soft":
		case "full":
		case "strict":
			return mode;
		default:
			throw new BadChoiceError("BAD_ARGUMENT", `unknown cgroup mode: ${mode}`, {
				remedy: "give none, props, soft, full, strict or ignore",
			});
	}
}

/** A later path for the same controllers replaces the earlier one. */
function addCgroupRoot(options: Options, use: OptionUse): void {
	const [, controllers, path] = /^(?:([^/:]+):)?(.*)$/s.exec(use.value ?? "") ?? [];
	options.cgroupRoots = options.cgroupRoots.filter((root) => root.controllers !== controllers);
	options.cgroupRoots.push({ controllers, path: path ?? "" });
}

export const resourceOptions: readonly OptionSpec[] = [
	{
		name: "external",
		arg: "required",
		metavar: "KIND[ID]{:VALUE}",
		list: true,
		...both,
		rpc: "external",
		fromRequest: ({ external, autoExtMnt }) => [
			...external.map((text) => requestText(text)),
			...(autoExtMnt ? ["mnt[]"] : []),
		],
		since: "later",
		accepts: (value) => ACCEPTED.test(value ?? ""),
		help: "a thing outside of the dumped tree: mnt, dev, file, tty, unix, net, pid, veth, netdev, macvlan",
		apply: addExternal,
	},
	{
		name: "inherit-fd",
		arg: "required",
		metavar: "fd[N]:KEY",
		list: true,
		commands: "R",
		group: "resources",
		rpc: "inherit_fd",
		fromRequest: ({ inheritFd }) => inheritFd.map(({ fd, key }) => `fd[${fd}]:${requestText(key)}`),
		since: "foundation",
		help: "put descriptor N in the place of the dumped object KEY",
		apply: addInheritFd,
	},
	{
		name: "ext-mount-map",
		short: "M",
		arg: "required",
		metavar: "KEY:VALUE",
		list: true,
		...both,
		rpc: "ext_mnt",
		fromRequest: ({ extMnt }) => extMnt.map(({ key, val }) => `${requestText(key, ":")}:${requestText(val)}`),
		since: "foundation",
		help: "old form of --external mnt[KEY]:VALUE; 'auto' finds them",
		apply: addMountMap,
	},
	flag("enable-external-sharing", "extSharing", "old form of --external mnt[]:s", {
		...dump,
		rpc: "ext_sharing",
		negatable: false,
	}),
	flag("enable-external-masters", "extMasters", "old form of --external mnt[]:m", {
		...dump,
		rpc: "ext_masters",
		negatable: false,
	}),
	{
		name: "veth-pair",
		arg: "required",
		metavar: "IN=OUT",
		list: true,
		commands: "R",
		group: "resources",
		rpc: "veths",
		fromRequest: ({ veths }) => veths.map(({ ifIn, ifOut }) => `${requestText(ifIn, "=")}=${requestText(ifOut)}`),
		since: "foundation",
		help: "old form of --external veth[IN]:OUT",
		apply: (options, use) => {
			const [, inside, outside] = /^([^=]*)=(.*)$/s.exec(use.value ?? "") ?? [];
			if (inside === undefined) throw badArgument(use, "give IN=OUT");
			options.external.push(`veth[${inside}]:${outside}`);
		},
	},
	{
		name: "ext-unix-sk",
		short: "x",
		arg: "optional",
		metavar: "INODE,..",
		list: true,
		...dump,
		rpc: "ext_unix_sk",
		fromRequest: ({ extUnixSk, unixSkIno }) =>
			extUnixSk ? [unixSkIno.length === 0 ? undefined : unixSkIno.map(({ inode }) => inode).join(",")] : [],
		since: "foundation",
		help: "allow unix sockets that are connected to processes outside of the tree",
		apply: addUnixInodes,
	},
	list("skip-mnt", "skipMnt", "PATH", "leave this mount out", { ...dump, rpc: "skip_mnt" }),
	list("enable-fs", "enableFs", "NAME,..", "filesystems that a plain mount brings back; 'all' is every one", {
		...both,
		rpc: "enable_fs",
	}),
];

export const cgroupOptions: readonly OptionSpec[] = [
	{
		name: "manage-cgroups",
		arg: "optional",
		metavar: "MODE",
		choices: ["none", "props", "soft", "full", "strict", "ignore"],
		...cgroups,
		rpc: "manage_cgroups_mode",
		fromRequest: (opts) =>
			Object.hasOwn(opts, "manageCgroups") && !Object.hasOwn(opts, "manageCgroupsMode")
				? [opts.manageCgroups ? "soft" : "ignore"]
				: chosen(opts, "manageCgroupsMode", CGROUP_MODES),
		since: "later",
		accepts: (value) => value === "ignore" || value === "none",
		isMoot: hasNoCgroups,
		help: "how to restore cgroups: none, props, soft (default), full, strict; ignore: not at all",
		apply: (options, use) => {
			options.manageCgroups = readCgroupMode(use);
		},
	},
	{
		name: "cgroup-root",
		arg: "required",
		metavar: "[CTRL:]PATH",
		list: true,
		...unlessIgnored,
		rpc: "cg_root",
		fromRequest: ({ cgRoot }) =>
			cgRoot.map(({ ctrl, path }) => (ctrl === "" ? requestText(path) : `${ctrl}:${requestText(path)}`)),
		help: "the cgroup below which directories are recorded, or put back",
		apply: addCgroupRoot,
	},
	text("cgroup-props", "cgroupProps", "TEXT", "which cgroup properties to keep", {
		...unlessIgnored,
		rpc: "cgroup_props",
	}),
	text("cgroup-props-file", "cgroupPropsFile", "FILE", "the same, from a file", {
		...unlessIgnored,
		rpc: "cgroup_props_file",
	}),
	list("cgroup-dump-controller", "cgroupDumpControllers", "NAME", "keep the properties of this controller only", {
		...unlessIgnored,
		rpc: "cgroup_dump_controller",
	}),
	text("cgroup-yard", "cgroupYard", "DIR", "find the cgroup hierarchies mounted below DIR", {
		...unlessIgnored,
		rpc: "cgroup_yard",
	}),
];

export const memoryOptions: readonly OptionSpec[] = [
	flag("track-mem", "trackMem", "note what the processes write from now on, for a later incremental dump", {
		commands: "DP",
		group: "memory",
		rpc: "track_mem",
	}),
	text("prev-images-dir", "prevImagesDir", "DIR", "take unchanged pages from the images in DIR", {
		commands: "DP",
		group: "memory",
		rpc: "parent_img",
	}),
	flag(
		"auto-dedup",
		"autoDedup",
		"free pages in the older images (dump) or in the images (restore) once all went well",
		{
			commands: "DRS",
			group: "memory",
			rpc: "auto_dedup",
		},
	),
	flag("zstd", "zstd", "compress the pages of the images (zstd), which CRIU can't read then", {
		commands: "D",
		group: "memory",
		ours: true,
		negatable: false,
	}),
	flag("snapshot", "snapshot", "with --leave-running: copy memory while the processes run on", {
		commands: "D",
		group: "memory",
		ours: true,
	}),
	{
		name: "pre-dump-mode",
		arg: "required",
		metavar: "MODE",
		choices: ["splice", "read"],
		commands: "P",
		group: "memory",
		rpc: "pre_dump_mode",
		fromRequest: (opts) => chosen(opts, "preDumpMode", { 1: "splice", 2: "read" }),
		since: "foundation",
		help: "how pre-dump reads memory: splice (default) or read",
		apply: (options, use) => {
			if (use.value !== "splice" && use.value !== "read") throw badArgument(use, "give splice or read");
			options.preDumpMode = use.value;
		},
	},
	flag("page-server", "pageServer", "send pages to (lazy-pages: fetch them from) a page server", {
		commands: "DPL",
		group: "memory",
		rpc: "ps",
		fromRequest: ({ ps, lazyPages }) => (ps !== undefined && !lazyPages ? [undefined] : []),
	}),
	flag("lazy-pages", "lazyPages", "bring pages over when they are needed", {
		commands: "DPRS",
		group: "memory",
		rpc: "lazy_pages",
		negatable: false,
	}),
	flag("map-pages", "mapPages", "map memory from the images, which must stay as they are, instead of copying it", {
		commands: "R",
		group: "memory",
		ours: true,
		negatable: false,
	}),
	text("address", "address", "ADDR", "the page server's address, or the service's socket", {
		commands: "DSVL",
		group: "memory",
		rpc: "ps",
		fromRequest: ({ ps }) => (ps === undefined || ps.address === "" ? [] : [ps.address]),
	}),
	{
		name: "port",
		arg: "required",
		metavar: "PORT",
		commands: "DSL",
		group: "memory",
		rpc: "ps",
		// None, or zero: the kernel chooses.
		fromRequest: ({ ps }) => (ps === undefined || ps.port === 0 ? [] : [String(ps.port)]),
		since: "foundation",
		help: "the page server's port",
		apply: (options, use) => {
			options.port = readInteger(use, 1, 65535, "a port from 1 to 65535");
		},
	},
	{
		name: "ps-socket",
		arg: "required",
		metavar: "FD",
		commands: "DSL",
		group: "memory",
		rpc: "ps",
		fromRequest: ({ ps }) => (ps === undefined || !Object.hasOwn(ps, "fd") ? [] : [String(ps.fd)]),
		since: "foundation",
		help: "an open connection to use instead of address and port",
		apply: (options, use) => {
			const fd = readInteger(use, -1, 0x7fff_ffff, "the number of an open socket");
			options.psSocket = fd < 0 ? undefined : fd;
		},
	},
	{
		name: "status-fd",
		arg: "required",
		metavar: "FD",
		commands: "SLVD",
		group: "memory",
		rpc: "status_fd",
		since: "foundation",
		help: "a server writes a NUL byte here once it's ready",
		apply: (options, use) => {
			const fd = readInteger(use, -1, 0x7fff_ffff, "the number of an open descriptor");
			options.statusFd = fd < 0 ? undefined : fd;
		},
	},
	{
		name: "progress-fd",
		arg: "required",
		metavar: "FD",
		commands: "DPRS",
		group: "memory",
		ours: true,
		since: "foundation",
		help: "lines of JSON here tell how much memory has been moved, see criu help progress",
		apply: (options, use) => {
			options.progressFd = readInteger(use, 0, 0x7fff_ffff, "the number of an open descriptor");
		},
	},
	flag("tls", "tls", "encrypt the page server's connection", { ...memory, rpc: "tls" }),
	text("tls-cacert", "tlsCaCert", "FILE", "trust this certificate authority", { ...memory, rpc: "tls_cacert" }),
	text("tls-cacrl", "tlsCaCrl", "FILE", "certificates that are revoked", { ...memory, rpc: "tls_cacrl" }),
	text("tls-cert", "tlsCert", "FILE", "our own certificate", { ...memory, rpc: "tls_cert" }),
	text("tls-key", "tlsKey", "FILE", "our own key", { ...memory, rpc: "tls_key" }),
	flag("tls-no-cn-verify", "tlsNoCnVerify", "do not compare the certificate's name with the address", {
		...memory,
		rpc: "tls_no_cn_verify",
		negatable: false,
	}),
];
