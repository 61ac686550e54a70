// SPDX-License-Identifier: GPL-2.0-only
// CLONE_FILES among some: a child with a table of its own shares that with its two children, but not with the root.
#include "tree.h"

static int number = 70;

static void leaf(void *arg)
{
	(void)arg;
	arrive_and_wait();
	must(dup2(0, number));
}

static void middle(void *arg)
{
	(void)arg;
	must(open("own", O_RDWR | O_CREAT, 0600));
	pid_t children[2];
	for (int i = 0; i < 2; i++)
		children[i] = start_child_by(CLONE_FILES | SIGCHLD, leaf, NULL);
	arrive_and_wait();
	expect("before", -1, fcntl(number, F_GETFD));
	check_child(children[0]);
	expect("what the first opened", 0, fcntl(number, F_GETFD));
	expect("kcmp of the two", 0, syscall(SYS_kcmp, getpid(), children[1], 2 /* KCMP_FILES */, 0, 0));
	check_child(children[1]);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = start_child(middle, NULL);
	ready();
	wait_for_trigger();
	check_child(child);
	expect("the root's table", -1, fcntl(number, F_GETFD));
	pass();
}
