// SPDX-License-Identifier: GPL-2.0-only
// Three threads, each with a filter of its own over the leader's none: ptrace, prctl, mincore; a fourth has two.
// @cflags -pthread
#include "threads.h"
#include "seccomp.h"

static const int calls[] = { SYS_ptrace, SYS_prctl, SYS_mincore, 3001 };
enum { N = sizeof(calls) / sizeof(*calls) };
static char tasks[N][32];

static void *run(void *arg)
{
	long i = (long)arg;
	snprintf(tasks[i], sizeof(tasks[i]), "self/task/%d", own_tid());
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	if (i == 3)
		must(install_rule(SYS_getppid, SECCOMP_RET_ERRNO | 1235, 0));
	must(install_rule(calls[i], SECCOMP_RET_ERRNO | 1234, 0));
	arrive_and_wait();
	for (int n = 0; n < N; n++)
		expect_errno("a thread's call", n == i ? 1234 : 0, calls[n], -1, -1);
	expect_errno("a call that one thread's second filter rules", i == 3 ? 1235 : 0, SYS_getppid, 0, 0);
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	wait_for_value(&arrived_count, N);
	ready();
	wait_for_trigger();
	expect("mode of the leader", 0, read_status("self", "Seccomp:"));
	for (int i = 0; i < N; i++)
		expect("filters of a thread", i == 3 ? 2 : 1, read_status(tasks[i], "Seccomp_filters:"));
	for (int n = 0; n < N; n++)
		expect_errno("the leader's call", 0, calls[n], -1, -1);
	set_value(&released_word, 1);
	for (int i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
