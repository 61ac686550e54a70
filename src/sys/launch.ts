// SPDX-License-Identifier: GPL-2.0-only
// Starting other programs: beside us, or in our place. Source: execve(2), path_resolution(7).

import { accessSync, constants, statSync } from "node:fs";
import { CriuError, KernelError } from "../errors.ts";
import { F_DUPFD_CLOEXEC } from "../kernel/abi/fcntl.ts";
import * as nr from "../kernel/abi/syscalls.x86_64.ts";
import { closeFd, toCString } from "./file.ts";
import { addressOf, launchBlock, mustSyscall, syscall } from "./host.ts";
import { CrLaunch } from "./host-layout.ts";

/** What execve(2) takes, held together as long as the kernel may look at it. */
class Words {
	private readonly texts: Uint8Array[];
	private readonly pointers: BigUint64Array;

	constructor(words: readonly string[]) {
		this.texts = words.map((word) => toCString(word));
		this.pointers = new BigUint64Array(words.length + 1);
		for (const [index, text] of this.texts.entries()) this.pointers[index] = addressOf(text);
	}

	get address(): bigint {
		return addressOf(this.pointers);
	}
}

/** What only the kernel points to must not be collected meanwhile. */
const held: { refs: unknown } = { refs: undefined };

/** `NAME=value` for each variable that has a value. */
function listEnvironment(env: Readonly<Record<string, string | undefined>>): Words {
	return new Words(Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`])));
}

/** The file that execvp(3) would execute. @throws CriuError NO_PROGRAM */
export function findProgram(name: string, env: Readonly<Record<string, string | undefined>>): string {
	const missing = (cause?: unknown) =>
		new CriuError("NO_PROGRAM", `there is no program ${name} that may be executed`, {
			cause,
			remedy: "check its name, its permissions (chmod +x) and PATH",
		});
	const check = (path: string) => {
		accessSync(path, constants.X_OK);
		if (!statSync(path).isFile()) throw missing();
		return path;
	};
	if (name.includes("/")) {
		try {
			return check(name);
		} catch (error) {
			throw error instanceof CriuError ? error : missing(error);
		}
	}
	for (const folder of (env["PATH"] ?? "/bin:/usr/bin").split(":")) {
		try {
			return check(`${folder === "" ? "." : folder}/${name}`);
		} catch {
			// The next one may have it.
		}
	}
	throw missing();
}

export interface LaunchRequest {
	/** Path of the program's file. */
	readonly path: string;
	readonly argv: readonly string[];
	readonly env: Readonly<Record<string, string | undefined>>;
	/** Our descriptors that it gets as 0, 1, 2, …; undefined leaves that one closed. It gets no others. */
	readonly fds: readonly (number | undefined)[];
	readonly newSession?: boolean;
}

/** Starts a program as our child; its pid. @throws KernelError */
export function launch(request: LaunchRequest): number {
	const { path, fds } = request;
	const argv = new Words(request.argv);
	const env = listEnvironment(request.env);
	const file = toCString(path);
	const copies: number[] = [];
	try {
		// Above all numbers of the child, so that none is overwritten before it's copied.
		for (const fd of fds)
			copies.push(fd === undefined ? -1 : mustSyscall(`of fd ${fd}`, nr.SYS_fcntl, fd, F_DUPFD_CLOEXEC, fds.length));
		const list = Int32Array.from(copies.length === 0 ? [-1] : copies);
		const block = CrLaunch.encode({
			path: addressOf(file),
			argv: argv.address,
			envp: env.address,
			fds: addressOf(list),
			nr_fds: fds.length,
			new_session: request.newSession === true ? 1 : 0,
		});
		held.refs = [argv, env, file, list];
		const pid = launchBlock(block);
		if (pid < 0) throw new KernelError("execve", -pid, `of ${path}`);
		return pid;
	} finally {
		held.refs = undefined;
		for (const fd of copies) if (fd >= 0) closeFd(fd);
	}
}

/**
 * Becomes another program, with our descriptors that aren't close-on-exec and our children. Returns only by throwing.
 *
 * @throws KernelError
 */
export function become(
	path: string,
	argv: readonly string[],
	env: Readonly<Record<string, string | undefined>>,
): never {
	const words = new Words(argv);
	const environment = listEnvironment(env);
	// The runtime ignores SIGPIPE, and what is ignored stays so; what a program finds blocked it may never unblock.
	const action = new BigUint64Array(4);
	syscall(nr.SYS_rt_sigaction, 13, action, 0, 8);
	syscall(nr.SYS_rt_sigprocmask, 2, new BigUint64Array(1), 0, 8);
	held.refs = [words, environment];
	const ret = syscall(nr.SYS_execve, toCString(path), words.address, environment.address);
	throw new KernelError("execve", -ret, `of ${path}`);
}
