// SPDX-License-Identifier: GPL-2.0-only
// One run of criu from its words to its exit code. The order of the checks decides which mistake is told first; it is
// CRIU's: options, command word, privileges, words after the command, directories, log, option consistency, command.

import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { HookError } from "../engine/control.ts";
import { BugError, type CriuError, UnsupportedError, UsageError } from "../errors.ts";
import { closeLog, isLogOnStderr, log, setLogFormat, setLogLevel } from "../log.ts";
import type { Options } from "../options.ts";
import {
	type CommandLine,
	type Environment,
	GetoptError,
	readCommandLine,
	refuseLaterOptions,
} from "./command-line.ts";
import { type CommandSpec, findCommand } from "./commands.ts";
import { BadChoiceError } from "./option-spec.ts";
import { explainMissingPrivileges, type Privileges, readPrivileges } from "./privileges.ts";
import { describeError, describeInOneLine, describeWhere, toCriuError } from "./report.ts";
import { isTerminal } from "./summary.ts";
import { COMPATIBLE_VERSION, PROGRAM_VERSION, versionText } from "./version.ts";
import { openWorkspace } from "./workspace.ts";

/** Everything a run takes from outside. */
export interface Surroundings {
	/** As typed by the user, for messages. */
	program: string;
	env: Environment;
	print(text: string): void;
	printError(text: string): void;
	readPrivileges?(): Privileges;
	/** Instead of the table's commands. */
	findCommand?(name: string): CommandSpec | undefined;
}

/** A mistake in how criu was called: the usage text follows. */
class CallError extends UsageError {}

/** Blockers that are shown to the user; a log file has all. */
const MOST_BLOCKERS = 50;
const REMOVED_EXIT_CODE = 255;
/** As CRIU's, whatever the script's own code was. */
const POST_DUMP_EXIT_CODE = 255;

/** Runs criu with the words after the program's name; the exit code. Never throws. */
export async function runCriu(args: readonly string[], around: Surroundings): Promise<number> {
	let started: CommandSpec | undefined;
	try {
		const line = readCommandLine(args, around.env);
		setLogLevel(line.options.logLevel);
		setLogFormat(line.options.logFormat);
		if (line.answer !== undefined) return await answer(line.answer, around);
		if (line.options.feature !== undefined) await checkFeatureName(line.options.feature);
		const command = pickCommand(line, around);
		if (command === undefined) return await printUsage(around);
		if (command.removed !== undefined) {
			around.printError(`error: ${command.removed}\n`);
			return REMOVED_EXIT_CODE;
		}
		const prepared = prepare(command, line, around);
		if (prepared === undefined) return 1;
		started = command;
		checkConsistency(command, line, prepared.options);
		const run = await prepared.load();
		const { program, print, printError } = around;
		const { words } = line;
		const { options } = prepared;
		options.showsProgress = "DPRS".includes(command.letter) && isTerminal(2);
		return await run({ options, words, line, program, isTerminal: isTerminal(1), print, printError });
	} catch (thrown) {
		const error = toCriuError(thrown);
		reportFailure(error, started, around);
		if (error instanceof GetoptError || error instanceof CallError || error instanceof BadChoiceError) {
			await printUsage(around);
		}
		return error instanceof HookError && error.hook === "post-dump" ? POST_DUMP_EXIT_CODE : 1;
	} finally {
		closeLog();
	}
}

async function checkFeatureName(name: string): Promise<void> {
	const { features } = await import("../engine/features.ts");
	if (features.some((feature) => feature.name === name)) return;
	throw new UsageError("UNKNOWN_FEATURE", `Unknown feature ${name}`, {
		remedy: "the names are at the end of criu --help",
	});
}

async function answer(what: "help" | "version", around: Surroundings): Promise<number> {
	around.print(what === "version" ? versionText() : (await import("./help.ts")).helpText());
	return 0;
}

async function printUsage(around: Surroundings): Promise<number> {
	around.print((await import("./help.ts")).usageText());
	return 1;
}

/** The command that was asked for; undefined without a command word. */
function pickCommand(line: CommandLine, around: Surroundings): CommandSpec | undefined {
	if (line.command === undefined) return undefined;
	const command = (around.findCommand ?? findCommand)(line.command);
	if (command === undefined) {
		throw new CallError("UNKNOWN_COMMAND", `unknown command: ${line.command}`, { remedy: "see the usage text" });
	}
	return command;
}

/** Checks the call and opens directories and log; undefined after telling that privileges are missing. */
function prepare(command: CommandSpec, line: CommandLine, around: Surroundings) {
	const missing = looksOnly(line)
		? undefined
		: explainMissingPrivileges((around.readPrivileges ?? readPrivileges)(), line.options.unprivileged, around.program);
	if (missing !== undefined) {
		around.print(missing);
		return undefined;
	}
	checkCall(command, line);
	if (command.load === undefined) {
		throw new UnsupportedError("COMMAND_NOT_IN_VERSION", `this version of criu has no ${command.name} command yet`, {
			remedy: "use a version that has it; see --help for the commands of this one",
		});
	}
	const options = command.usesDirectories ? openWorkspace(line.options, command.name) : line.options;
	log.info(`Version: ${COMPATIBLE_VERSION} (criu in TypeScript ${PROGRAM_VERSION})`);
	log.info(`Running on ${describeHost()}`);
	return { options, load: command.load };
}

