// SPDX-License-Identifier: GPL-2.0-only
// What a machine may lack and a scenario may need, and how it's provided for the time of a run.

import { existsSync, readFileSync, writeFileSync } from "node:fs";

const hugePagesPath = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
const hugePagesWanted = 32;
let hugePagesBefore: string | undefined;

function readTrimmed(path: string): string {
	return readFileSync(path, "utf8").trim();
}

function lackOfHugePages(): string | undefined {
	if (!existsSync(hugePagesPath)) return "no huge pages of 2 MiB in this kernel";
	const now = readTrimmed(hugePagesPath);
	if (Number(now) >= hugePagesWanted) return undefined;
	try {
		writeFileSync(hugePagesPath, String(hugePagesWanted));
	} catch {
		return `cannot write ${hugePagesPath}`;
	}
	hugePagesBefore ??= now;
	return Number(readTrimmed(hugePagesPath)) >= hugePagesWanted ? undefined : "not enough free memory for huge pages";
}

function lackOfCpuFlag(flag: string): string | undefined {
	const flags = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "latin1"))?.[1] ?? "";
	return flags.split(" ").includes(flag) ? undefined : `this CPU has no ${flag}`;
}

const capabilities: Readonly<Record<string, bigint>> = { sys_resource: 24n };

function lackOfCapability(name: string): string | undefined {
	const bit = capabilities[name];
	if (bit === undefined) throw new Error(`unknown capability ${name}`);
	const effective = BigInt(`0x${/^CapEff:\s*(\S+)$/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1] ?? "0"}`);
	return (effective >> bit) & 1n ? undefined : `root here has no CAP_${name.toUpperCase()}`;
}

/** Why a need can't be met here; undefined when it is. Sets up what can be set up. */
export function findLack(need: string): string | undefined {
	if (need === "hugetlb") return lackOfHugePages();
	if (need === "tty") return existsSync("/dev/ptmx") ? undefined : "no /dev/ptmx";
	if (need === "musl") return Bun.which("musl-gcc") === null ? "no musl-gcc" : undefined;
	if (need.startsWith("cap:")) return lackOfCapability(need.slice(4));
	if (need.startsWith("cpu:")) return lackOfCpuFlag(need.slice(4));
	throw new Error(`unknown need ${need}`);
}

/** Puts back what findLack changed on the machine. */
export function restoreMachine(): void {
	if (hugePagesBefore !== undefined) writeFileSync(hugePagesPath, hugePagesBefore);
	hugePagesBefore = undefined;
}
