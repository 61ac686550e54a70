// SPDX-License-Identifier: GPL-2.0-only
// Descriptions shared by fork: position and status flags are one, whoever moves them; close-on-exec is each one's own.
#include "tree.h"

static int fd;

static void run(void *arg)
{
	(void)arg;
	must(fcntl(fd, F_SETFD, FD_CLOEXEC));
	arrive_and_wait();
	expect("position that the parent set", 300, lseek(fd, 0, SEEK_CUR));
	must_be(fcntl(fd, F_GETFL) & O_APPEND);
	expect("own close-on-exec", FD_CLOEXEC, fcntl(fd, F_GETFD));
	must(lseek(fd, 700, SEEK_SET));
	must(fcntl(fd, F_SETFL, O_NONBLOCK));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	fd = must(open("file", O_RDWR | O_CREAT, 0600));
	must(ftruncate(fd, 1000));
	must(lseek(fd, 100, SEEK_SET));
	pid_t child = start_child(run, NULL);
	ready();
	wait_for_trigger();
	expect("position", 100, lseek(fd, 0, SEEK_CUR));
	must(lseek(fd, 300, SEEK_SET));
	must(fcntl(fd, F_SETFL, O_APPEND));
	check_child(child);
	expect("position that the child set", 700, lseek(fd, 0, SEEK_CUR));
	expect("flags that the child set", O_NONBLOCK, fcntl(fd, F_GETFL) & (O_NONBLOCK | O_APPEND));
	expect("close-on-exec", 0, fcntl(fd, F_GETFD));
	pass();
}
