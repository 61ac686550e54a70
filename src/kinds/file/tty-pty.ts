// SPDX-License-Identifier: GPL-2.0-only
// Ptys of a restore: made here with the numbers, settings and content that they had, and handed to the tasks, which open
// their own descriptors of the slave. Source: pty(7), ioctl_tty(2).

import { CriuError, KernelError } from "../../errors.ts";
import type { tty_info_entry } from "../../images/gen/tty_pb.ts";
import { F_DUPFD_CLOEXEC, O_ACCMODE, O_CLOEXEC, O_LARGEFILE, O_NOCTTY, O_RDWR } from "../../kernel/abi/fcntl.ts";
import * as tty from "../../kernel/abi/ioctl.ts";
import { S_IFCHR, S_IFMT } from "../../kernel/abi/stat.ts";
import { SYS_fchmod, SYS_fchown, SYS_fcntl, SYS_ioctl } from "../../kernel/abi/syscalls.x86_64.ts";
import { closeFd, openAt, showPath, statFd } from "../../sys/file.ts";
import { mustSyscall } from "../../sys/host.ts";
import type { RestoreContext, TaskPlan } from "../kind.ts";
import { corruptImage } from "./image-checks.ts";
import { keptFilesOf } from "./kept-files.ts";
import { awaitRelease } from "./late-release.ts";
import { findHolders, type Holder, showHolders } from "./outside-holders.ts";
import { getRegFile } from "./reg-plan.ts";
import { decodeTermios, decodeWinsize, readInfos } from "./tty-info.ts";
import { feedMaster, feedSlave, readTtyData, stopOutput } from "./tty-queue.ts";
import { askNumber, MAX_PTY, roleOf } from "./tty-types.ts";

const SLASH = 0x2f;
const RWX = 0o7777;

/** A pty under construction. Its descriptors are held under numbers that tasks get. */
export interface MadePty {
	/** Number of the master in this task, as long as its files are made. */
	master(plan: TaskPlan): number;
	/** The same of its slave; undefined when it was never open. */
	slave(plan: TaskPlan): number | undefined;
	/** True for the names that the kernel gives to slaves of this devpts. */
	isOwnName(name: Uint8Array): boolean;
}

/** Names under which the ends of each terminal were open, and how, by the id of the end. */
function namesOf(context: RestoreContext) {
	return context.once("tty-names", () => {
		const names = new Map<number, { name: Uint8Array; flags: number; mode: number; count: number }>();
		for (const { id, tty: entry } of context.files.values()) {
			if (entry === undefined || entry.regfId === 0) continue;
			const reg = getRegFile(entry.regfId, context.files.get(entry.regfId));
			if (reg.ext) throw corruptImage("files.img", `terminal ${id} has an external name`);
			const known = names.get(entry.ttyInfoId);
			if (known !== undefined) known.count++;
			else names.set(entry.ttyInfoId, { name: reg.name, flags: entry.flags, mode: reg.mode, count: 1 });
		}
		return names;
	});
}

function parentOf(path: Uint8Array): Uint8Array {
	return path.subarray(0, Math.max(path.lastIndexOf(SLASH), 0));
}

function join(directory: Uint8Array, name: string): Uint8Array {
	return Buffer.concat([directory, Buffer.from(`/${name}`)]);
}

/** Who has the slave of that number open. */
function holdersOf(index: number, path: Uint8Array): Holder[] {
	const form = `${showPath(parentOf(path))}/pts/${index}`;
	const slaves = [form, `${showPath(parentOf(path))}/${index}`];
	return findHolders((link) => slaves.includes(showPath(link)), { tasks: [] });
}

function taken(index: number, holders: readonly Holder[]): CriuError {
	return new CriuError("TTY_TAKEN", `terminal ${index} is in use here: ${showHolders(holders)} has it`, {
		remedy: "end what uses it, or restore where a new devpts is mounted on /dev/pts",
	});
}

/** A master of that number: the kernel gives the lowest free one. Undefined when that is another one. @throws KernelError */
function findMaster(path: Uint8Array, index: number, access: number): number | undefined {
	const others: number[] = [];
	try {
		for (;;) {
			const fd = openAt(path, access | O_NOCTTY);
			const number = askNumber(fd, tty.TIOCGPTN);
			if (roleOf(statFd(fd)) === "master" && number === index) return fd;
			others.push(fd);
			if (number === undefined || number > index) return undefined;
		}
	} finally {
		for (const fd of others) closeFd(fd);
	}
}

/** The same; what the kernel is about to free is waited for. @throws CriuError TTY_TAKEN, KernelError */
function openMaster(path: Uint8Array, index: number, access: number): number {
	let master = findMaster(path, index, access);
	if (master !== undefined) return master;
	const holders = holdersOf(index, path);
	const isFree = () => {
		master = findMaster(path, index, access);
		return master !== undefined;
	};
	if (holders.length > 0 || !awaitRelease(isFree) || master === undefined) throw taken(index, holders);
	return master;
}

function set(fd: number, request: number, value: number | Uint8Array | Int32Array): void {
	mustSyscall("of a new terminal", SYS_ioctl, fd, request, value);
}

function applySettings(master: number, { termios, winsize }: tty_info_entry): void {
	if (termios !== undefined) set(master, tty.TCSETS, decodeTermios(termios));
	if (winsize !== undefined) set(master, tty.TIOCSWINSZ, decodeWinsize(winsize));
}

