// SPDX-License-Identifier: GPL-2.0-only
// The work of each type of request. What goes wrong is thrown; the worker tells it.

import type { CommandLine } from "../cli/command-line.ts";
import { refuseLaterOptions } from "../cli/command-line.ts";
import { explainMissingPrivileges, readPrivileges } from "../cli/privileges.ts";
import { describeDumpStats, describeRestoreStats } from "../cli/report.ts";
import { requestText } from "../cli/request-values.ts";
import { COMPATIBLE_VERSION, PROGRAM_VERSION } from "../cli/version.ts";
import { BugError, CriuError, isErrno, UsageError } from "../errors.ts";
import { type criu_opts, criu_req_type } from "../images/gen/rpc_pb.ts";
import { log, logDescriptor, setLogLevel } from "../log.ts";
import type { Options } from "../options.ts";
import { closeFd, statFd } from "../sys/file.ts";
import { become, findProgram } from "../sys/launch.ts";
import { __WALL, P_PID, WEXITED, waitId } from "../sys/process.ts";
import { duplicateTo } from "../sys/standard-streams.ts";
import { checkPidfdStore, openStatusFd } from "./client-files.ts";
import { openWorkplace, type Workplace } from "./directories.ts";
import type { Done, Job } from "./job.ts";
import { clientControl } from "./notify.ts";
import { applyRequest, refuseSwrkOptions } from "./request-options.ts";
import { answerType, success } from "./responses.ts";

const LETTERS = new Map<criu_req_type, string>([
	[criu_req_type.DUMP, "D"],
	[criu_req_type.PRE_DUMP, "P"],
	[criu_req_type.SINGLE_PRE_DUMP, "P"],
	[criu_req_type.RESTORE, "R"],
	[criu_req_type.PAGE_SERVER, "S"],
	[criu_req_type.PAGE_SERVER_CHLD, "S"],
	[criu_req_type.CPUINFO_DUMP, "U"],
	[criu_req_type.CPUINFO_CHECK, "U"],
]);

function optsOf({ request }: Job): criu_opts {
	if (request.opts !== undefined) return request.opts;
	throw new UsageError("NO_OPTIONS", `a request ${criu_req_type[request.type]} without options`, {
		remedy: "send opts, with images_dir_fd at least",
	});
}

interface Place extends Workplace {
	/** Tells the client that its server accepts connections, in the way that it had before notifications. */
	tellReady(): void;
}

/** Makes the options of a request, opens its directories and its log. @throws UsageError, UnsupportedError */
function setUp(job: Job): Place {
	const opts = optsOf(job);
	const { request, place, isStranger, client } = job;
	const word = criu_req_type[request.type].toLowerCase();
	const line: CommandLine = {
		...job.line,
		command: word,
		options: structuredClone(job.line.options),
		seen: [...job.line.seen],
	};
	if (place === "service") refuseSwrkOptions(opts);
	const before = structuredClone(line.options);
	applyRequest(line, opts);
	setLogLevel(line.options.logLevel);
	const workplace = openWorkplace(line, before, opts, { credentials: client, isStranger });
	try {
		log.info(`Version: ${COMPATIBLE_VERSION} (criu in TypeScript ${PROGRAM_VERSION})`);
		log.info(`Request ${word} of pid ${client.pid}, user ${client.uid}`);
		const missing = explainMissingPrivileges(readPrivileges(), line.options.unprivileged || isStranger, job.program);
		if (missing !== undefined)
			throw new UsageError("PRIVILEGES", missing.trim().replaceAll("\n", " "), { remedy: "set unprivileged" });
		if (line.options.mntnsCompatMode && request.type !== criu_req_type.RESTORE)
			throw new UsageError("RESTORE_ONLY", "mntns_compat_mode is for restores only", { remedy: "leave it out" });
		refuseLaterOptions({ ...line, options: workplace.options }, LETTERS.get(request.type) ?? "");
		checkPidfdStore(opts, client);
		const status = openStatusFd(opts, client);
		const close = () => {
			status?.close();
			workplace.close();
		};
		return { ...workplace, close, tellReady: () => status?.tell() };
	} catch (error) {
		workplace.close();
		throw error;
	}
}

