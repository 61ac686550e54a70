// SPDX-License-Identifier: GPL-2.0-only
// A descriptor that came from the child by pidfd_getfd stays shared with it, with data waiting; the pidfd ends the child.
#include "tree.h"

static int ends[2];

static void run(void *arg)
{
	(void)arg;
	arrive();
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(pipe(ends));
	must_be(write(ends[1], "data", 4) == 4);
	pid_t child = start_child(run, NULL);
	int fd = must(syscall(SYS_pidfd_open, child, 0));
	close(ends[0]);
	close(ends[1]);
	int got = must(syscall(SYS_pidfd_getfd, fd, ends[0], 0));
	ready();
	wait_for_trigger();
	char text[5] = { 0 };
	must_be(read(got, text, 4) == 4);
	expect_text("what was in the pipe", "data", text);
	must(syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0));
	expect_killed(child, SIGKILL);
	pass();
}
