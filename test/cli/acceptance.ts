// SPDX-License-Identifier: GPL-2.0-only
// Command lines that are tried on criu and on the original: every option in every form, and values at the limits.

import { optionTable } from "../../src/cli/option-table.ts";

/** Values that are tried for each option with an argument, good ones and bad ones; `|` between them. */
const VALUES: Readonly<Record<string, string>> = {
	tree: "5|0|-1|abc|05|2147483648|",
	"images-dir": "/tmp|",
	"work-dir": "x",
	"log-file": "-|a",
	verbosity: "4|vv|vx||x|-1",
	pidfile: "p",
	close: "77",
	libdir: "/x",
	config: "/nonexistent",
	"ghost-limit": "5|5k|1M|x||-1",
	timeout: "0|-1|x|",
	"freeze-cgroup": "/x",
	"network-lock": "iptables|nftables|skip|none||NFTABLES|x|ipt",
	"file-validation": "filesize|buildid|x||file|filesizes",
	"cpu-cap": "fpu|ins|cpu|all|none|^none|^all|fpu,ins|fpuins|fpu,^ins|x||fpu,|,|^|fpux|ALL",
	"lsm-profile": "apparmor:x|selinux:x|none:x|none|x|x:y|:|",
	"lsm-mount-context": "x|",
	"empty-ns": "net|pid||net,uts",
	"join-ns":
		"net:1|net:/proc/self/ns/net|net:/nonexistent|pid:1|user:1,1,2|user:1|net|net:|net:65536|net:99999|user:1,70000,2|" +
		"user:1,a,b|mnt:1|time:1|ipc:1|cgroup:5|:5|net:0|user:/proc/self/ns/user,0,0|net:-1",
	"action-script": "x|",
	root: "/x|",
	"irmap-scan-path": "x",
	external:
		"mnt[]|mnt[]:m|mnt[]:s|mnt[]:x|mnt[]:|mnt[]:mm|mnt[]:ms|mnt[]x|mnt[a]:b|mnt[a]|dev[1/2]:x|file[1:2]|x||macvlan[a]:b|" +
		"macvlan[a]:lo|veth[a]:b@c|net[5]:k|mnt|mnt[|mnt[a|foo[1]:2|netdev[a]:b|unix[1]|unix[x]|tty[1:2]|veth[a]",
	"inherit-fd": "fd[1]:x|fd[0]:tty[1:2]|fd[99]:x|fd[1]|fd[1]:|fd[x]:x|1:x|fd[-1]:x|fd[1]x||fd[1]: x",
	"ext-mount-map": "a:b|auto|a||:|a:|a:b:c",
	"veth-pair": "a=b|a|=|a=||=b",
	"ext-unix-sk": "1|1,2|0|x|1,x|1,||,1|1x",
	"skip-mnt": "x|",
	"enable-fs": "x|all|a,b|",
	"manage-cgroups": "none|props|soft|full|strict|ignore|x||Soft",
	"cgroup-root": "/x|cpu:/x|x|cpu,cpuacct:/x||cpu:|cpu:x|:/x",
	"cgroup-props": "x|",
	"cgroup-props-file": "x",
	"cgroup-dump-controller": "cpu|x",
	"cgroup-yard": "x",
	"prev-images-dir": "x|/x",
	"pre-dump-mode": "splice|read|x|",
	address: "x|",
	port: "1|65535|0|x|65536|",
	"ps-socket": "5|0|-1",
	"status-fd": "5|x|0|-1|",
	"tls-cacert": "x",
	"tls-cacrl": "x",
	"tls-cert": "x",
	"tls-key": "x",
	feature: "mnt_id",
};

/** Beginnings of names that stand for one option, for several, or for none. */
const ABBREVIATIONS =
	"log-p no-unp no-st leave-r leave restore restore-d restore-s daem shell-j no-shell file-l file tcp tcp-e tcp-c skip skip-i " +
	"skip-f evas link- ghost-f no-gho weak forc cpu manage enable-external-s enable track no-tr auto no-auto page no-pa lazy " +
	"tl tls-c tls-n ext extr exp no-e no-t no-tcp-e no-l mntns no-r no-fo n y";

const WHOLE_LINES =
	"-vvv|-v4v|-vv4|-Rs|-Rst5|-tR5|-z|-Rz|-v 4|-|-x1,2|-x 1|-d -j -l -R -s -S|-jv4|-t 5 -t 0|-o- -v4|-Mauto|-Ma|" +
	"-Jnet:1|-r/x|-L/x|-W x|-D|-h|--nope -h|-t0 --help|-x1,2 -x3|--cpu-cap fpu|--manage-cgroups full|--port 5 --port 0|" +
	"--no-help|--help=x|--version=4|-R -R -s|-ghost-limit 5|--tree -5|--tree=|-t  |-t";

