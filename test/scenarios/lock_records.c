// SPDX-License-Identifier: GPL-2.0-only
// Record locks of two processes on one file, to its end and in its middle, read and write; those of an open file (OFD) that
// both have; a child that waits for a lock of its parent gets it when that goes.
// @options --file-locks
#include "tree.h"

static int records, shared;

static struct flock range(int type, long start, long length)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length };
}

static void lock_part(int command, int fd, int type, long start, long length)
{
	struct flock lock = range(type, start, length);
	must(fcntl(fd, command, &lock));
}

static void expect_holder(const char *what, int command, int fd, struct flock wanted, pid_t pid)
{
	struct flock lock = range(F_WRLCK, wanted.l_start, 1);
	must(fcntl(fd, command, &lock));
	expect(what, wanted.l_type, lock.l_type);
	if (lock.l_type == F_UNLCK)
		return;
	expect("start", wanted.l_start, lock.l_start);
	expect("length", wanted.l_len, lock.l_len);
	expect("pid", pid, lock.l_pid);
}

static void hold(void *arg)
{
	(void)arg;
	records = must(open("records", O_RDWR));
	lock_part(F_SETLK, records, F_WRLCK, 200, 50);
	lock_part(F_SETLK, records, F_RDLCK, 300, 2);
	arrive_and_wait();
	expect_holder("the parent's lock", F_GETLK, records, range(F_WRLCK, 1000, 0), root_pid);
	expect_holder("the parent's other lock", F_GETLK, records, range(F_RDLCK, 10, 20), root_pid);
	int fresh = must(open("shared", O_RDWR));
	expect_holder("lock of the open file", F_OFD_GETLK, fresh, range(F_WRLCK, 0, 0), -1);
	struct flock free = range(F_WRLCK, 0, 0);
	must(fcntl(shared, F_OFD_GETLK, &free));
	expect("own lock", F_UNLCK, free.l_type);
}

static void wait_in_line(void *arg)
{
	(void)arg;
	arrive();
	lock_part(F_SETLKW, records, F_WRLCK, 1000, 10);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	records = must(open("records", O_RDWR | O_CREAT, 0600));
	shared = must(open("shared", O_RDWR | O_CREAT, 0600));
	lock_part(F_SETLK, records, F_WRLCK, 1000, 0);
	lock_part(F_SETLK, records, F_RDLCK, 10, 20);
	lock_part(F_OFD_SETLK, shared, F_WRLCK, 0, 0);
	must(dup(records));
	pid_t holder = start_child(hold, NULL);
	pid_t waiter = start_child(wait_in_line, NULL);
	ready();
	wait_for_trigger();
	expect_holder("the child's lock", F_GETLK, records, range(F_WRLCK, 200, 50), holder);
	expect_holder("the child's read lock", F_GETLK, records, range(F_RDLCK, 300, 2), holder);
	check_child(holder);
	expect("waiting child", 0, waitpid(waiter, NULL, WNOHANG));
	lock_part(F_SETLK, records, F_UNLCK, 0, 0);
	expect_exit(waiter, 0);
	pass();
}
