// SPDX-License-Identifier: GPL-2.0-only
// A child is inside of vfork while its own child waits for a process that a dump stops first: that one goes on for a moment.
// @skip-mode peer-ours CRIU 4.1.1 waits for a vfork while it keeps the process from going on that it waits for
// @busy children
// @may-differ tree|proc/.* a child ends meanwhile
#include "tree.h"

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

// Until this process has stood still for a tenth of a second, or is told.
static void await_standstill(volatile int *told)
{
	for (double before = now(), after; !*told; before = after) {
		usleep(1000);
		after = now();
		if (after - before > 0.1)
			return;
	}
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	volatile int *over = shared_memory(PAGE), *told = over + 1;
	int ends[2], begun[2];
	must(pipe(ends));
	must(pipe(begun));
	pid_t writer = must(fork());
	if (writer == 0) {
		close(ends[0]);
		close(begun[0]);
		close(begun[1]);
		await_standstill(told);
		if (write(ends[1], "x", 1) != 1)
			_exit(4);
		for (;;)
			pause();
	}
	pid_t child = must(fork());
	if (child == 0) {
		char byte;
		pid_t inner = vfork();
		if (inner == 0) {
			if (write(begun[1], "x", 1) != 1)
				_exit(1);
			_exit(read(ends[0], &byte, 1) == 1 ? 3 : 2);
		}
		int status;
		if (waitpid(inner, &status, 0) != inner || status != 3 << 8)
			_exit(4);
		*over = 1;
		for (;;)
			pause();
	}
	char byte;
	must_be(read(begun[0], &byte, 1) == 1);
	for (int i = 0; i < 2; i++) {
		must(close(ends[i]));
		must(close(begun[i]));
	}
	ready();
	wait_for_trigger();
	// Without a dump.
	told[0] = 1;
	while (!*over)
		usleep(500);
	must(kill(writer, SIGKILL));
	must(kill(child, SIGKILL));
	int status;
	must_be(waitpid(writer, &status, 0) == writer && WTERMSIG(status) == SIGKILL);
	must_be(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGKILL);
	pass();
}
