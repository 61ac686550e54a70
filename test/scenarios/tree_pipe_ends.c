// SPDX-License-Identifier: GPL-2.0-only
// Pipes whose other ends are held by one child only: no end is left open too long or missing, so that end of file and
// SIGPIPE come exactly when that child ends.
#include "tree.h"

static int data[2], sink[2];

static void run(void *arg)
{
	(void)arg;
	close(data[0]);
	close(sink[1]);
	arrive_and_wait();
}

static void bystander(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2; i++) {
		close(data[i]);
		close(sink[i]);
	}
	arrive_and_wait();
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	must(pipe2(data, O_NONBLOCK));
	must(pipe2(sink, O_NONBLOCK));
	pid_t holder = start_child(run, NULL), other = start_child(bystander, NULL);
	close(data[1]);
	close(sink[0]);
	ready();
	wait_for_trigger();
	char byte;
	expect("read while it's held", -1, read(data[0], &byte, 1));
	expect("its errno", EAGAIN, errno);
	expect("write while it's held", 1, write(sink[1], "x", 1));
	check_child(holder);
	expect("read at the end", 0, read(data[0], &byte, 1));
	expect("write at the end", -1, write(sink[1], "x", 1));
	expect("its errno", EPIPE, errno);
	check_child(other);
	pass();
}