function controlOf({ socket }: Job, opts: criu_opts, { actionScripts }: Options) {
	return clientControl({ socket, notify: opts.notifyScripts, actionScripts });
}

/** The options with the address of the page server's host, where it's given by name. */
async function findServer(options: Options): Promise<Options> {
	if (!options.pageServer) return options;
	return await (await import("../engine/page-server.ts")).resolveServer(options);
}

async function carryOutPageServer(job: Job, { options, tellReady }: Place): Promise<Done> {
	const { startPageServer } = await import("./page-server.ts");
	const { type } = job.request;
	const { pid, port, stop } = startPageServer(type, options);
	try {
		controlOf(job, optsOf(job), options).runHook("status-ready", {});
		tellReady();
	} catch (error) {
		stop();
		throw error;
	}
	return {
		response: success(answerType(type), { ps: { pid, ...(port === undefined ? {} : { port }) } }),
		exitCode: 0,
	};
}

/** As the kernel tells it of unix sockets. */
function inodeOf(socket: number): number {
	return Number(BigInt.asUintN(32, statFd(socket).ino));
}

async function carryOutDump(job: Job, { options }: Workplace): Promise<Done> {
	const opts = optsOf(job);
	const isSelf = !Object.hasOwn(opts, "pid");
	const pid = isSelf ? job.client.pid : opts.pid;
	if (pid <= 0)
		throw new UsageError("NO_SUCH_PID", `pid ${pid} doesn't exist`, { remedy: "send the pid of a process" });
	const { dump } = await import("../engine/dump.ts");
	const onlyUser = job.isRestricted ? { uid: job.client.uid, gid: job.client.gid } : undefined;
	const found = await findServer(options);
	const result = dump(
		{ ...found, pid, onlyUser, clientSocket: inodeOf(job.socket), orphanPtsMaster: opts.orphanPtsMaster },
		controlOf(job, opts, options),
	);
	log.info("Dumping finished successfully");
	if (options.displayStats && result.stats !== undefined) job.print(`${describeDumpStats(result.stats).join("\n")}\n`);
	// A client that was killed reads nothing.
	const isGone = isSelf && !options.leaveRunning && !options.leaveStopped;
	return { response: isGone ? undefined : success(criu_req_type.DUMP, { dump: { restored: false } }), exitCode: 0 };
}

/** One of several, after which the client asks for the next one or for the dump. No hooks: nothing of the tree changes. */
async function carryOutPreDump(job: Job, { options }: Workplace): Promise<Done> {
	const opts = optsOf(job);
	const { preDump } = await import("../engine/pre-dump.ts");
	const pid = Object.hasOwn(opts, "pid") ? opts.pid : job.client.pid;
	const control = clientControl({ socket: job.socket, notify: false, actionScripts: [] });
	const { stats } = preDump({ ...(await findServer(options)), pid }, control);
	log.info("Pre-dumping finished successfully");
	if (options.displayStats && stats !== undefined) job.print(`${describeDumpStats(stats).join("\n")}\n`);
	return { response: success(job.request.type), exitCode: 0 };
}

/** Becomes the program that a restore was asked to end in; what it prints goes to the log. */
function becomeProgram(words: readonly string[], program: string, socket: number): () => never {
	return () => {
		const output = logDescriptor();
		for (const stream of [1, 2]) duplicateTo(output, stream);
		closeFd(socket);
		return become(program, words, process.env);
	};
}

async function carryOutRestore(job: Job, { options }: Workplace): Promise<Done> {
	const opts = optsOf(job);
	const words = opts.execCmd.map((word) => requestText(word));
	const program = words[0] === undefined ? undefined : findProgram(words[0], process.env);
	const { restore } = await import("../engine/restore.ts");
	// Who isn't notified can't take a master.
	const orphanPtsMaster = opts.orphanPtsMaster && opts.notifyScripts;
	const result = restore({ ...options, restoreDetached: true, orphanPtsMaster }, controlOf(job, opts, options));
	log.info("Restore finished successfully. Tasks resumed.");
	if (options.displayStats && result.stats !== undefined)
		job.print(`${describeRestoreStats(result.stats).join("\n")}\n`);
	return {
		response: success(criu_req_type.RESTORE, { restore: { pid: result.outsidePid ?? result.pid } }),
		exitCode: 0,
		...(program === undefined ? {} : { afterwards: becomeProgram(words, program, job.socket) }),
	};
}