/** Looking at what one may see anyway needs no privileges; where it does, the kernel says so. */
function looksOnly(line: CommandLine): boolean {
	const { dryRun, checkPid } = line.options;
	// Requests say for themselves what they need.
	const needless = ["help", "inspect", "swrk", "service-worker", "tls-relay"];
	return dryRun || needless.includes(line.command ?? "") || (line.command === "check" && checkPid !== undefined);
}

/** What is wrong with the call as a whole; each is followed by the usage text. */
function checkCall(command: CommandSpec, { options, words, command: typed }: CommandLine): void {
	if (options.execCmd !== undefined) {
		const remedy = "write: criu restore [options] --exec-cmd -- COMMAND [ARGUMENTS]";
		if (typed !== "restore") throw new CallError("EXEC_CMD", "--exec-cmd is for the restore command only", { remedy });
		if (options.restoreDetached) {
			throw new CallError("EXEC_CMD", "--exec-cmd cannot be used together with --restore-detached", { remedy });
		}
		if (options.execCmd.length === 0) throw new CallError("EXEC_CMD", "--exec-cmd requires a command", { remedy });
	} else if (words.length > command.maxWords) {
		throw new CallError("EXCESSIVE_WORDS", `excessive parameter(s) for command ${command.name}: ${words.join(" ")}`, {
			remedy: "options start with dashes; give one command per run",
		});
	}
	if (command.name === "cpuinfo" && words[0] !== "dump" && words[0] !== "check") {
		throw new CallError("CPUINFO_ACTION", "cpuinfo requires an action: dump or check", {
			remedy: "write: criu cpuinfo dump -D DIR, or criu cpuinfo check -D DIR",
		});
	}
	const action = command.name === "cpuinfo" ? `cpuinfo ${words[0]}` : command.name;
	if (options.stream && !["dump", "pre-dump", "restore", "cpuinfo dump"].includes(action)) {
		throw new CallError("STREAM", `--stream cannot be used with the ${action} command`, {
			remedy: "leave --stream out",
		});
	}
}

/** What doesn't go together, whatever the command; `options` are those with the directories opened. */
function checkConsistency(command: CommandSpec, { seen }: CommandLine, options: Options): void {
	const restoreOnly = (name: string) => {
		throw new UsageError("RESTORE_ONLY", `--${name} is restore-only option`, { remedy: `leave --${name} out` });
	};
	if (command.name !== "restore") {
		if (options.inheritFds.length > 0) restoreOnly("inherit-fd");
		if (options.mntnsCompatMode) restoreOnly("mntns-compat-mode");
		if (options.newPidns) restoreOnly("new-pidns");
		if (options.mapPages) restoreOnly("map-pages");
	}
	if (options.restoreSibling && !options.restoreDetached) {
		throw new UsageError("SIBLING_NEEDS_DETACHED", "--restore-sibling works only together with --restore-detached", {
			remedy: "add --restore-detached",
		});
	}
	if (options.emptyNetNs && options.joinNamespaces.some(({ kind }) => kind === "net")) {
		throw new UsageError("CONFLICTING_NAMESPACES", "Conflicting flags: --join-ns net and --empty-ns net", {
			remedy: "leave one of them out",
		});
	}
	const { prevImagesDir: previous } = options;
	if (previous !== undefined && !existsSync(resolve(options.imagesDir, previous))) {
		throw new UsageError("PREV_IMAGES_DIR", `Invalid parent image directory provided: ${previous} is not there`, {
			remedy: `name with --prev-images-dir the images of the dump before, relative to ${options.imagesDir}`,
		});
	}
	refuseLaterOptions({ seen, options }, command.letter);
}

function describeHost(): string {
	const read = (name: string) => readFileSync(`/proc/sys/kernel/${name}`, "utf8").trim();
	const machine = process.arch === "x64" ? "x86_64" : process.arch;
	try {
		return `${read("hostname")} ${read("ostype")} ${read("osrelease")} ${read("version")} ${machine}`;
	} catch {
		return "an unknown host (no /proc/sys/kernel)";
	}
}

/** To stderr what the user needs; to the log, when that's elsewhere, the error in CRIU's form; then the last line. */
function reportFailure(error: CriuError, started: CommandSpec | undefined, around: Surroundings): void {
	const [, ...details] = describeError(error);
	if (error instanceof GetoptError) around.printError(`${around.program}: ${error.message}\n`);
	else around.printError(`${describeError(error, MOST_BLOCKERS).join("\n")}\n`);
	if (!isLogOnStderr()) {
		const where = describeWhere(error);
		if (where !== "") log.info(`The failure was here: ${where}`);
		for (const line of details) log.error(line, error);
		if (error instanceof BugError) logStack(error);
		log.error(describeInOneLine(error), error);
	} else if (error instanceof BugError) logStack(error);
	if (started?.failure !== undefined) log.error(started.failure);
}

function logStack(error: BugError): void {
	const origin = error.cause instanceof Error ? error.cause : error;
	for (const line of (origin.stack ?? origin.message).split("\n")) log.error(line, origin);
}
