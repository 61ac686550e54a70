// SPDX-License-Identifier: GPL-2.0-only
// Record locks of a parent and its child, taken through the one open file that both have, are each one's own.
// @options --file-locks
// @skip-mode peer-ours the peer looks at the locks of an open file in the first process that has it
#include "tree.h"

static int fd;

static struct flock range(int type, long start, long length)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length };
}

static void expect_holder(long start, pid_t pid)
{
	struct flock lock = range(F_WRLCK, start, 1);
	must(fcntl(fd, F_GETLK, &lock));
	expect("holder", pid, lock.l_pid);
	expect("start", start, lock.l_start);
	expect("length", 50, lock.l_len);
}

static void hold(void *arg)
{
	(void)arg;
	struct flock lock = range(F_WRLCK, 200, 50);
	must(fcntl(fd, F_SETLK, &lock));
	arrive_and_wait();
	expect_holder(100, root_pid);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	fd = must(open("file", O_RDWR | O_CREAT, 0600));
	must(dup(fd));
	struct flock lock = range(F_WRLCK, 100, 50);
	must(fcntl(fd, F_SETLK, &lock));
	pid_t pid = start_child(hold, NULL);
	ready();
	wait_for_trigger();
	expect_holder(200, pid);
	check_child(pid);
	pass();
}
