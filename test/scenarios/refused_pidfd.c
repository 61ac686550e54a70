// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a pidfd, and the program goes on unharmed.
// @expect refused PIDFD
#include "scenario.h"


int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(syscall(SYS_pidfd_open, getpid(), 0));
	ready();
	wait_for_trigger();
	must(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
	pass();
}