/** Lines that the original takes and criu refuses on purpose: a slip of the pen must not become another number. */
export const STRICTER: readonly string[] = [
	"--tree=5x",
	"--tree=4294967297",
	"--join-ns=user:1,1",
	"--join-ns=uts:1,1,2",
	"--inherit-fd=fd[1:x",
	"--ext-unix-sk=-1",
	"--port=-1",
	"--port=5x",
	"--ps-socket=x",
	"--ps-socket=5x",
	"--status-fd=5x",
];

/** Options that CRIU 4.2 has and earlier ones don't; abbreviations that mean something else with them. */
export const NEW_IN_42 = /^--(?:no-)?allow-uprobes|^--all?$|^--no-a(?:l|u|ll)?$/;

/** Of options with nothing special about them: how many are tried with a value that they don't take, or with a wrong --no-. */
const PLAIN_REFUSALS = 6;

function optionForms(): string[][] {
	const forms = optionTable
		.filter((spec) => spec.ours !== true)
		.flatMap((spec) => {
			const values = (VALUES[spec.name] ?? "").split("|");
			const [first = ""] = values;
			const name = `--${spec.name}`;
			const short = spec.short === undefined ? [] : [`-${spec.short}`];
			const negative = spec.negatable === true ? [[`--no-${spec.name}`]] : [];
			if (spec.arg === "none") return [[name], ...negative, ...short.map((s) => [s])];
			return [
				...(spec.arg === "optional" ? [[name]] : []),
				[name, first],
				...values.map((value) => [`${name}=${value}`]),
				...short.flatMap((s) => [[s, first], [`${s}${first}`]]),
			];
		});
	const plain = optionTable.filter((spec) => spec.ours !== true);
	const withoutNo = plain.filter((spec) => spec.negatable !== true && !/^no-/.test(spec.name));
	const withoutValue = plain.filter((spec) => spec.arg === "none");
	return [
		...forms,
		...withoutNo.slice(-PLAIN_REFUSALS).map((spec) => [`--no-${spec.name}`]),
		...withoutValue.slice(0, PLAIN_REFUSALS).map((spec) => [`--${spec.name}=x`]),
	];
}

/** All lines, without the command. */
export function commandLines(): string[][] {
	return [
		...optionForms(),
		...ABBREVIATIONS.split(" ").map((name) => [`--${name}`]),
		...WHOLE_LINES.split("|").map((line) => line.split(" ")),
	];
}

/** Whole commands that end without doing anything, good or bad; DIR is an empty directory, of each run its own. */
export const COMMANDS: readonly string[] = [
	...["", "melt", "dump", "pre-dump", "restore", "dump x", "restore a b", "-V", "swrk", "exec", "show", "check x"],
	...["cpuinfo", "cpuinfo x", "cpuinfo check", "cpuinfo dump", "cpuinfo dump -D DIR/none", "cpuinfo dump -W DIR/none"],
	...["cpuinfo dump -o no/such.log", "cpuinfo dump -o x.log", "cpuinfo dump --cpu-cap=none", "cpuinfo dump --stream"],
	...["cpuinfo dump --inherit-fd fd[1]:x", "cpuinfo dump --mntns-compat-mode", "cpuinfo dump -s -d", "cpuinfo dump -S"],
	...["cpuinfo dump --lazy-pages", "cpuinfo dump --page-server --port 5", "cpuinfo dump --tls-key x"],
	...[
		"cpuinfo dump --external mnt[]:m --external foo[1]",
		"cpuinfo dump --tcp-close --tcp-established",
		"cpuinfo dump -t 1",
	],
	...[
		"cpuinfo dump --action-script x",
		"cpuinfo dump --root /x",
		"cpuinfo dump --join-ns net:1",
		"cpuinfo dump --libdir /x",
	],
	...["cpuinfo dump --exec-cmd -- true", "cpuinfo dump --config DIR/none", "cpuinfo dump --no-default-config -v0"],
	...["cpuinfo dump --pre-dump-mode read", "cpuinfo dump --empty-ns net", "cpuinfo dump --pidfile x --log-pid"],
	...[
		"cpuinfo dump --empty-ns net --join-ns net:1",
		"cpuinfo dump --prev-images-dir x",
		"cpuinfo dump --lsm-profile x",
	],
	...[
		"restore --exec-cmd",
		"restore -d --exec-cmd -- true",
		"dump --exec-cmd -- true",
		"check --stream",
		"dedup --stream",
	],
	...[
		"restore -S",
		"restore -d",
		"restore -D DIR/none",
		"restore -t 5",
		"restore --inherit-fd fd[1]:x",
		"dump -t 999999999",
	],
	...[
		"dump -t 5 --inherit-fd fd[1]:x",
		"restore --stream",
		"dump --feature x",
		"check --feature list",
		"dedup",
		"check -h",
	],
	...["check --feature mnt_id", "check --feature external_net_ns", "check --ms", "dump -t 5 --pre-dump-mode x"],
];
