// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a process whose main thread has ended, and its other thread goes on unharmed.
// @cflags -pthread
// @expect refused DEAD_LEADER
#include "threads.h"

static void *run(void *arg)
{
	struct timespec ms = { 0, 1000000 };
	char path[64], text[512] = "";
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", getpid());
	while (!strstr(text, ") Z ")) {
		int fd = must(open(path, O_RDONLY));
		ssize_t n = must(read(fd, text, sizeof(text) - 1));
		text[n] = 0;
		close(fd);
		nanosleep(&ms, NULL);
	}
	ready();
	wait_for_trigger();
	pass();
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t thread;
	must_be(pthread_create(&thread, NULL, run, NULL) == 0);
	pthread_exit(NULL);
}
