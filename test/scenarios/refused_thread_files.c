// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a thread with a descriptor table of its own, which the images have no place for.
// @cflags -pthread
// @expect refused THREAD_UNSHARED
#include "threads.h"
#include <sched.h>

static int fd;

static void *run(void *arg)
{
	must(unshare(CLONE_FILES));
	must(close(fd));
	arrive_and_wait();
	expect("descriptor that this thread closed", -1, fcntl(fd, F_GETFD));
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	fd = must(open("/dev/null", O_RDONLY));
	pthread_t thread = start_thread(run, NULL);
	checkpoint_threads(1);
	must(fcntl(fd, F_GETFD));
	join_thread(thread);
	pass();
}
