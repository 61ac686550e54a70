// SPDX-License-Identifier: GPL-2.0-only
// Option table, part two: how dump and restore behave (cli.md 2.2), and our own additions to them.

import { existsSync } from "node:fs";
import { CLONE_NEWNET } from "../kernel/abi/sched.ts";
import type { CpuCap, JoinableNamespace, Options } from "../options.ts";
import {
	BadChoiceError,
	badArgument,
	flag,
	leadingNumber,
	list,
	type OptionSpec,
	type OptionUse,
	text,
} from "./option-spec.ts";
import { chosen, requestText } from "./request-values.ts";

const group = "behaviour";
const both = { commands: "DR", group } as const;
const dump = { commands: "D", group } as const;
const restore = { commands: "R", group } as const;

/** Bytes of `--ghost-limit`: the first of K, M, G anywhere in the text multiplies. Lower case does not count. */
function readSize(value: string): number {
	const unit = /[KMG]/.exec(value)?.[0] ?? "";
	return leadingNumber(value) * 1024 ** " KMG".indexOf(unit === "" ? " " : unit);
}

function readNetworkLock(use: OptionUse): Options["networkLock"] {
	switch (use.value) {
		case "iptables":
		case "nftables":
		case "skip":
			return use.value;
		case "none":
			return "skip";
		default:
			throw badArgument(use, "give iptables, nftables or skip");
	}
}

function readFileValidation(use: OptionUse): Options["fileValidation"] {
	if (use.value === "filesize" || use.value === "buildid") return use.value;
	throw new BadChoiceError("BAD_ARGUMENT", `unknown file validation method: ${use.value ?? ""}`, {
		remedy: "give filesize or buildid",
	});
}

/**
 * Changes `cap` by a comma list of fpu, ins, cpu, all, none; `^` inverts what follows up to the next comma. Names count
 * as soon as they are seen: `fpuins` is both.
 */
export function readCpuCap(cap: CpuCap, value = "all"): CpuCap {
	const next = { ...cap };
	let on = true;
	let rest = value;
	while (rest !== "") {
		const token = /^(?:[,^]|fpu|ins|cpu|all|none)/.exec(rest)?.[0];
		if (token === undefined) {
			throw new BadChoiceError("BAD_ARGUMENT", `Unknown FPU mode \`${rest}' selected`, {
				remedy: "give a comma list of fpu, ins, cpu, all, none",
			});
		}
		rest = rest.slice(token.length);
		if (token === "^") on = !on;
		else if (token === ",") on = true;
		else if (token === "all" || token === "none") next.fpu = next.ins = next.cpu = (token === "all") === on;
		else next[token as "fpu" | "ins" | "cpu"] = on;
	}
	return { ...next, image: next.fpu || next.ins || next.cpu };
}

/** The mask of a request as a value of --cpu-cap: 1 fpu, 2 cpu, 4 ins. */
function cpuCapText(mask: number): string {
	const names = [(mask & 1) !== 0 ? "fpu" : "", (mask & 2) !== 0 ? "cpu" : "", (mask & 4) !== 0 ? "ins" : ""];
	return ["none", ...names.filter((name) => name !== "")].join(",");
}

/** `NS:PID` or `NS:FILE`, for user also `,UID,GID`. */
function readJoinNs(use: OptionUse): Options["joinNamespaces"][number] {
	const shape = /^(net|uts|time|ipc|user|mnt):([^,]+)(?:,(\d+),(\d+))?$/.exec(use.value ?? "");
	const ids = shape?.slice(3).map(Number) ?? [];
	const idsMisplaced = shape?.[3] !== undefined && (shape[1] !== "user" || ids.some((id) => id > 65535));
	const target = shape?.[2] ?? "";
	const pidTooBig = /^\d+$/.test(target) && Number(target) > 65535;
	const isMissing = /^\d+$/.test(target) ? Number(target) === 0 : !existsSync(target);
	if (shape === null || idsMisplaced || pidTooBig || isMissing)
		throw badArgument(use, "give NS:PID or NS:FILE, see --help");
	const [uid, gid] = shape[3] === undefined ? [] : ids;
	return { kind: shape[1] as JoinableNamespace, target, uid, gid };
}

function setFinalState(options: Options, state: "leaveRunning" | "leaveStopped"): void {
	options.leaveRunning = false;
	options.leaveStopped = false;
	options[state] = true;
}

