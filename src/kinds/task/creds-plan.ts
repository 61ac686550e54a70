// SPDX-License-Identifier: GPL-2.0-only
// Credentials, restore half: from what a new process of criu's has to what the image says, with the fewest calls and in the
// only order that works. Each step still needs a privilege that a later one takes away.

import type { Program } from "../../agent/program.ts";
import { UnsupportedError } from "../../errors.ts";
import type { creds_entry } from "../../images/gen/core_pb.ts";
import { hasField } from "../../images/index.ts";
import {
	_LINUX_CAPABILITY_VERSION_3,
	CAPABILITY_NAMES,
	CapUserData,
	CapUserHeader,
} from "../../kernel/abi/capability.ts";
import {
	PR_CAP_AMBIENT,
	PR_CAP_AMBIENT_CLEAR_ALL,
	PR_CAP_AMBIENT_RAISE,
	PR_CAPBSET_DROP,
	PR_SET_NO_NEW_PRIVS,
	PR_SET_SECUREBITS,
} from "../../kernel/abi/prctl.ts";
import {
	SECBIT_NO_SETUID_FIXUP,
	SECBIT_NOROOT,
	SECURE_ALL_BITS,
	SECURE_ALL_LOCKS,
} from "../../kernel/abi/securebits.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import type { ProcStatus } from "../../kernel/procfs/status.ts";
import { log } from "../../log.ts";
import type { RestoreContext, ThreadImage, ThreadPlan } from "../kind.ts";
import { corruptCore, getThreadCore } from "./image-checks.ts";
import { getOwnSecurebits, getOwnStatus } from "./own-state.ts";
import { readLabel } from "./security-label.ts";

const MAX_GROUPS = 65536;
const NO_ID = 0xffffffff;
/** Every capability that Linux has; criu's own bounding set may lack some. */
const KNOWN_CAPS = (1n << BigInt(CAPABILITY_NAMES.length)) - 1n;
const SECUREBITS = SECURE_ALL_BITS | SECURE_ALL_LOCKS;

interface Caps {
	inh: bigint;
	prm: bigint;
	eff: bigint;
	bnd: bigint;
	amb: bigint;
}

/** Credentials in one form for both sides. */
interface Creds {
	/** Real, effective, saved, file system. */
	uid: readonly number[];
	gid: readonly number[];
	groups: readonly number[];
	caps: Caps;
	securebits: number;
	noNewPrivs: boolean;
}

const capNames = (set: bigint) =>
	[...set.toString(2)]
		.reverse()
		.flatMap((bit, i) => (bit === "1" ? [CAPABILITY_NAMES[i] ?? String(i)] : []))
		.join(", ");

/** What a new process of this criu has once the agent was executed: root gets what is inheritable or bounded. */
function predictNew(status: ProcStatus, securebits: number): Creds {
	const isRoot = status.uid[1] === 0 && (securebits & SECBIT_NOROOT) === 0;
	let prm = isRoot ? status.capInh | status.capBnd : status.capAmb;
	if (status.noNewPrivs === true) prm &= status.capPrm;
	const [uid, euid] = status.uid;
	const [gid, egid] = status.gid;
	return {
		uid: [uid, euid, euid, euid],
		gid: [gid, egid, egid, egid],
		groups: status.groups,
		caps: { inh: status.capInh, prm, eff: prm, bnd: status.capBnd, amb: status.capAmb },
		securebits,
		noNewPrivs: status.noNewPrivs === true,
	};
}

function decodeCaps(image: ThreadImage, field: string, words: readonly number[]): bigint {
	// Images of kernels before ambient capabilities have no words for them.
	if (words.length === 0 && field === "cap_amb") return 0n;
	if (words.length !== 2)
		throw corruptCore(image, `thread_core.creds.${field} has ${words.length} words, there must be 2`);
	const set = BigInt(words[0] ?? 0) | (BigInt(words[1] ?? 0) << 32n);
	const unknown = set & ~KNOWN_CAPS;
	if (unknown !== 0n) log.warn(`task ${image.tid}: this kernel has no capability ${capNames(unknown)}, it is dropped`);
	return set & KNOWN_CAPS;
}

