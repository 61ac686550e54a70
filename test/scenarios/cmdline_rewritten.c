// SPDX-License-Identifier: GPL-2.0-only
// A program that has written over its arguments and environment (as setproctitle does) shows the same to the outside.
// @args one two-two three-three-three
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	char *start = argv[2];
	size_t room = strlen(argv[2]) + strlen(argv[3]) + strlen(argv[4]) + 3;
	memset(start, 0, room);
	snprintf(start, room, "renamed: busy");
	must(setenv("SCENARIO_ADDED", "on the heap", 1));
	char before[4096], after[4096];
	int fd = must(open("/proc/self/cmdline", O_RDONLY));
	ssize_t n = must(read(fd, before, sizeof(before)));
	close(fd);
	ready();
	wait_for_trigger();
	fd = must(open("/proc/self/cmdline", O_RDONLY));
	expect("length of cmdline", n, must(read(fd, after, sizeof(after))));
	expect_bytes("cmdline", before, after, n);
	expect_text("environment", "on the heap", getenv("SCENARIO_ADDED"));
	pass();
}