const permissions: readonly OptionSpec[] = [
	flag("shell-job", "shellJob", "the process belongs to a shell: it shares the caller's session and terminal", {
		...both,
		short: "j",
		rpc: "shell_job",
	}),
	flag("file-locks", "fileLocks", "allow file locks that are held", { ...both, short: "l", rpc: "file_locks" }),
	flag("tcp-established", "tcpEstablished", "keep TCP connections", { ...both, rpc: "tcp_established" }),
	flag("tcp-close", "tcpClose", "close TCP connections instead of keeping them", { ...both, rpc: "tcp_close" }),
	flag("skip-in-flight", "tcpSkipInFlight", "drop TCP connections that nobody has accepted yet", {
		...both,
		rpc: "tcp_skip_in_flight",
	}),
	flag("evasive-devices", "evasiveDevices", "take another path to the same device when its own is gone", {
		...both,
		rpc: "evasive_devices",
	}),
	flag("link-remap", "linkRemap", "give unlinked files that have other names a temporary name", {
		...dump,
		rpc: "link_remap",
	}),
	flag("weak-sysctls", "weakSysctls", "go on when a sysctl of the images does not exist here", {
		...restore,
		rpc: "weak_sysctls",
	}),
	flag("force-irmap", "forceIrmap", "find the paths of inotify and fanotify watches by searching", {
		...dump,
		rpc: "force_irmap",
	}),
	list("irmap-scan-path", "irmapScanPaths", "PATH", "search here first for the paths of watches", {
		commands: "DP",
		group,
		rpc: "irmap_scan_paths",
	}),
	flag("drop-unread", "dropUnread", "let inotify and fanotify events be lost that nobody has read yet", {
		...dump,
		ours: true,
	}),
	flag("skip-file-rwx-check", "skipFileRwxCheck", "accept files whose permission bits have changed", {
		...restore,
		rpc: "skip_file_rwx_check",
	}),
	flag("allow-uprobes", "allowUprobes", "accept mappings that uprobes made", { ...both }),
	flag("mntns-compat-mode", "mntnsCompatMode", "use the old way to build mount namespaces", {
		...restore,
		rpc: "mntns_compat_mode",
	}),
];

const finalStates: readonly OptionSpec[] = [
	{
		name: "leave-running",
		short: "R",
		arg: "none",
		...dump,
		rpc: "leave_running",
		since: "foundation",
		help: "let the processes run on after the dump instead of killing them",
		apply: (options) => setFinalState(options, "leaveRunning"),
	},
	{
		name: "leave-stopped",
		short: "s",
		arg: "none",
		...both,
		rpc: "leave_stopped",
		since: "foundation",
		help: "leave the processes stopped (as by SIGSTOP) after the dump or restore",
		apply: (options) => setFinalState(options, "leaveStopped"),
	},
	flag("restore-detached", "restoreDetached", "do not stay as parent of the restored processes", {
		commands: "RSLV",
		group,
		short: "d",
	}),
	flag("daemon", "restoreDetached", "the same as --restore-detached; for servers: run in the background", {
		commands: "RSLV",
		group,
	}),
	flag("restore-sibling", "restoreSibling", "restore as a child of the caller; needs --restore-detached", {
		...restore,
		short: "S",
		rpc: "rst_sibling",
	}),
	{
		name: "exec-cmd",
		arg: "none",
		...restore,
		rpc: "exec_cmd",
		since: "foundation",
		help: "become the command given after '--' once all is restored",
		apply: (options) => {
			options.execCmd = [];
		},
	},
	flag("dry-run", "dryRun", "dump: list what would stop it; restore: check the images and print the plan", {
		...both,
		ours: true,
		negatable: false,
	}),
	flag("new-pidns", "newPidns", "restore into a new pid namespace with its own /proc, so that no pid can be taken", {
		...restore,
		ours: true,
		negatable: false,
	}),
];

