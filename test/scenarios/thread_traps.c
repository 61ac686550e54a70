// SPDX-License-Identifier: GPL-2.0-only
// Whether a thread may read the time stamp counter, and when it's told of broken memory, for each thread.
// @cflags -pthread
// @skip-peer the original keeps neither
#include "threads.h"
#include <setjmp.h>
#include <sys/prctl.h>

enum { N = 4 };

static __thread sigjmp_buf trapped;

static void on_segv(int signo)
{
	(void)signo;
	siglongjmp(trapped, 1);
}

static int may_read_counter(void)
{
	if (sigsetjmp(trapped, 1))
		return 0;
	__builtin_ia32_rdtsc();
	return 1;
}

static void check(long which)
{
	int mode;
	must(prctl(PR_GET_TSC, &mode));
	expect("mode", which & 1 ? PR_TSC_SIGSEGV : PR_TSC_ENABLE, mode);
	int policy = which & 2 ? (which & 1 ? PR_MCE_KILL_EARLY : PR_MCE_KILL_LATE) : PR_MCE_KILL_DEFAULT;
	expect("policy", policy, prctl(PR_MCE_KILL_GET, 0, 0, 0, 0));
}

static void *run(void *arg)
{
	long which = (long)arg;
	must(prctl(PR_SET_TSC, which & 1 ? PR_TSC_SIGSEGV : PR_TSC_ENABLE));
	if (which & 2)
		must(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, which & 1 ? PR_MCE_KILL_EARLY : PR_MCE_KILL_LATE, 0, 0));
	check(which);
	// Not all virtual machines keep it from that.
	int may_read = may_read_counter();
	arrive_and_wait();
	check(which);
	expect("counter can be read", may_read, may_read_counter());
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must_be(signal(SIGSEGV, on_segv) != SIG_ERR);
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	checkpoint_threads(N);
	check(0);
	for (long i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
