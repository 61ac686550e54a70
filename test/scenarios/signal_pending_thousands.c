// SPDX-License-Identifier: GPL-2.0-only
// 5,000 queued signals, half of them of the process and half of a thread, keep their order.
// @cflags -pthread
// @trigger file
// @skip-mode leave-stopped the SIGCONT that ends the stop stays pending, being blocked
#include "threads.h"

enum { EACH = 2500 };

static void take_all(int sig, int seed)
{
	sigset_t set;
	siginfo_t info;
	struct timespec zero = { 0, 0 };
	sigemptyset(&set);
	sigaddset(&set, sig);
	for (int i = 0; i < EACH; i++) {
		if (sigtimedwait(&set, &info, &zero) < 0)
			fail("signal %d of %d, wanted it pending, got errno %d", i, EACH, errno);
		expect("value", seed + i, info.si_value.sival_int);
	}
	expect("one more", -1, sigtimedwait(&set, &info, &zero));
}

static void *run(void *arg)
{
	for (int i = 0; i < EACH; i++)
		must_be(pthread_sigqueue(pthread_self(), SIGRTMIN + 2, (union sigval){ .sival_int = 100000 + i }) == 0);
	arrive_and_wait();
	take_all(SIGRTMIN + 2, 100000);
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	sigset_t all;
	sigfillset(&all);
	sigdelset(&all, SIGTERM);
	must(sigprocmask(SIG_SETMASK, &all, NULL));
	pthread_t thread = start_thread(run, NULL);
	for (int i = 0; i < EACH; i++)
		must(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){ .sival_int = 7 + i }));
	wait_for_value(&arrived_count, 1);
	ready();
	wait_for_file();
	take_all(SIGRTMIN + 1, 7);
	set_value(&released_word, 1);
	join_thread(thread);
	pass();
}