function checkIds(image: ThreadImage, entry: creds_entry): void {
	for (const key of ["uid", "euid", "suid", "fsuid", "gid", "egid", "sgid", "fsgid"] as const)
		if (entry[key] === NO_ID) throw corruptCore(image, `thread_core.creds.${key} is no id`);
	if (entry.groups.length > MAX_GROUPS)
		throw corruptCore(image, `thread_core.creds.groups has ${entry.groups.length} entries`);
	if (entry.groups.includes(NO_ID)) throw corruptCore(image, "thread_core.creds.groups has an entry that is no id");
	if ((entry.secbits & ~SECUREBITS) !== 0) throw corruptCore(image, `thread_core.creds.secbits is ${entry.secbits}`);
}

function decodeCreds(image: ThreadImage, entry: creds_entry): Creds {
	checkIds(image, entry);
	const set = (field: string, words: readonly number[]) => decodeCaps(image, field, words);
	const caps = {
		inh: set("cap_inh", entry.capInh),
		prm: set("cap_prm", entry.capPrm),
		eff: set("cap_eff", entry.capEff),
		bnd: set("cap_bnd", entry.capBnd),
		amb: set("cap_amb", entry.capAmb),
	};
	if ((caps.eff & ~caps.prm) !== 0n) throw corruptCore(image, "thread_core.creds.cap_eff exceeds cap_prm");
	if ((caps.amb & ~(caps.prm & caps.inh)) !== 0n)
		throw corruptCore(image, "thread_core.creds.cap_amb exceeds cap_prm or cap_inh");
	return {
		uid: [entry.uid, entry.euid, entry.suid, entry.fsuid],
		gid: [entry.gid, entry.egid, entry.sgid, entry.fsgid],
		groups: entry.groups,
		caps,
		securebits: entry.secbits,
		noNewPrivs: hasField(entry, "noNewPrivs") && entry.noNewPrivs !== 0,
	};
}

function sameList(a: readonly number[], b: readonly number[]): boolean {
	return a.length === b.length && a.every((value, i) => value === b[i]);
}

function encodeCapset(caps: Pick<Caps, "inh" | "prm" | "eff">): Uint8Array {
	const bytes = new Uint8Array(2 * CapUserData.size);
	for (const [i, shift] of [0n, 32n].entries()) {
		const word = (set: bigint) => Number((set >> shift) & 0xffffffffn);
		bytes.set(
			CapUserData.encode({ effective: word(caps.eff), permitted: word(caps.prm), inheritable: word(caps.inh) }),
			i * CapUserData.size,
		);
	}
	return bytes;
}

const PRIVILEGE = { EPERM: "run criu as root with all capabilities that the program had" };

function addCapset(program: Program, what: string, caps: Pick<Caps, "inh" | "prm" | "eff">): void {
	const header = CapUserHeader.encode({ version: _LINUX_CAPABILITY_VERSION_3, pid: 0 });
	program.syscall(what, nr.SYS_capset, [header, encodeCapset(caps)], { remedies: PRIVILEGE });
}

function addGroups(program: Program, have: Creds, want: Creds): void {
	if (sameList(have.groups, want.groups)) return;
	const bytes = new Uint8Array(Uint32Array.from(want.groups).buffer);
	program.syscall("set supplementary groups", nr.SYS_setgroups, [want.groups.length, bytes.length === 0 ? 0 : bytes], {
		remedies: PRIVILEGE,
	});
}

/** Real, effective and saved id take the one for files with them, which may have to be set on its own after that. */
function addIds(program: Program, what: "user" | "group", have: readonly number[], want: readonly number[]): void {
	const [real = 0, effective = 0, saved = 0, fs = 0] = want;
	let haveFs = have[3];
	if (!sameList(have.slice(0, 3), [real, effective, saved])) {
		const call = what === "user" ? nr.SYS_setresuid : nr.SYS_setresgid;
		program.syscall(`set ${what} ids`, call, [real, effective, saved], { remedies: PRIVILEGE });
		haveFs = effective;
	}
	if (haveFs === fs) return;
	// These calls tell the former id whatever happens: a second one with an invalid id shows what is set.
	const call = what === "user" ? nr.SYS_setfsuid : nr.SYS_setfsgid;
	program.syscall(`set file system ${what} id`, call, [fs], { check: "any" });
	program.syscall(`check file system ${what} id`, call, [NO_ID], { check: { equal: fs } });
}

