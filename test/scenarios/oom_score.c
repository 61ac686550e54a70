// SPDX-License-Identifier: GPL-2.0-only
// oom_score_adj.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(open("/proc/self/oom_score_adj", O_RDWR));
	must_be(write(fd, "417", 3) == 3);
	close(fd);
	ready();
	wait_for_trigger();
	char text[16] = { 0 };
	fd = must(open("/proc/self/oom_score_adj", O_RDONLY));
	must(read(fd, text, sizeof(text) - 1));
	expect("oom_score_adj", 417, atoi(text));
	pass();
}
