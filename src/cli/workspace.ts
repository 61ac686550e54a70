// SPDX-License-Identifier: GPL-2.0-only
// The directories and the log of one run.

import { accessSync, constants, realpathSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { UsageError } from "../errors.ts";
import { openLog } from "../log.ts";
import type { Options } from "../options.ts";
import { takeImagePipe } from "./image-pipe.ts";

let startedIn: string | undefined;

/** Where we were started, once a workspace has been opened. */
export function startDirectory(): string {
	return startedIn ?? process.cwd();
}

/**
 * Finds the images directory, makes the work directory the current one and opens the log in it. Gives the options with
 * absolute directories. Throws UsageError IMAGES_DIR, WORK_DIR or LOG_FILE.
 */
export function openWorkspace(options: Options, command: string): Options {
	if (options.imagesDir === PIPE) return openPipe(options, command);
	const imagesDir = findDirectory(options.imagesDir, "image dir", "IMAGES_DIR", "-D");
	const workDir = findDirectory(options.workDir ?? imagesDir, "work dir", "WORK_DIR", "-W");
	startedIn = process.cwd();
	try {
		process.chdir(workDir);
	} catch (error) {
		throw new UsageError("WORK_DIR", `Can't change directory to work dir ${workDir}`, {
			cause: error,
			remedy: "check the directory's permissions, or name another one with -W",
		});
	}
	try {
		openLog(options.logFile);
	} catch (error) {
		throw new UsageError("LOG_FILE", `Can't create log file ${resolve(workDir, options.logFile ?? "")}`, {
			cause: error,
			remedy: "name a file that can be written with -o; relative names lie in the work directory",
		});
	}
	return { ...options, imagesDir, workDir };
}

/** The stream that takes the place of an images directory. */
const PIPE = "-";

/** As openWorkspace, for images that go through our standard output or input, which nothing else can use from here on. */
function openPipe(options: Options, command: string): Options {
	if (command !== "dump" && command !== "restore")
		throw new UsageError("PIPE_COMMAND", `-D - is for dump and restore: ${command} needs images in a directory`, {
			remedy: "name a directory with -D",
		});
	const imagePipe = takeImagePipe(command === "dump" ? "output" : "input");
	const opened = openWorkspace({ ...options, imagesDir: "." }, command);
	return { ...opened, imagePipe, workDir: options.workDir === undefined ? undefined : opened.workDir };
}

/** The real path of an existing directory that we may enter. */
function findDirectory(path: string, what: string, code: string, option: string): string {
	const remedy = `create the directory, or name another one with ${option}`;
	try {
		const real = realpathSync(path);
		if (!statSync(real).isDirectory()) {
			throw new UsageError(code, `Couldn't open ${what} ${path}: it is not a directory`, { remedy });
		}
		accessSync(real, constants.X_OK);
		return real;
	} catch (error) {
		if (error instanceof UsageError) throw error;
		throw new UsageError(code, `Couldn't open ${what} ${path}`, { cause: error, remedy });
	}
}