/** Bounding and ambient set, securebits and the rest: all that needs setpcap, then the final sets. */
function addCapabilities(program: Program, have: Caps, want: Creds, securebits: number): void {
	const { caps } = want;
	if (have.amb !== 0n && have.amb !== caps.amb)
		program.syscall("clear ambient capabilities", nr.SYS_prctl, [PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0]);
	// Before the bounding set shrinks: what is inheritable may exceed it.
	if (have.inh !== caps.inh)
		addCapset(program, "set inheritable capabilities", { inh: caps.inh, prm: have.prm, eff: have.eff });
	const drop = have.bnd & ~caps.bnd;
	for (let cap = 0; cap < CAPABILITY_NAMES.length; cap++)
		if (((drop >> BigInt(cap)) & 1n) === 1n)
			program.syscall(
				`drop ${CAPABILITY_NAMES[cap]} from the bounding set`,
				nr.SYS_prctl,
				[PR_CAPBSET_DROP, cap, 0, 0, 0],
				{
					remedies: PRIVILEGE,
				},
			);
	if (have.amb !== caps.amb)
		for (let cap = 0; cap < CAPABILITY_NAMES.length; cap++)
			if (((caps.amb >> BigInt(cap)) & 1n) === 1n)
				program.syscall(`raise ambient ${CAPABILITY_NAMES[cap]}`, nr.SYS_prctl, [
					PR_CAP_AMBIENT,
					PR_CAP_AMBIENT_RAISE,
					cap,
					0,
					0,
				]);
	if (securebits !== want.securebits)
		program.syscall("set securebits", nr.SYS_prctl, [PR_SET_SECUREBITS, want.securebits, 0, 0, 0], {
			remedies: PRIVILEGE,
		});
	if (have.prm !== caps.prm || have.eff !== caps.eff) addCapset(program, "set capabilities", caps);
}

/** What criu can't give. @throws UnsupportedError MISSING_CAPABILITY, LSM_PROFILE */
function checkPossible(image: ThreadImage, entry: creds_entry, have: Creds, want: Creds): void {
	const { tid } = image;
	const missing = want.caps.prm & ~have.caps.prm;
	if (missing !== 0n)
		throw new UnsupportedError(
			"MISSING_CAPABILITY",
			`task ${tid} had capabilities that criu lacks: ${capNames(missing)}`,
			{
				remedy: "run criu with these capabilities",
			},
		);
	const unbound = want.caps.bnd & ~have.caps.bnd;
	if (unbound !== 0n) log.warn(`task ${tid}: its bounding set will lack ${capNames(unbound)}, which criu hasn't`);
	if (have.noNewPrivs && !want.noNewPrivs)
		log.warn(`task ${tid}: no_new_privs is set on criu itself and can't be taken off`);
	if (hasField(entry, "lsmProfile") && entry.lsmProfile !== "" && entry.lsmProfile !== readLabel("self"))
		throw new UnsupportedError(
			"LSM_PROFILE",
			`task ${tid} ran under security label ${entry.lsmProfile}, which this version doesn't set`,
			{
				remedy: "run criu itself under that label, or use the original criu",
			},
		);
}

/** Adds what turns root's credentials into those of the image. @throws ImageError, UnsupportedError */
export function planCreds(image: ThreadImage, plan: ThreadPlan, context: RestoreContext): void {
	const entry = getThreadCore(image).creds;
	if (entry === undefined) throw corruptCore(image, "thread_core.creds is missing");
	const have = predictNew(getOwnStatus(context), getOwnSecurebits(context));
	const want = decodeCreds(image, entry);
	checkPossible(image, entry, have, want);
	const { creds } = plan.programs;
	addGroups(creds, have, want);
	addIds(creds, "group", have.gid, want.gid);
	const idsChange = !sameList(have.uid, want.uid);
	let securebits = have.securebits;
	if (idsChange && (securebits & SECBIT_NO_SETUID_FIXUP) === 0) {
		// Otherwise the change of ids would take all capabilities at once.
		securebits |= SECBIT_NO_SETUID_FIXUP;
		creds.syscall("keep capabilities while ids change", nr.SYS_prctl, [PR_SET_SECUREBITS, securebits, 0, 0, 0], {
			remedies: PRIVILEGE,
		});
	}
	addIds(creds, "user", have.uid, want.uid);
	addCapabilities(creds, have.caps, want, securebits);
	if (want.noNewPrivs && !have.noNewPrivs)
		creds.syscall("set no_new_privs", nr.SYS_prctl, [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0]);
}
