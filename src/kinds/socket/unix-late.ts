// SPDX-License-Identifier: GPL-2.0-only
// What the last task of a restore does for unix sockets, whoever has them: queues that bring files, connections between
// sockets of different tasks, connections that wait to be accepted. All of it is over before any task goes on to the next stage.

import { hasField } from "../../images/index.ts";
import { TCP_LISTEN } from "../../kernel/abi/inet.ts";
import { AF_UNSPEC, SO_BUF_LOCK, SO_SNDBUFFORCE, SOCK_DGRAM, SOL_SOCKET } from "../../kernel/abi/socket.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { corruptImage } from "../file/image-checks.ts";
import { keptFilesOf, planShare } from "../file/kept-files.ts";
import type { FdArg, FileRef, LastFiles } from "../kind.ts";
import { planIntOption } from "./sk-opts.ts";
import { type QueueMessage, readSocketQueues } from "./sk-queue.ts";
import { planAddressOf, planBindHidden, unixAddress } from "./unix-bind.ts";
import { planMessage, planRoom } from "./unix-fill.ts";
import { nameModel, type UnixModel, type UnixModels, unixModelsOf } from "./unix-model.ts";
import { pathOfName } from "./unix-name.ts";
import { planReset, planShutdown, planSocket, planState, type Workshop, workshopOf } from "./unix-plan.ts";

const UNSPECIFIED = new Uint8Array([AF_UNSPEC, 0]);
const CONNECT_REMEDIES = {
	ECONNREFUSED: "start the program again that had the other end",
	ENOENT: "start the program again that had the other end",
	EACCES: "check the permissions of the other end's file",
	EPERM: "the other end is connected to somebody else now",
} as const;

/** The last task's view of sockets, by numbers of its own. */
class Late {
	private readonly numbers = new Map<number, number>();
	private readonly taken: number[] = [];

	constructor(
		readonly last: LastFiles,
		readonly models: UnixModels,
		readonly shop: Workshop,
	) {}

	/** The number of a file here; it's taken from another task where needed. */
	numberOf(id: number): number {
		const known = this.numbers.get(id);
		if (known !== undefined) return known;
		const number = this.bring(this.refOf(id));
		this.numbers.set(id, number);
		return number;
	}

	private refOf(id: number): FileRef {
		const model = this.models.byId.get(id);
		const ref = this.last.find(id) ?? (model === undefined ? undefined : this.shop.waiting.get(model));
		if (ref === undefined) throw corruptImage("files.img", `nobody has file ${id}, which is needed for a unix socket`);
		return ref;
	}

	private bring(ref: FileRef): number {
		const { plan, program } = this.last;
		if (ref.plan === plan) return ref.number;
		const number = keptFilesOf(plan).keep(program, planShare(program, ref, plan));
		this.taken.push(number);
		return number;
	}

	helperOf(model: UnixModel): number {
		const helper = this.shop.helpers.get(model);
		if (helper === undefined) throw corruptImage("files.img", `${nameModel(model)} has a queue, but nobody to fill it`);
		return this.bring(helper);
	}

	/** Lets go of what other tasks have. */
	release(): void {
		const { plan, program } = this.last;
		for (const number of this.taken) keptFilesOf(plan).release(program, number);
	}

	/** Fills a queue through a socket that's connected to it, or is the one that receives. */
	fillThrough(sender: number, model: UnixModel, from: UnixModel | undefined): void {
		const { program } = this.last;
		planRoom(program, sender, model.queue);
		for (const message of model.queue) planMessage(this.last, sender, model, message, this.filesOf(message));
		if (from === undefined) return;
		planIntOption(program, sender, SOL_SOCKET, SO_SNDBUFFORCE, from.opts.soSndbuf >>> 1, "SO_SNDBUF");
		if (hasField(from.opts, "soBufLock"))
			planIntOption(program, sender, SOL_SOCKET, SO_BUF_LOCK, from.opts.soBufLock, "SO_BUF_LOCK");
	}

	/** Fills the queue of a socket that isn't connected, each message from whom it came. */
	fillByName(model: UnixModel): void {
		const { program, plan } = this.last;
		const { address, release } = planAddressOf(program, this.numberOf(model.id), model, plan);
		for (const message of model.queue) {
			const files = this.filesOf(message);
			const known = message.name === undefined ? undefined : this.models.findByName(message.name);
			if (known !== undefined && known !== model) {
				const sender = this.numberOf(known.id);
				planRoom(program, sender, [message]);
				planMessage(this.last, sender, model, message, files, address);
				planIntOption(program, sender, SOL_SOCKET, SO_SNDBUFFORCE, known.opts.soSndbuf >>> 1, "SO_SNDBUF");
				if (hasField(known.opts, "soBufLock"))
					planIntOption(program, sender, SOL_SOCKET, SO_BUF_LOCK, known.opts.soBufLock, "SO_BUF_LOCK");
				continue;
			}
			const sender = planSocket(program, SOCK_DGRAM, "a socket that sends");
			planRoom(program, sender, [message]);
			this.nameSender(sender, model, message);
			planMessage(this.last, sender, model, message, files, address);
			program.syscall("close it", nr.SYS_close, [sender]);
		}
		release();
	}

