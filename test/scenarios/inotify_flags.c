// SPDX-License-Identifier: GPL-2.0-only
// inotify: a watch that fires once, one of a symbolic link itself, one that forgets deleted files.
// @skip-peer the peer keeps none of these flags, and follows the link
#include "inotify.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(mkdir("folder", 0700));
	must(mkdir("once", 0700));
	must(symlink("nowhere", "link"));
	int fd = must(inotify_init1(IN_NONBLOCK));
	int folder = must(inotify_add_watch(fd, "folder", IN_MODIFY | IN_EXCL_UNLINK));
	int link = must(inotify_add_watch(fd, "link", IN_ATTRIB | IN_DONT_FOLLOW));
	int once = must(inotify_add_watch(fd, "once", IN_CREATE | IN_ONESHOT));
	ready();
	wait_for_trigger();
	must(fchownat(AT_FDCWD, "link", 0, 0, AT_SYMLINK_NOFOLLOW));
	expect_event(fd, link, IN_ATTRIB, "");
	must(mkdir("once/first", 0700));
	must(mkdir("once/second", 0700));
	expect_event(fd, once, IN_CREATE | IN_ISDIR, "first");
	expect_event(fd, once, IN_IGNORED, "");
	int file = must(open("folder/file", O_WRONLY | O_CREAT, 0600));
	must_be(write(file, "text", 4) == 4);
	expect_event(fd, folder, IN_MODIFY, "file");
	must(unlink("folder/file"));
	must_be(write(file, "text", 4) == 4);
	expect_no_event(fd);
	pass();
}
