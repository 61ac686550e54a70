// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a userfaultfd, and the program goes on unharmed.
// @expect refused USERFAULTFD
#include "scenario.h"


int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		skip("userfaultfd: %s", strerror(errno));
	ready();
	wait_for_trigger();
	must(fcntl(fd, F_GETFD));
	pass();
}
