// SPDX-License-Identifier: GPL-2.0-only
// A thread blocked in a futex wait with a relative limit: after the restore it sleeps on or is told EINTR, and may wait again.
// @cflags -pthread
#include "threads.h"
static unsigned word = 17;

static void *run(void *arg)
{
	struct timespec hour = { 3600, 0 };
	arrive();
	while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) == 17)
		if (syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 17, &hour, NULL, 0) < 0 && errno != EAGAIN)
			expect("errno of the futex wait", EINTR, errno);
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t thread = start_thread(run, NULL);
	checkpoint_threads(1);
	set_value(&word, 18);
	join_thread(thread);
	pass();
}
