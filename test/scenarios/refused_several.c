// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for several things at once, all of which have to be named, and the program goes on unharmed.
// @expect refused UNIX_OUTSIDE
// @expect-text io_uring
// @expect-text userfaultfd
// @expect-text outside of the tree
#include "scenario.h"
#include <linux/io_uring.h>
#include <sys/socket.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct io_uring_params params = { 0 };
	int faults = must(syscall(SYS_userfaultfd, O_NONBLOCK));
	int ring = must(syscall(SYS_io_uring_setup, 4, &params));
	int ends[2];
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	// One end goes to a process that isn't in the tree.
	if (must(fork()) == 0) {
		close(ends[0]);
		if (setsid() < 0 || fork() > 0)
			_exit(0);
		char byte;
		_exit(read(ends[1], &byte, 1) != 0);
	}
	close(ends[1]);
	must(waitpid(-1, NULL, 0));
	ready();
	wait_for_trigger();
	must_be(faults >= 0 && ring >= 0);
	must_be(write(ends[0], "", 1) == 1);
	pass();
}
