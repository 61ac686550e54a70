// SPDX-License-Identifier: GPL-2.0-only
// inotify: watches of a file that was deleted while open, of its folder, and of a deleted folder that is open; both go on.
// @skip-peer the peer looks for deleted files by handles that are of the files before
#include "inotify.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(mkdir("folder", 0700));
	must(mkdir("gone", 0700));
	int file = must(open("folder/file", O_RDWR | O_CREAT, 0600));
	int gone = must(open("gone", O_RDONLY | O_DIRECTORY));
	int fd = must(inotify_init1(IN_NONBLOCK));
	int folder = must(inotify_add_watch(fd, "folder", IN_DELETE | IN_CREATE | IN_CLOSE_WRITE));
	int watched = must(inotify_add_watch(fd, "folder/file", IN_ALL_EVENTS));
	int lost = must(inotify_add_watch(fd, "gone", IN_ATTRIB));
	must_be(write(file, "text", 4) == 4);
	must(unlink("folder/file"));
	must(rmdir("gone"));
	expect_event(fd, watched, IN_MODIFY, "");
	expect_event(fd, watched, IN_ATTRIB, "");
	expect_event(fd, folder, IN_DELETE, "file");
	expect_no_event(fd);
	ready();
	wait_for_trigger();
	expect_no_event(fd);
	must(fchmod(gone, 0500));
	expect_event(fd, lost, IN_ATTRIB | IN_ISDIR, "");
	char text[4];
	must_be(pread(file, text, 4, 0) == 4);
	expect_event(fd, watched, IN_ACCESS, "");
	must(close(must(open("folder/file", O_WRONLY | O_CREAT | O_EXCL, 0600))));
	expect_event(fd, folder, IN_CREATE, "file");
	expect_event(fd, folder, IN_CLOSE_WRITE, "file");
	must(close(file));
	expect_event(fd, folder, IN_CLOSE_WRITE, "file");
	expect_event(fd, watched, IN_CLOSE_WRITE, "");
	expect_event(fd, watched, IN_DELETE_SELF, "");
	expect_event(fd, watched, IN_IGNORED, "");
	expect_no_event(fd);
	pass();
}
