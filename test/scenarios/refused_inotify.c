// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for an inotify instance, and the program goes on unharmed.
// @expect refused INOTIFY
#include "scenario.h"
#include <sys/inotify.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(inotify_init1(IN_NONBLOCK));
	int watch = must(inotify_add_watch(fd, ".", IN_CREATE));
	ready();
	wait_for_trigger();
	close(must(open("created", O_WRONLY | O_CREAT, 0600)));
	char buffer[512] __attribute__((aligned(8)));
	must_be(read(fd, buffer, sizeof(buffer)) > 0);
	expect("watch", watch, ((struct inotify_event *)buffer)->wd);
	pass();
}
