// SPDX-License-Identifier: GPL-2.0-only
// The directories and the log of one request. The client names them by descriptors of its own or by paths; they're held open,
// and what is written goes through the descriptor.

import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, statSync } from "node:fs";
import type { CommandLine } from "../cli/command-line.ts";
import { requestText } from "../cli/request-values.ts";
import { UsageError } from "../errors.ts";
import type { criu_opts } from "../images/gen/rpc_pb.ts";
import { O_CLOEXEC } from "../kernel/abi/fcntl.ts";
import { closeLog, openLog } from "../log.ts";
import type { Options } from "../options.ts";
import type { PeerCredentials } from "../sys/packet-socket.ts";

const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;
const DEFAULT_LOG = "criu.log";
const FLAGS = constants.O_RDONLY | constants.O_DIRECTORY | O_CLOEXEC;

/** Who asks, and how far the directory that he names is believed to be his. */
export interface Client {
	readonly credentials: PeerCredentials;
	/** A client of the service, whose rights aren't the service's. */
	readonly isStranger: boolean;
}

/** Directories that are open for a request. */
export interface Workplace {
	readonly options: Options;
	close(): void;
}

function badDirectory(what: string, cause: unknown): UsageError {
	return new UsageError("IMAGES_DIR", `${what} can't be opened as a directory`, {
		cause,
		remedy: "open the directory and send its descriptor, or send its path",
	});
}

/** Opens what a client has open. @throws UsageError IMAGES_DIR */
function openOfClient(number: number, field: string, { pid }: PeerCredentials): number {
	if (pid <= 0)
		throw new UsageError("CLIENT_HIDDEN", `${field}: the client isn't in the pid namespace of criu`, {
			remedy: "run criu and its client in the same pid namespace, or send a path (images_dir)",
		});
	try {
		return openSync(`/proc/${pid}/fd/${number}`, FLAGS);
	} catch (error) {
		throw badDirectory(`${field}: descriptor ${number} of the client (pid ${pid})`, error);
	}
}

function openPathOfClient(path: string, field: string, { isStranger }: Client): number {
	try {
		if (isStranger && lstatSync(path).isSymbolicLink())
			throw new UsageError("IMAGES_DIR", `${field}: ${path} is a symbolic link`, {
				remedy: "name the directory itself",
			});
		return openSync(path, isStranger ? FLAGS | constants.O_NOFOLLOW : FLAGS);
	} catch (error) {
		if (error instanceof UsageError) throw error;
		throw badDirectory(`${field}: ${path}`, error);
	}
}

/** A client of the service may name a directory only that nobody else can change. @throws UsageError IMAGES_DIR */
function checkOwner(fd: number, field: string, { credentials, isStranger }: Client): void {
	if (!isStranger) return;
	const { mode, uid } = fstatSync(fd);
	const refuse = (why: string, remedy: string) => {
		throw new UsageError("IMAGES_DIR", `${field}: the directory ${readlinkSync(`/proc/self/fd/${fd}`)} ${why}`, {
			remedy,
		});
	};
	if (credentials.uid !== 0 && uid !== credentials.uid)
		refuse(`belongs to user ${uid}, not to the client, user ${credentials.uid}`, "use a directory of your own");
	if ((mode & OTHERS_WRITE) !== 0 && (mode & STICKY) === 0)
		refuse("can be written to by others, who could change the images", "take that right away: chmod go-w");
}

/** The path of a directory that we hold open; its name where that leads to it. */
function pathOf(fd: number): string {
	const held = `/proc/self/fd/${fd}`;
	try {
		const name = readlinkSync(held);
		const [there, here] = [statSync(name), fstatSync(fd)];
		if (there.dev === here.dev && there.ino === here.ino) return name;
	} catch {
		// Removed, or named in another mount namespace.
	}
	return held;
}

function readLogName(opts: criu_opts, options: Options): string | undefined {
	if (opts.logFile.length === 0) return opts.logToStderr ? undefined : (options.logFile ?? DEFAULT_LOG);
	const name = requestText(opts.logFile);
	if (!name.includes("/")) return name;
	throw new UsageError("LOG_FILE", `log_file: ${name} is a path, where a name in the work directory is to be`, {
		remedy: "send the name alone, and the directory as work_dir_fd",
	});
}

function startLog(name: string | undefined, { isStranger }: Client): void {
	closeLog();
	try {
		if (isStranger && name !== undefined && lstatSync(name, { throwIfNoEntry: false })?.isFile() === false)
			throw new UsageError("LOG_FILE", `log_file: ${name} is there and is no file`, { remedy: "remove it" });
		openLog(name);
	} catch (error) {
		if (error instanceof UsageError) throw error;
		throw new UsageError("LOG_FILE", `the log file ${name} can't be made in the work directory`, {
			cause: error,
			remedy: "send a work directory that criu may write to",
		});
	}
}

/** Which directory the file of options has named, when that changed it: its word is the last. */
function changed(before: Options, after: Options, key: "imagesDir" | "workDir" | "logFile"): string | undefined {
	return before[key] === after[key] ? undefined : after[key];
}

/**
 * Opens directories and log of a request, and makes the work directory the current one. `before`: the options without the
 * request's file of options.
 *
 * @throws UsageError IMAGES_DIR, CLIENT_HIDDEN, LOG_FILE
 */
export function openWorkplace(line: CommandLine, before: Options, opts: criu_opts, client: Client): Workplace {
	const { options } = line;
	const held: number[] = [];
	const close = () => {
		for (const fd of held.splice(0)) closeSync(fd);
	};
	const hold = (fd: number, field: string) => {
		held.push(fd);
		checkOwner(fd, field, client);
		return fd;
	};
	const { credentials } = client;
	if (options.stream)
		throw new UsageError("STREAM_REQUEST", "--stream doesn't work for requests: their images are in a directory", {
			remedy: "leave stream out of the configuration file, or run criu itself",
		});
	try {
		const named = changed(before, options, "imagesDir");
		let images: number | undefined;
		if (named !== undefined) images = hold(openPathOfClient(named, "images-dir", client), "images-dir");
		else if (opts.imagesDirFd !== -1)
			images = hold(openOfClient(opts.imagesDirFd, "images_dir_fd", credentials), "images_dir_fd");
		else if (opts.imagesDir.length > 0)
			images = hold(openPathOfClient(requestText(opts.imagesDir), "images_dir", client), "images_dir");
		const workName = changed(before, options, "workDir");
		let work: number | undefined;
		if (workName !== undefined) work = hold(openPathOfClient(workName, "work-dir", client), "work-dir");
		else if (Object.hasOwn(opts, "workDirFd"))
			work = hold(openOfClient(opts.workDirFd, "work_dir_fd", credentials), "work_dir_fd");
		else if (options.workDir !== undefined)
			work = hold(openPathOfClient(options.workDir, "work-dir", client), "work-dir");
		// A check has a log only.
		if (images === undefined && line.command === "check") images = work;
		if (images === undefined)
			throw new UsageError("IMAGES_DIR", "the request has neither images_dir_fd nor images_dir", {
				remedy: "open the directory for the images and send its descriptor",
			});
		work ??= images;
		process.chdir(`/proc/self/fd/${work}`);
		startLog(changed(before, options, "logFile") ?? readLogName(opts, options), client);
		return { options: { ...options, imagesDir: pathOf(images), workDir: pathOf(work) }, close };
	} catch (error) {
		close();
		throw error;
	}
}
