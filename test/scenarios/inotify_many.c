// SPDX-License-Identifier: GPL-2.0-only
// inotify: two thousand watches of one instance keep their numbers.
#include "inotify.h"

enum { N = 2000 };

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(inotify_init1(IN_NONBLOCK));
	static int watches[N];
	for (int i = 0; i < N; i++) {
		char name[32];
		snprintf(name, sizeof(name), "file%d", i);
		must(mkdir(name, 0700));
		watches[i] = must(inotify_add_watch(fd, name, IN_CREATE));
	}
	ready();
	wait_for_trigger();
	for (int i = 0; i < N; i += 7) {
		char name[64];
		snprintf(name, sizeof(name), "file%d/in", i);
		must(mkdir(name, 0700));
		expect_event(fd, watches[i], IN_CREATE | IN_ISDIR, "in");
	}
	expect_no_event(fd);
	pass();
}
