// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a pidfd of a process outside of the tree, and the program goes on unharmed.
// @expect refused PIDFD_OUTSIDE
// @expect-text which is outside of the dumped tree
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(syscall(SYS_pidfd_open, getppid(), 0));
	ready();
	wait_for_trigger();
	must(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
	pass();
}
