// SPDX-License-Identifier: GPL-2.0-only
// What a machine may lack and a scenario may need, and how it's provided for the time of a run.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

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

/** `mov $1, %eax; xor %ebx, %ebx; int $0x80` as a 32-bit executable: exit(0). */
function exitProgram32(): Uint8Array {
	const code = [0xb8, 1, 0, 0, 0, 0x31, 0xdb, 0xcd, 0x80];
	const [base, start] = [0x8048000, 52 + 32];
	const bytes = new Uint8Array(start + code.length);
	const view = new DataView(bytes.buffer);
	bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
	for (const [at, value] of [
		[16, 2],
		[18, 3],
		[40, 52],
		[42, 32],
		[44, 1],
	] as const)
		view.setUint16(at, value, true);
	// Version, entry, program headers; then the only segment: type, address, sizes, flags, alignment.
	for (const [at, value] of [
		[20, 1],
		[24, base + start],
		[28, 52],
		[52, 1],
		[60, base],
		[68, bytes.length],
		[72, bytes.length],
		[76, 5],
		[80, 4096],
	] as const)
		view.setUint32(at, value, true);
	bytes.set(code, start);
	return bytes;
}

function lackOf32Bit(): string | undefined {
	const dir = mkdtempSync(join(tmpdir(), "criu-ia32-"));
	try {
		const path = join(dir, "exit");
		writeFileSync(path, exitProgram32(), { mode: 0o755 });
		return Bun.spawnSync([path]).exitCode === 0 ? undefined : "32-bit programs don't run here";
	} catch {
		return "32-bit programs don't run here";
	} finally {
		rmSync(dir, { recursive: true });
	}
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
	if (need === "ia32") return lackOf32Bit();
	if (need === "multilib") return existsSync("/usr/lib32/libc.so.6") ? undefined : "no 32-bit C library (gcc-multilib)";
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