const settings: readonly OptionSpec[] = [
	text("root", "root", "PATH", "the root directory of the restored mount namespace", {
		...restore,
		short: "r",
		rpc: "root",
	}),
	{
		name: "ghost-limit",
		arg: "required",
		metavar: "SIZE",
		...dump,
		rpc: "ghost_limit",
		since: "foundation",
		help: "refuse unlinked files above SIZE bytes; K, M, G multiply (default: keep all, warn above 1M)",
		apply: (options, use) => {
			options.ghostLimit = readSize(use.value ?? "");
		},
	},
	flag("ghost-fiemap", "ghostFiemap", "for compatibility: holes of unlinked files are found in any case", dump),
	{
		name: "timeout",
		arg: "required",
		metavar: "SEC",
		commands: "DP",
		group,
		rpc: "timeout",
		since: "foundation",
		help: "give up when freezing takes longer, or a look at one file twice as long (default, also for 0: 10)",
		apply: (options, use) => {
			options.timeoutSec = leadingNumber(use.value ?? "");
		},
	},
	text("freeze-cgroup", "freezeCgroup", "PATH", "freeze by this cgroup", {
		commands: "DP",
		group,
		rpc: "freeze_cgroup",
	}),
	{
		name: "network-lock",
		arg: "required",
		metavar: "METHOD",
		choices: ["iptables", "nftables", "skip"],
		...dump,
		rpc: "network_lock",
		fromRequest: (opts) => chosen(opts, "networkLock", { 1: "iptables", 2: "nftables", 3: "skip" }),
		since: "foundation",
		help: "how to keep packets away from frozen connections: iptables (default), nftables, skip",
		apply: (options, use) => {
			options.networkLock = readNetworkLock(use);
		},
	},
	{
		name: "file-validation",
		arg: "required",
		metavar: "METHOD",
		choices: ["filesize", "buildid"],
		...both,
		since: "foundation",
		help: "how to know a file again: filesize, or buildid (default) for programs and libraries",
		apply: (options, use) => {
			options.fileValidation = readFileValidation(use);
		},
	},
	{
		name: "cpu-cap",
		arg: "optional",
		metavar: "CAP",
		choices: ["fpu", "ins", "cpu", "all", "none"],
		commands: "DRU",
		group,
		rpc: "cpu_cap",
		fromRequest: (opts) => (Object.hasOwn(opts, "cpuCap") ? [cpuCapText(opts.cpuCap)] : []),
		since: "foundation",
		help: "CPU properties to write or compare: fpu, ins, cpu, all, none; '^' before a name takes it out",
		apply: (options, use) => {
			options.cpuCap = readCpuCap(options.cpuCap, use.value);
		},
	},
	{
		name: "lsm-profile",
		arg: "required",
		metavar: "TYPE:LABEL",
		...restore,
		rpc: "lsm_profile",
		since: "later",
		help: "give restored processes this security label",
		apply: (options, use) => {
			const [, type, label] = /^([^:]*):?(.*)$/s.exec(use.value ?? "") ?? [];
			options.lsmProfile = { type: type ?? "", label: label ?? "" };
		},
	},
	text("lsm-mount-context", "lsmMountContext", "CONTEXT", "replace the security context of mounts that have one", {
		...restore,
		rpc: "lsm_mount_context",
		since: "later",
	}),
	{
		name: "empty-ns",
		arg: "required",
		metavar: "NS",
		choices: ["net"],
		...both,
		rpc: "empty_ns",
		// A mask of flags; zero asks for nothing.
		fromRequest: ({ emptyNs }) =>
			emptyNs === 0 ? [] : [emptyNs === CLONE_NEWNET ? "net" : `0x${emptyNs.toString(16)}`],
		// Trees with a network namespace of their own are refused so far; for others it has no meaning.
		since: "foundation",
		help: "make this namespace but leave its contents to scripts; only net",
		apply: (options, use) => {
			if (use.value !== "net") throw badArgument(use, "only net can be given");
			options.emptyNetNs = true;
		},
	},
	{
		name: "join-ns",
		short: "J",
		arg: "required",
		metavar: "NS:PID|FILE",
		list: true,
		...restore,
		rpc: "join_ns",
		fromRequest: ({ joinNs }) =>
			joinNs.map(({ ns, nsFile, extraOpt }) => `${ns}:${requestText(nsFile)}${extraOpt === "" ? "" : `,${extraOpt}`}`),
		since: "later",
		help: "join an existing namespace: net, uts, time, ipc, mnt or user (user:FILE,UID,GID)",
		apply: (options, use) => {
			options.joinNamespaces.push(readJoinNs({ ...use, name: "--join-ns" }));
		},
	},
	list("action-script", "actionScripts", "PATH", "run this program at the steps of a dump or restore", both),
];

export const behaviourOptions: readonly OptionSpec[] = [...finalStates, ...permissions, ...settings];
