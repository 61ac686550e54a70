// SPDX-License-Identifier: GPL-2.0-only
// Locks by flock: an exclusive one that a child has by birth while its parent has closed the file and opened it anew, a shared
// one beside an open file without any, one on a directory, one on a deleted file.
// @options --file-locks
#include "tree.h"
#include <sys/file.h>

static int handed;

static void hold(void *arg)
{
	(void)arg;
	arrive_and_wait();
	int other = must(open("handed", O_RDWR));
	expect("another's lock", -1, flock(other, LOCK_SH | LOCK_NB));
	must(flock(handed, LOCK_UN));
	must(flock(other, LOCK_SH | LOCK_NB));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	handed = must(open("handed", O_RDWR | O_CREAT, 0600));
	must(flock(handed, LOCK_EX));
	pid_t pid = start_child(hold, NULL);
	must(close(handed));
	int again = must(open("handed", O_RDONLY));
	expect("number of the new file", handed, again);
	int shared = must(open("shared", O_RDWR | O_CREAT, 0600));
	int free = must(open("shared", O_RDWR));
	must(flock(shared, LOCK_SH));
	int directory = must(open(".", O_RDONLY | O_DIRECTORY));
	must(flock(directory, LOCK_EX));
	int gone = must(open("gone", O_RDWR | O_CREAT, 0600));
	must(unlink("gone"));
	must(flock(gone, LOCK_EX));
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", gone);
	int gone_too = must(open(path, O_RDWR));
	ready();
	wait_for_trigger();
	expect("lock of what the child has", -1, flock(again, LOCK_EX | LOCK_NB));
	must(flock(free, LOCK_SH | LOCK_NB));
	expect("exclusive lock beside a shared one", -1, flock(free, LOCK_EX | LOCK_NB));
	expect("second lock of the directory", -1, flock(must(open(".", O_RDONLY)), LOCK_SH | LOCK_NB));
	expect("second lock of the deleted file", -1, flock(gone_too, LOCK_SH | LOCK_NB));
	must(close(gone));
	must(flock(gone_too, LOCK_SH | LOCK_NB));
	check_child(pid);
	must(flock(again, LOCK_EX | LOCK_NB));
	pass();
}
