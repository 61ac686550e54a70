/* SPDX-License-Identifier: GPL-2.0-only */
/* Seizing all threads of a process. PTRACE_SEIZE waits for one that executes a program, which waits for the others to be
 * gone, which waits for us to take note of their ends: somebody else has to do that meanwhile. Source: ptrace(2) "execve(2)
 * under ptrace", de_thread in fs/exec.c, ptrace_attach in kernel/ptrace.c (cred_guard_mutex). */
#define _GNU_SOURCE
#include "host.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUND_NS 5000000

struct watch {
	const struct cr_seize *request;
	_Atomic uint32_t done;
};

/* Stops of tracees are told whether they're asked for or not, and must not be consumed: so a look first. */
static void reap(const int32_t *tids, uint32_t count, int32_t leader)
{
	for (uint32_t i = 0; i < count; i++) {
		siginfo_t info = { .si_pid = 0 };
		if (tids[i] == leader ||
		    syscall(SYS_waitid, P_PID, tids[i], &info, WEXITED | WNOWAIT | WNOHANG | __WALL, NULL) < 0)
			continue;
		if (info.si_pid && (info.si_code == CLD_EXITED || info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED))
			syscall(SYS_waitid, P_PID, tids[i], NULL, WEXITED | WNOHANG | __WALL, NULL);
	}
}

static void *watch_ends(void *arg)
{
	struct watch *watch = arg;
	const struct cr_seize *request = watch->request;
	const struct timespec round = { 0, ROUND_NS };
	for (;;) {
		syscall(SYS_futex, &watch->done, FUTEX_WAIT_PRIVATE, 0, &round, NULL, 0);
		if (atomic_load(&watch->done))
			return NULL;
		reap((const int32_t *)request->tids, request->nr_tids, request->leader);
		reap((const int32_t *)request->others, request->nr_others, request->leader);
	}
}

int64_t cr_seize(struct cr_seize *request)
{
	struct watch watch = { .request = request };
	const int32_t *tids = (const int32_t *)request->tids;
	int32_t *results = (int32_t *)request->results;
	pthread_t thread;
	int watched = request->nr_tids + request->nr_others > 1;
	if (watched && pthread_create(&thread, NULL, watch_ends, &watch))
		return -EAGAIN;
	for (uint32_t i = 0; i < request->nr_tids; i++)
		results[i] = ptrace(PTRACE_SEIZE, tids[i], NULL, (void *)(uint64_t)request->options) < 0 ? -errno : 0;
	if (!watched)
		return 0;
	atomic_store(&watch.done, 1);
	syscall(SYS_futex, &watch.done, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	pthread_join(thread, NULL);
	return 0;
}