/** What the images tell of a pty. */
interface PtyImage {
	readonly index: number;
	readonly master: tty_info_entry | undefined;
	readonly slave: tty_info_entry | undefined;
	readonly slaveMode: number | undefined;
}

function fillPty(image: PtyImage, master: number, slave: number | undefined, context: RestoreContext): void {
	const { index } = image;
	const info = image.slave ?? image.master;
	const data = readTtyData(context);
	const [typed, printed] = [data.get(index * 2), data.get(index * 2 + 1)];
	if (info === undefined || slave === undefined) return;
	if (image.slave !== undefined) {
		mustSyscall("of a new terminal", SYS_fchown, slave, image.slave.uid, image.slave.gid);
		if (image.slaveMode !== undefined) mustSyscall("of a new terminal", SYS_fchmod, slave, image.slaveMode & RWX);
	}
	if (printed !== undefined) feedMaster(master, slave, printed);
	if (typed !== undefined) feedSlave(master, slave, typed);
	if (info.stopped) stopOutput(slave);
	if (image.slave?.exclusive) set(slave, tty.TIOCEXCL, 0);
	if (info.termiosLocked === undefined) return;
	const locks = decodeTermios(info.termiosLocked);
	if (locks.some((byte) => byte !== 0)) set(slave, tty.TIOCSLCKTRMIOS, locks);
}

/** True when the slave was open at some time. */
function needsSlave({ master, slave, index }: PtyImage, context: RestoreContext): boolean {
	const data = readTtyData(context);
	const holds = data.has(index * 2) || data.has(index * 2 + 1);
	return slave !== undefined || holds || (master !== undefined && (master.closed || master.sid !== 0));
}

function makePty(image: PtyImage, path: Uint8Array, access: number, context: RestoreContext) {
	const { index } = image;
	const master = openMaster(path, index, access);
	let slave: number | undefined;
	try {
		set(master, tty.TIOCSPTLCK, new Int32Array([0]));
		const info = image.slave?.termios === undefined ? image.master : image.slave;
		if (info !== undefined) applySettings(master, info);
		if (needsSlave(image, context)) {
			slave = mustSyscall("of a new terminal", SYS_ioctl, master, tty.TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
			fillPty(image, master, slave, context);
		}
		if (image.master?.exclusive) set(master, tty.TIOCEXCL, 0);
		return { master, slave };
	} catch (error) {
		closeFd(master);
		if (slave !== undefined) closeFd(slave);
		throw error;
	}
}

function imageOf(index: number, context: RestoreContext): { image: PtyImage; path: Uint8Array; access: number } {
	const infos = readInfos(context);
	const names = namesOf(context);
	const [slaveName, masterName] = [names.get(index * 2), names.get(index * 2 + 1)];
	if (index > MAX_PTY) throw corruptImage("tty-info.img", `a pty of number ${index}`);
	if ((masterName?.count ?? 0) > 1) throw corruptImage("files.img", `the master of terminal ${index} twice`);
	const isNode = slaveName !== undefined && (slaveName.mode & S_IFMT) === S_IFCHR;
	const image: PtyImage = {
		index,
		master: infos.get(index * 2 + 1),
		slave: infos.get(index * 2),
		slaveMode: isNode ? slaveName.mode : undefined,
	};
	const path = masterName?.name ?? Buffer.from("/dev/ptmx");
	return { image, path, access: ((masterName?.flags ?? O_RDWR) & O_ACCMODE) | O_LARGEFILE };
}

/** Gives a task a descriptor that we hold under a number. */
function passAgain(number: number, name: string, plan: TaskPlan): number {
	return keptFilesOf(plan).pass(name, () => mustSyscall("of a new terminal", SYS_fcntl, number, F_DUPFD_CLOEXEC, 0));
}

/** The pty of that number, made at first use. @throws CriuError TTY_TAKEN, ImageError, KernelError */
export function getPty(index: number, plan: TaskPlan, context: RestoreContext): MadePty {
	return context.once(`pty:${index}`, () => {
		const { image, path, access } = imageOf(index, context);
		let made: ReturnType<typeof makePty>;
		try {
			made = makePty(image, path, access, context);
		} catch (error) {
			if (!(error instanceof KernelError)) throw error;
			throw new CriuError("TTY_FAILED", `terminal ${index} can't be made with ${showPath(path)}`, {
				cause: error,
				remedy: error.remedy ?? "mount a devpts on /dev/pts, and run criu as root",
			});
		}
		const kept = keptFilesOf(plan);
		const names = { master: `master of terminal ${index}`, slave: `slave of terminal ${index}` };
		const master = kept.pass(names.master, () => made.master);
		if (image.master === undefined && image.slave?.termios !== undefined) plan.orphanMasters.push(master);
		const slave = made.slave === undefined ? undefined : kept.pass(names.slave, () => made.slave ?? -1);
		const directory = parentOf(path);
		const own = [join(directory, `pts/${index}`), join(directory, `${index}`)].map(showPath);
		return {
			master: (other) => passAgain(master, names.master, other),
			slave: (other) => (slave === undefined ? undefined : passAgain(slave, names.slave, other)),
			isOwnName: (name) => own.includes(showPath(name)),
		};
	});
}
