// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a thread that has access to some I/O ports (ioperm).
// @cflags -pthread
// @expect refused IO_PORTS
// @expect-text (ioperm)
#include "threads.h"
#include <sys/io.h>

static void *run(void *arg)
{
	if (ioperm(0x80, 4, 1) < 0)
		skip("ioperm: %s", strerror(errno));
	arrive_and_wait();
	outb(0, 0x80);
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t thread = start_thread(run, NULL);
	checkpoint_threads(1);
	join_thread(thread);
	pass();
}
