/* SPDX-License-Identifier: GPL-2.0-only */
/* Leading many stopped threads to their next system call stop at once: while we resume one, others run already. Stops are
 * looked at, never consumed. Source: ptrace(2) PTRACE_SYSCALL, waitid(2) WNOWAIT. */
#define _GNU_SOURCE
#include "host.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define YIELDS 20
#define FIRST_NAP_NS 20000
#define LONGEST_NAP_NS 1000000
#define CALL_STOP (SIGTRAP | 0x80)

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* 0 at a system call stop, the stop's code at another, CR_STEP_GONE at its end, -EAGAIN while it runs, -errno. */
static int32_t look(int32_t tid)
{
	siginfo_t info = { .si_pid = 0 };

	if (syscall(SYS_waitid, P_PID, tid, &info, WSTOPPED | WEXITED | WNOWAIT | WNOHANG | __WALL, NULL) < 0)
		return -errno;
	if (!info.si_pid)
		return -EAGAIN;
	if (info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED)
		return CR_STEP_GONE;
	return info.si_status == CALL_STOP ? 0 : info.si_status;
}

static int32_t await(int32_t tid, int64_t deadline)
{
	for (unsigned round = 0;; round++) {
		int32_t seen = look(tid);

		if (seen != -EAGAIN)
			return seen;
		if (round < YIELDS) {
			sched_yield();
			continue;
		}
		if (now_ms() > deadline)
			return -EAGAIN;
		long nap = FIRST_NAP_NS * (long)(round - YIELDS + 1);
		nanosleep(&(struct timespec){ 0, nap < LONGEST_NAP_NS ? nap : LONGEST_NAP_NS }, NULL);
	}
}

int64_t cr_step(struct cr_step *request)
{
	const int32_t *tids = (const int32_t *)request->tids;
	int32_t *results = (int32_t *)request->results;
	int64_t deadline = now_ms() + request->timeout_ms;

	for (uint32_t i = 0; i < request->nr_tids; i++)
		results[i] = ptrace((enum __ptrace_request)request->request, tids[i], NULL, NULL) < 0 ? -errno : 0;
	for (uint32_t i = 0; i < request->nr_tids; i++)
		if (results[i] == 0)
			results[i] = await(tids[i], deadline);
	return 0;
}
