// SPDX-License-Identifier: GPL-2.0-only
// inotify: watched files are found by a search through folders, without file handles.
// @dump-options --force-irmap --irmap-scan-path /dev/shm
#include "inotify.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct timespec now;
	must(clock_gettime(CLOCK_REALTIME, &now));
	char folder[64], inner[80];
	snprintf(folder, sizeof(folder), "/dev/shm/irmap-%ld-%ld", now.tv_sec, now.tv_nsec);
	snprintf(inner, sizeof(inner), "%s/inner", folder);
	must(mkdir(folder, 0700));
	must(mkdir(inner, 0700));
	int fd = must(inotify_init());
	int first = must(inotify_add_watch(fd, folder, IN_DELETE));
	int second = must(inotify_add_watch(fd, inner, IN_DELETE_SELF));
	ready();
	wait_for_trigger();
	must(rmdir(inner));
	expect_event(fd, second, IN_DELETE_SELF, "");
	expect_event(fd, second, IN_IGNORED, "");
	expect_event(fd, first, IN_DELETE | IN_ISDIR, "inner");
	must(rmdir(folder));
	pass();
}
