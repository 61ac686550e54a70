// SPDX-License-Identifier: GPL-2.0-only
// Fifty pipes that ten children hold all ends of, each having closed some and moved others to numbers of its own.
#include "tree.h"

enum { PIPES = 50, N = 10 };
static int ends[PIPES][2];

static int held(int pipe_number, long child)
{
	return (pipe_number * 7 + child * 3) % 4 != 0;
}

static void run(void *arg)
{
	long number = (long)arg;
	int moved[PIPES][2];
	for (int i = 0; i < PIPES; i++)
		for (int k = 0; k < 2; k++) {
			moved[i][k] = held(i, number) ? must(fcntl(ends[i][k], F_DUPFD, 200 + number * 10)) : -1;
			close(ends[i][k]);
		}
	arrive_and_wait();
	for (int i = 0; i < PIPES; i++) {
		if (moved[i][0] < 0)
			continue;
		unsigned char byte;
		must_be(read(moved[i][0], &byte, 1) == 1);
		expect("byte in the pipe", i, byte);
		must_be(write(moved[i][1], &byte, 1) == 1);
	}
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	for (int i = 0; i < PIPES; i++) {
		unsigned char byte = i;
		must(pipe(ends[i]));
		must_be(write(ends[i][1], &byte, 1) == 1);
	}
	pid_t children[N];
	for (long i = 0; i < N; i++)
		children[i] = start_child(run, (void *)i);
	for (int i = 0; i < PIPES; i++) {
		close(ends[i][0]);
		close(ends[i][1]);
	}
	ready();
	wait_for_trigger();
	for (int i = 0; i < N; i++)
		check_child(children[i]);
	pass();
}
