// SPDX-License-Identifier: GPL-2.0-only
// A child blocked in write to a pipe that's full: it goes on once its parent reads, and every byte arrives once.
#include "tree.h"

enum { SIZE = 300000 };
static int ends[2];

static void run(void *arg)
{
	(void)arg;
	close(ends[0]);
	char *data = malloc(SIZE);
	fill(data, SIZE, 5);
	arrive();
	for (ssize_t done = 0, n; done < SIZE; done += n)
		n = must(write(ends[1], data + done, SIZE - done));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(pipe(ends));
	pid_t child = start_child(run, NULL);
	close(ends[1]);
	int waiting = 0;
	while (waiting < 65536) {
		must(syscall(SYS_ioctl, ends[0], 0x541b, &waiting)); // FIONREAD
		usleep(500);
	}
	await_asleep(child);
	ready();
	wait_for_trigger();
	char *data = malloc(SIZE);
	size_t have = 0;
	for (ssize_t n; have < SIZE && (n = must(read(ends[0], data + have, SIZE - have))) > 0;)
		have += n;
	expect("bytes", SIZE, have);
	expect_fill("data", data, SIZE, 5);
	expect_exit(child, 0);
	expect("end of the pipe", 0, read(ends[0], data, 1));
	pass();
}