	/** The name of a sender that is gone. */
	private nameSender(sender: FdArg, model: UnixModel, { name }: QueueMessage): void {
		if (name === undefined) return;
		const path = pathOfName(name);
		if (path !== undefined) {
			const entry = { ...model.entry, name, filePerms: undefined };
			planBindHidden(this.last, sender, { ...model, entry, path } as UnixModel, path);
			return;
		}
		const address = unixAddress(name);
		this.last.program.syscall("give the sender its name", nr.SYS_bind, [sender, address, address.length], {
			// Somebody else has it by now.
			check: { okOr: "EADDRINUSE" },
		});
	}

	private filesOf({ rights }: QueueMessage): number[] {
		return rights.map((id) => this.numberOf(id));
	}

	fill(model: UnixModel): void {
		const { program } = this.last;
		const { making, peer } = model;
		if (making === "orphan") {
			const helper = this.helperOf(model);
			this.fillThrough(helper, model, undefined);
			planReset(program, this.numberOf(model.id), model);
			program.syscall("close the other end", nr.SYS_close, [helper]);
			this.forget(helper);
		} else if (making === "pair" && peer !== undefined) this.fillThrough(this.numberOf(peer.id), model, peer);
		else if (peer === model) {
			this.connect(model, model);
			this.fillThrough(this.numberOf(model.id), model, model);
		} else this.fillByName(model);
	}

	/** A number that is closed already. */
	private forget(number: number): void {
		keptFilesOf(this.last.plan).give(number);
	}

	connect(model: UnixModel, peer: UnixModel): void {
		const { program, plan } = this.last;
		const number = this.numberOf(model.id);
		const outside = peer.making === "outside";
		const found = outside ? undefined : planAddressOf(program, this.numberOf(peer.id), peer, plan);
		const address = found?.address ?? unixAddress(peer.entry.name);
		program.syscall(
			`connect ${nameModel(model)} to ${nameModel(peer)}`,
			nr.SYS_connect,
			[number, address, address.length],
			{
				remedies: CONNECT_REMEDIES,
			},
		);
		found?.release();
	}
}

/** Files that come with messages and that no task has: they're made here. */
function makeMissing(last: LastFiles): void {
	for (const queue of readSocketQueues(last.context).values())
		for (const { rights } of queue) for (const id of rights) if (last.find(id) === undefined) last.make(id);
}

/** Those that wait for a listening socket, in their order. */
function inOrder(listener: UnixModel, waiting: readonly UnixModel[]): UnixModel[] {
	const place = new Map(listener.entry.pending.map((ino, i) => [ino, i]));
	return [...waiting].sort((a, b) => (place.get(a.entry.ino) ?? 0) - (place.get(b.entry.ino) ?? 0));
}

function isWaiting({ peer }: UnixModel): boolean {
	return peer?.entry.state === TCP_LISTEN && peer.making !== "outside";
}

/** Connections that wait to be accepted; a listening socket takes them all, whatever its backlog is now. */
function planWaiting(late: Late, models: readonly UnixModel[]): void {
	const { program } = late.last;
	const byListener = new Map<UnixModel, UnixModel[]>();
	for (const model of models) {
		const { peer } = model;
		if (peer !== undefined) byListener.set(peer, [...(byListener.get(peer) ?? []), model]);
	}
	for (const [listener, waiting] of byListener) {
		const number = late.numberOf(listener.id);
		const { backlog } = listener.entry;
		const small = backlog < waiting.length;
		if (small) program.syscall("let more connections wait", nr.SYS_listen, [number, waiting.length]);
		for (const model of inOrder(listener, waiting)) late.connect(model, listener);
		if (small) program.syscall(`let ${nameModel(listener)} listen as before`, nr.SYS_listen, [number, backlog]);
	}
}

/** Adds what has to wait until all tasks have made their sockets. @throws ImageError */
export function planLastUnix(last: LastFiles): void {
	const { context, program } = last;
	let any = false;
	for (const { usk } of context.files.values()) any ||= usk !== undefined;
	if (!any) return;
	makeMissing(last);
	const shop = workshopOf(context);
	const { intricate, connecting, leaving } = shop;
	if (intricate.length + connecting.length + leaving.length === 0) return;
	const late = new Late(last, unixModelsOf(context), shop);
	const itself = new Set(intricate.filter((model) => model.peer === model));
	for (const model of intricate) late.fill(model);
	for (const model of leaving)
		program.syscall(`disconnect ${nameModel(model)}`, nr.SYS_connect, [late.numberOf(model.id), UNSPECIFIED, 2]);
	for (const model of connecting)
		if (model.peer !== undefined && !isWaiting(model) && !itself.has(model)) late.connect(model, model.peer);
	for (const model of intricate) planState(program, late.numberOf(model.id), model, -1);
	for (const model of intricate) planShutdown(program, late.numberOf(model.id), model);
	planWaiting(late, connecting.filter(isWaiting));
	late.release();
}
