// SPDX-License-Identifier: GPL-2.0-only
// A named pipe with data, opened for reading and writing.
// @expect refused FIFO
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(mkfifo("fifo", 0600));
	int fd = must(open("fifo", O_RDWR));
	must_be(write(fd, "data", 4) == 4);
	ready();
	wait_for_trigger();
	char text[8] = { 0 };
	must_be(read(fd, text, 7) == 4);
	expect_text("data", "data", text);
	pass();
}
