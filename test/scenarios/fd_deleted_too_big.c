// SPDX-License-Identifier: GPL-2.0-only
// A deleted file larger than the ghost limit is refused, naming the option.
// @expect refused GHOST_LIMIT
// @options --ghost-limit 1M
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(open("ghost", O_RDWR | O_CREAT | O_EXCL, 0600));
	static char data[2 << 20];
	fill(data, sizeof(data), 45);
	must_be(write(fd, data, sizeof(data)) == sizeof(data));
	must(unlink("ghost"));
	ready();
	wait_for_trigger();
	expect("size", sizeof(data), lseek(fd, 0, SEEK_END));
	pass();
}
