// SPDX-License-Identifier: GPL-2.0-only
// inotify: watches of a folder, of a file in it that is open, of a folder on tmpfs, with numbers that have gaps; a second
// instance on the same file; a file on tmpfs, which goes into the images. Dump and restore make no events.
#include "inotify.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(mkdir("folder", 0700));
	int file = must(open("folder/file", O_RDWR | O_CREAT, 0600));
	char shm[64];
	struct timespec now;
	must(clock_gettime(CLOCK_REALTIME, &now));
	snprintf(shm, sizeof(shm), "/dev/shm/inotify-%ld-%ld", now.tv_sec, now.tv_nsec);
	must(mkdir(shm, 0700));
	int written = must(openat(must(open(shm, O_PATH)), "kept", O_RDWR | O_CREAT, 0600));
	must_be(write(written, "text", 4) == 4);
	int fd = must(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
	int gap = must(inotify_add_watch(fd, "/", IN_MOVE_SELF));
	int folder = must(inotify_add_watch(fd, "folder", IN_ALL_EVENTS | IN_ONLYDIR));
	must(inotify_rm_watch(fd, gap));
	expect_event(fd, gap, IN_IGNORED, "");
	int watched = must(inotify_add_watch(fd, "folder/file", IN_ALL_EVENTS));
	int memory = must(inotify_add_watch(fd, shm, IN_CREATE));
	char kept[80];
	snprintf(kept, sizeof(kept), "%s/kept", shm);
	int of_kept = must(inotify_add_watch(fd, kept, IN_ALL_EVENTS));
	int other = must(inotify_init1(IN_NONBLOCK));
	int second = must(inotify_add_watch(other, "folder/file", IN_ALL_EVENTS));
	ready();
	wait_for_trigger();
	expect_no_event(fd);
	expect_no_event(other);
	must_be(write(file, "text", 4) == 4);
	expect_event(fd, folder, IN_MODIFY, "file");
	expect_event(fd, watched, IN_MODIFY, "");
	expect_event(other, second, IN_MODIFY, "");
	must_be(write(written, "more", 4) == 4);
	expect_event(fd, of_kept, IN_MODIFY, "");
	must(close(file));
	expect_event(fd, folder, IN_CLOSE_WRITE, "file");
	expect_event(fd, watched, IN_CLOSE_WRITE, "");
	expect_event(other, second, IN_CLOSE_WRITE, "");
	must(mkdirat(must(open(shm, O_PATH)), "new", 0700));
	expect_event(fd, memory, IN_CREATE | IN_ISDIR, "new");
	expect("watch of a folder that has one", folder, inotify_add_watch(fd, "folder", IN_CREATE));
	int fresh = must(inotify_add_watch(fd, ".", IN_CREATE));
	must_be(fresh > of_kept);
	expect_no_event(fd);
	expect_no_event(other);
	char path[80];
	snprintf(path, sizeof(path), "%s/new", shm);
	must(rmdir(path));
	must(unlink(kept));
	must(rmdir(shm));
	pass();
}
