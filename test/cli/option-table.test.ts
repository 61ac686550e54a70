// SPDX-License-Identifier: GPL-2.0-only

import { describe, expect, test } from "bun:test";
import { helpText } from "../../src/cli/help.ts";
import { optionSpellings, optionTable } from "../../src/cli/option-table.ts";
import { criu_optsSchema } from "../../src/images/gen/rpc_pb.ts";

/** Every option of CRIU 4.2, as `short:name` or `name`; `!` has a no- form, `=` takes an argument, `?` may take one. */
const KNOWN = `
t:tree= D:images-dir= W:work-dir= o:log-file= v:verbosity? log-pid! display-stats! pidfile= close= L:libdir= deprecated!
config= no-default-config unprivileged! stream! h:help V:version R:leave-running s:leave-stopped d:restore-detached!
daemon! S:restore-sibling! exec-cmd j:shell-job! l:file-locks! r:root= tcp-established! tcp-close! skip-in-flight!
evasive-devices! link-remap! ghost-limit= ghost-fiemap! timeout= freeze-cgroup= weak-sysctls! force-irmap!
irmap-scan-path= network-lock= file-validation= skip-file-rwx-check! allow-uprobes! mntns-compat-mode! cpu-cap?
lsm-profile= lsm-mount-context= empty-ns= J:join-ns= action-script= external= inherit-fd= M:ext-mount-map=
enable-external-sharing enable-external-masters veth-pair= x:ext-unix-sk? skip-mnt= enable-fs= manage-cgroups?
cgroup-root= cgroup-props= cgroup-props-file= cgroup-dump-controller= cgroup-yard= track-mem! prev-images-dir=
auto-dedup! pre-dump-mode= page-server! lazy-pages address= port= ps-socket= status-fd= tls! tls-cacert= tls-cacrl=
tls-cert= tls-key= tls-no-cn-verify extra! experimental! all feature= ms
`
	.trim()
	.split(/\s+/);

describe("optionTable", () => {
	test("holds every option of CRIU with its forms, and besides only our own", () => {
		const ours = optionTable.filter((spec) => spec.ours === true).map((spec) => spec.name);
		const theirs = optionTable
			.filter((spec) => spec.ours !== true)
			.map((spec) => {
				const argument = { none: "", required: "=", optional: "?" }[spec.arg];
				return `${spec.short === undefined ? "" : `${spec.short}:`}${spec.name}${spec.negatable ? "!" : argument}`;
			});
		expect(theirs.sort()).toEqual([...KNOWN].sort());
		expect(ours.sort()).toEqual([
			"drop-unread",
			"dry-run",
			"html",
			"json",
			"log-format",
			"map-pages",
			"new-pidns",
			"pid",
			"progress-fd",
			"snapshot",
			"zstd",
		]);
	});

	test("has each name and each letter once", () => {
		const spellings = optionSpellings();
		const letters = spellings.flatMap((s) => s.short ?? []);
		expect(new Set(spellings.map((s) => s.name)).size).toBe(spellings.length);
		expect(new Set(letters).size).toBe(letters.length);
	});

	test("gives a no- form only to options without argument", () => {
		expect(optionTable.filter((spec) => spec.negatable && spec.arg !== "none")).toEqual([]);
	});

	test("names commands by known letters", () => {
		for (const spec of optionTable) expect(spec.commands).toMatch(/^(?:\*|[DPRCSLVUI]+)$/);
	});

	test("names fields that requests have", () => {
		const fields = new Set<string>(criu_optsSchema.fields.map((field) => field.name));
		for (const { rpc } of optionTable) if (rpc !== undefined) expect(fields).toContain(rpc);
	});

	test.each(optionTable.map((spec) => spec.name))("helps with --%s", (name) => {
		expect(helpText()).toMatch(new RegExp(`^ .*--${name}\\b`, "m"));
	});

	test("keeps help within 100 columns", () => {
		for (const line of helpText().split("\n")) expect(line.length).toBeLessThanOrEqual(100);
	});
});
