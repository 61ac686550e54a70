// SPDX-License-Identifier: GPL-2.0-only
// The same file opened by parent and child each for themselves, at one number: positions and flags stay apart.
#include "tree.h"

static void run(void *arg)
{
	(void)arg;
	int fd = must(open("file", O_RDONLY | O_NONBLOCK));
	must(dup2(fd, 50));
	close(fd);
	must(lseek(50, 22, SEEK_SET));
	arrive_and_wait();
	expect("child's position", 22, lseek(50, 0, SEEK_CUR));
	expect("child's flags", O_RDONLY | O_NONBLOCK, fcntl(50, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
	must(lseek(50, 23, SEEK_SET));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	int fd = must(open("file", O_RDWR | O_CREAT, 0600));
	must(dup2(fd, 50));
	close(fd);
	must(ftruncate(50, 100));
	must(lseek(50, 11, SEEK_SET));
	pid_t child = start_child(run, NULL);
	ready();
	wait_for_trigger();
	check_child(child);
	expect("parent's position", 11, lseek(50, 0, SEEK_CUR));
	expect("parent's flags", O_RDWR, fcntl(50, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
	pass();
}
