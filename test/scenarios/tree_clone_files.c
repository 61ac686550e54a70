// SPDX-License-Identifier: GPL-2.0-only
// CLONE_FILES: a child that shares its parent's descriptor table; what one opens or closes, the other has or hasn't.
#include "tree.h"

static int opened = 60;

static void run(void *arg)
{
	int victim = *(int *)arg;
	arrive_and_wait();
	int fd = must(open("file", O_RDWR));
	must(dup2(fd, opened));
	close(fd);
	must(lseek(opened, 77, SEEK_SET));
	must(close(victim));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	int fd = must(open("file", O_RDWR | O_CREAT, 0600)), victim = must(dup(fd));
	pid_t child = start_child_by(CLONE_FILES | SIGCHLD, run, &victim), apart = start_sleeper();
	ready();
	wait_for_trigger();
	expect("kcmp of the tables", 0, syscall(SYS_kcmp, getpid(), child, 2 /* KCMP_FILES */, 0, 0));
	must_be(syscall(SYS_kcmp, getpid(), apart, 2, 0, 0) > 0);
	check_child(child);
	expect("position in what the child opened", 77, lseek(opened, 0, SEEK_CUR));
	expect("what the child closed", -1, fcntl(victim, F_GETFD));
	check_child(apart);
	pass();
}
