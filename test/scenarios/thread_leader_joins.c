// SPDX-License-Identifier: GPL-2.0-only
// The main thread waits in pthread_join; the thread that it waits for gets the trigger and ends after the restore.
// @cflags -pthread
#include "threads.h"

static void *run(void *arg)
{
	arrive();
	wait_for_trigger();
	return (char *)arg + 7;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t thread;
	must_be(pthread_create(&thread, NULL, run, (void *)1000) == 0);
	sigset_t term;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	must_be(pthread_sigmask(SIG_BLOCK, &term, NULL) == 0);
	wait_for_value(&arrived_count, 1);
	ready();
	expect("result", 1007, (long)join_thread(thread));
	pass();
}
