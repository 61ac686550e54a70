// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a second thread, and the program goes on unharmed.
// @expect refused THREADS
// @cflags -pthread
#include "scenario.h"
#include <pthread.h>

static volatile int stop;
static void *run(void *arg)
{
	struct timespec ms = { 0, 2000000 };
	while (!stop)
		nanosleep(&ms, NULL);
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t thread;
	sigset_t set, old;
	sigfillset(&set);
	must(sigprocmask(SIG_BLOCK, &set, &old));
	must_be(pthread_create(&thread, NULL, run, "arg") == 0);
	must(sigprocmask(SIG_SETMASK, &old, NULL));
	ready();
	wait_for_trigger();
	stop = 1;
	void *result = NULL;
	must_be(pthread_join(thread, &result) == 0);
	must_be(result != NULL);
	pass();
}
