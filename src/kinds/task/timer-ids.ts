// SPDX-License-Identifier: GPL-2.0-only
// POSIX timers with the ids that a program knows them by: asked for where the kernel lets us, otherwise by making and
// deleting timers until the kernel's counter has come to the wanted one.
// Source: PR_TIMER_CREATE_RESTORE_IDS (Linux 6.15), kernel/time/posix-timers.c:posix_timer_add.

import type { Program } from "../../agent/program.ts";
import { UnsupportedError } from "../../errors.ts";
import type { posix_timer_entry } from "../../images/gen/core_pb.ts";
import { hasField } from "../../images/index.ts";
import {
	PR_TIMER_CREATE_RESTORE_IDS,
	PR_TIMER_CREATE_RESTORE_IDS_GET,
	PR_TIMER_CREATE_RESTORE_IDS_OFF,
	PR_TIMER_CREATE_RESTORE_IDS_ON,
} from "../../kernel/abi/prctl.ts";
import { Sigevent } from "../../kernel/abi/sigaction.x86_64.ts";
import { SIGEV_NONE, SIGEV_THREAD_ID } from "../../kernel/abi/signal.ts";
import { SYS_prctl, SYS_timer_create, SYS_timer_delete } from "../../kernel/abi/syscalls.x86_64.ts";
import { CLOCK_MONOTONIC } from "../../kernel/abi/time.ts";
import { syscall } from "../../sys/host.ts";
import type { RestoreContext, TaskImage } from "../kind.ts";

/** Counting up costs two calls for each id. */
const MAX_COUNTED_ID = 50_000;

const canAskForIds = () =>
	syscall(SYS_prctl, PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_GET, 0, 0, 0) >= 0;

const REMEDIES = {
	EAGAIN: "too many timers and waiting signals: raise the limit of pending signals (ulimit -i) for criu",
	EINVAL: "this kernel lacks the timer's clock; restore on the kernel of the dump or a newer one",
	EBUSY: "the timer's id is taken; this is a bug in criu",
};

function addTimer(program: Program, image: TaskImage, timer: posix_timer_entry, idWord: Uint8Array): void {
	const thread = hasField(timer, "notifyThreadId") ? timer.notifyThreadId : image.pstree.pid;
	const event = Sigevent.encode({
		sigev_value: timer.sivalPtr,
		sigev_signo: timer.siSigno,
		sigev_notify: timer.itSigevNotify,
		...(timer.itSigevNotify === SIGEV_THREAD_ID ? { sigev_notify_thread_id: thread } : {}),
	});
	program.syscall(`make timer ${timer.itId}`, SYS_timer_create, [timer.clockId | 0, event, idWord], {
		remedies: REMEDIES,
	});
}

function countUp(program: Program, image: TaskImage, timers: readonly posix_timer_entry[]): void {
	let next = 0;
	const none = Sigevent.encode({ sigev_notify: SIGEV_NONE });
	for (const timer of timers) {
		if (timer.itId > MAX_COUNTED_ID)
			throw new UnsupportedError(
				"TIMER_ID",
				`pid ${image.pstree.pid} has a timer with id ${timer.itId}, which this kernel can't be asked for`,
				{
					remedy: "restore on Linux 6.15 or newer",
				},
			);
		for (; next < timer.itId; next++) {
			program.syscall(`skip timer id ${next}`, SYS_timer_create, [CLOCK_MONOTONIC, none, new Uint8Array(4)]);
			// Fails when the kernel counts in another way.
			program.syscall(`skip timer id ${next}`, SYS_timer_delete, [next]);
		}
		addTimer(program, image, timer, new Uint8Array(4));
		next++;
	}
}

/** Adds what makes the timers, ascending by id, unarmed. @throws UnsupportedError TIMER_ID */
export function planTimerIds(
	image: TaskImage,
	timers: readonly posix_timer_entry[],
	program: Program,
	context: RestoreContext,
): void {
	if (timers.length === 0) return;
	if (!context.once("host:timer-ids", canAskForIds)) {
		countUp(program, image, timers);
		return;
	}
	const choose = (mode: number) =>
		program.syscall("choose how timers get ids", SYS_prctl, [PR_TIMER_CREATE_RESTORE_IDS, mode, 0, 0, 0]);
	choose(PR_TIMER_CREATE_RESTORE_IDS_ON);
	for (const timer of timers) {
		const idWord = new Uint8Array(4);
		new DataView(idWord.buffer).setInt32(0, timer.itId, true);
		addTimer(program, image, timer, idWord);
	}
	choose(PR_TIMER_CREATE_RESTORE_IDS_OFF);
}
