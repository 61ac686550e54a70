// SPDX-License-Identifier: GPL-2.0-only
// inotify: a watched file lost the name under which it's open, but has another; its folder is watched too. The link that
// keeps it makes no news.
// @options --link-remap
#include "inotify.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(mkdir("folder", 0700));
	int file = must(open("folder/file", O_RDWR | O_CREAT, 0600));
	must(link("folder/file", "other"));
	must(unlink("folder/file"));
	int fd = must(inotify_init1(IN_NONBLOCK));
	int watched = must(inotify_add_watch(fd, "other", IN_MODIFY));
	int folder = must(inotify_add_watch(fd, "folder", IN_MODIFY | IN_CREATE | IN_DELETE));
	ready();
	wait_for_trigger();
	for (char buffer[4096]; read(fd, buffer, sizeof(buffer)) > 0;)
		; // a dump that lets it run has made its link
	must_be(write(file, "text", 4) == 4);
	expect_event(fd, folder, IN_MODIFY, "file");
	expect_event(fd, watched, IN_MODIFY, "");
	must(mkdir("folder/new", 0700));
	expect_event(fd, folder, IN_CREATE | IN_ISDIR, "new");
	expect_no_event(fd);
	pass();
}
