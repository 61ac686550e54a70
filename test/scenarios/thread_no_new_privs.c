// SPDX-License-Identifier: GPL-2.0-only
// no_new_privs in one thread only.
// @cflags -pthread
#include "threads.h"
#include <sys/prctl.h>

static void *run(void *arg)
{
	if (arg)
		must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	arrive_and_wait();
	expect("no_new_privs of a thread", arg != NULL, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[2] = { start_thread(run, "set"), start_thread(run, NULL) };
	checkpoint_threads(2);
	expect("no_new_privs of the main thread", 0, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	join_thread(threads[0]);
	join_thread(threads[1]);
	pass();
}
