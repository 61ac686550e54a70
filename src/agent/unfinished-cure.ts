// SPDX-License-Identifier: GPL-2.0-only
// Threads that are still on their way out of the agent of an earlier dump, which was killed a moment ago: their frames lie in
// dead stack, where those of the next dump would go. They have to be let go on first.

import { PROT_EXEC, PROT_READ } from "../kernel/abi/mman.ts";
import { findVmaAt, type VmaFacts } from "../kernel/procfs/maps.ts";
import { readMemory } from "../sys/process.ts";
import { returnWords, wordSize } from "./gadgets.x86_64.ts";
import type { InjectionFacts } from "./injected.ts";
import { AGENT_MAGIC, AREA_BLOB } from "./layout.ts";
import { getReg, REG } from "./registers.x86_64.ts";
import type { StoppedThread } from "./tracee.ts";

/** More than the code from a system call to its `ret` has. */
const CALL_LENGTH = 32n;
/** `mov $15, %rax; syscall`. */
const RESTORER_LENGTH = 9n;

const isWithin = (ip: bigint, code: bigint, length: bigint) => ip >= code && ip < code + length;

/** True when the code at `ip` is an agent's. */
function isInAgent(pid: number, vmas: readonly VmaFacts[], ip: bigint): boolean {
	const vma = findVmaAt(vmas, ip);
	if (vma === undefined || !vma.shared || (vma.prot & PROT_EXEC) === 0) return false;
	const header = vma.start + BigInt(AREA_BLOB);
	if (header + 4n > vma.end) return false;
	return new Uint32Array(readMemory(pid, header, 4).buffer)[0] === AGENT_MAGIC;
}

/** True when what lies on the stack is what we put behind a call of ours. */
function hasOurWords({ pid, vmas, gadgets }: InjectionFacts, sp: bigint): boolean {
	const words = returnWords(gadgets);
	const length = words.length * wordSize(gadgets);
	const stack = findVmaAt(vmas, sp);
	if (stack === undefined || sp + BigInt(length) > stack.end || (stack.prot & PROT_READ) === 0) return false;
	const { buffer } = readMemory(pid, sp, length);
	const found = gadgets.isIa32 ? [...new Uint32Array(buffer)].map(BigInt) : new BigUint64Array(buffer);
	return words.every((word, i) => found[i] === word);
}

/** True when what lies on the stack leads into the area of an agent. */
function isLed({ pid, vmas, gadgets }: InjectionFacts, sp: bigint): boolean {
	const at = sp + BigInt(wordSize(gadgets) * gadgets.callWords);
	const stack = findVmaAt(vmas, at);
	if (stack === undefined || at + 8n > stack.end || (stack.prot & PROT_READ) === 0) return false;
	// In 32-bit code what lies behind the word is nothing that counts, and 0.
	const [word] = new BigUint64Array(readMemory(pid, at, 8).buffer);
	return isInAgent(pid, vmas, word ?? 0n);
}

/**
 * True when one of the threads of a stopped task hasn't left an earlier agent yet. A thread that returns from a signal handler
 * of its own just now looks alike: it, too, is elsewhere an instant later.
 *
 * @throws KernelError
 */
export function isLeavingAgent(facts: InjectionFacts, threads: readonly StoppedThread[]): boolean {
	const { syscallRet, wayOut } = facts.gadgets;
	// Other ways out are pieces of any code: there, being in it tells nothing.
	const restorer = wayOut.ends === "syscall" && wayOut.words === 0 && !wayOut.fromRegister ? wayOut.at : undefined;
	return threads.some(({ regs }) => {
		const ip = getReg(regs, REG.ip);
		if (restorer !== undefined && isWithin(ip, restorer, RESTORER_LENGTH)) return true;
		if (isInAgent(facts.pid, facts.vmas, ip)) return true;
		if (!isWithin(ip, syscallRet, CALL_LENGTH)) return false;
		const sp = getReg(regs, REG.sp);
		return hasOurWords(facts, sp) || isLed(facts, sp);
	});
}
