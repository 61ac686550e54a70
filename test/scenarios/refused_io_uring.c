// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for an io_uring instance, and the program goes on unharmed.
// @expect refused IO_URING
#include "scenario.h"
#include <linux/io_uring.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct io_uring_params params = { 0 };
	int fd = syscall(SYS_io_uring_setup, 4, &params);
	if (fd < 0)
		skip("io_uring: %s", strerror(errno));
	ready();
	wait_for_trigger();
	must(fcntl(fd, F_GETFD));
	pass();
}