async function carryOutCheck(job: Job): Promise<Done> {
	const { checkHost } = await import("../engine/check.ts");
	const { problems, ok } = checkHost(undefined, { extra: false, experimental: false });
	const [problem] = problems;
	if (problem !== undefined) throw problem;
	if (!ok) throw new BugError("a check that fails for no reason");
	job.print("Looks good.\n");
	return { response: success(criu_req_type.CHECK), exitCode: 0 };
}

async function carryOutFeatureCheck({ request }: Job): Promise<Done> {
	if (request.features === undefined)
		throw new UsageError("NO_FEATURES", "a request FEATURE_CHECK without features", {
			remedy: "send the features that you want to know of, set to true",
		});
	const { checkHost } = await import("../engine/check.ts");
	const has = (name: string) => checkHost(name, { extra: false, experimental: false }).ok;
	const { memTrack, lazyPages, pidfdStore } = request.features;
	return {
		response: success(criu_req_type.FEATURE_CHECK, {
			// What the kernel could do, but this version can't use, would mislead who asks.
			features: {
				memTrack: memTrack && has("mem_dirty_track"),
				lazyPages: lazyPages && has("uffd-noncoop"),
				pidfdStore: pidfdStore && has("pidfd_store"),
			},
		}),
		exitCode: 0,
	};
}

function carryOutWait({ request }: Job): Done {
	const { pid } = request;
	const noChild = (cause?: unknown) =>
		new CriuError("NO_CHILD", `pid ${pid} is no child of this worker`, {
			cause,
			remedy: "send the pid that this connection's PAGE_SERVER_CHLD gave",
		});
	if (pid < 1 || pid > 0x7fff_ffff) throw noChild();
	try {
		const report = waitId(P_PID, pid, WEXITED | __WALL);
		if (report === undefined) throw noChild();
		const status = report.kind === "exited" ? report.status << 8 : report.status;
		return { response: success(criu_req_type.WAIT_PID, { status }), exitCode: 0 };
	} catch (error) {
		throw isErrno(error, "ECHILD") ? noChild(error) : error;
	}
}

async function carryOutCpuinfo(job: Job, { options }: Workplace): Promise<Done> {
	const { type } = job.request;
	const { runCpuinfo } = await import("../cli/cpuinfo.ts");
	runCpuinfo({ ...job, options, words: [type === criu_req_type.CPUINFO_DUMP ? "dump" : "check"] });
	return { response: success(type), exitCode: 0 };
}

/** In its directories and with its log. */
async function inWorkplace(job: Job, work: (job: Job, place: Place) => Promise<Done> | Done): Promise<Done> {
	const workplace = setUp(job);
	try {
		return await work(job, workplace);
	} finally {
		workplace.close();
	}
}

/** Does what a request asks for. @throws CriuError */
export async function carryOut(job: Job): Promise<Done> {
	const { type, opts } = job.request;
	switch (type) {
		case criu_req_type.DUMP:
			return await inWorkplace(job, carryOutDump);
		case criu_req_type.PRE_DUMP:
		case criu_req_type.SINGLE_PRE_DUMP:
			return await inWorkplace(job, carryOutPreDump);
		case criu_req_type.RESTORE:
			return await inWorkplace(job, carryOutRestore);
		case criu_req_type.PAGE_SERVER:
		case criu_req_type.PAGE_SERVER_CHLD:
			return await inWorkplace(job, carryOutPageServer);
		case criu_req_type.CHECK:
			// Without a log there's nothing to be opened.
			return opts === undefined || opts.logFile.length === 0 || opts.logToStderr
				? await carryOutCheck(job)
				: await inWorkplace(job, carryOutCheck);
		case criu_req_type.FEATURE_CHECK:
			return await carryOutFeatureCheck(job);
		case criu_req_type.WAIT_PID:
			return carryOutWait(job);
		case criu_req_type.CPUINFO_DUMP:
		case criu_req_type.CPUINFO_CHECK:
			return await inWorkplace(job, carryOutCpuinfo);
		default:
			throw new BugError(`request type ${type} was let through`);
	}
}
