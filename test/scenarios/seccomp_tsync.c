// SPDX-License-Identifier: GPL-2.0-only
// Threads that share the leader's filter share it as one object: a further filter can be synchronised to all of them (TSYNC).
// @cflags -pthread
#include "threads.h"
#include "seccomp.h"

enum { N = 3 };

static void *run(void *arg)
{
	arrive_and_wait();
	expect_errno("call of the shared filter", 1233, SYS_getppid, 0, 0);
	expect_errno("call of the synchronised filter", 1234, SYS_ptrace, 0, 0);
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	must(install_rule(SYS_getppid, SECCOMP_RET_ERRNO | 1233, 0));
	pthread_t threads[N];
	for (int i = 0; i < N; i++)
		threads[i] = start_thread(run, NULL);
	wait_for_value(&arrived_count, N);
	must(install_rule(3000, SECCOMP_RET_ERRNO | 1235, SECCOMP_FILTER_FLAG_TSYNC));
	ready();
	wait_for_trigger();
	expect("mode of the leader", 2, read_status("self", "Seccomp:"));
	expect("adding a filter for all threads", 0, install_rule(SYS_ptrace, SECCOMP_RET_ERRNO | 1234, SECCOMP_FILTER_FLAG_TSYNC));
	set_value(&released_word, 1);
	for (int i = 0; i < N; i++)
		join_thread(threads[i]);
	expect_errno("call of the second filter", 1235, 3000, 0, 0);
	pass();
}
