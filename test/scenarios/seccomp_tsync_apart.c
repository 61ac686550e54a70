// SPDX-License-Identifier: GPL-2.0-only
// A thread whose filter the leader lacks is not made equal to it: synchronising (TSYNC) fails after the restore as before,
// naming that thread, and works when that one has ended.
// @cflags -pthread
#include "threads.h"
#include "seccomp.h"

static pid_t apart;
static unsigned leave;

static void *run(void *arg)
{
	apart = own_tid();
	must(install_rule(3002, SECCOMP_RET_ERRNO | 1002, 0));
	arrive();
	wait_for_value(&leave, 1);
	expect_errno("own filter's call", 1002, 3002, 0, 0);
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	pthread_t thread = start_thread(run, NULL);
	wait_for_value(&arrived_count, 1);
	must(install_rule(3001, SECCOMP_RET_ERRNO | 1001, 0));
	ready();
	wait_for_trigger();
	expect("thread in the way of TSYNC", apart, install_rule(3003, SECCOMP_RET_ERRNO | 1003, SECCOMP_FILTER_FLAG_TSYNC));
	expect_errno("call of the filter that was turned down", 0, 3003, 0, 0);
	set_value(&leave, 1);
	join_thread(thread);
	struct timespec ms = { 0, 1000000 };
	for (int i = 0; syscall(SYS_tgkill, getpid(), apart, 0) == 0 && i < 10000; i++)
		nanosleep(&ms, NULL);
	expect("TSYNC without that thread", 0, install_rule(3003, SECCOMP_RET_ERRNO | 1003, SECCOMP_FILTER_FLAG_TSYNC));
	expect_errno("call of the leader's filter", 1001, 3001, 0, 0);
	expect_errno("call of the synchronised filter", 1003, 3003, 0, 0);
	pass();
}
