// SPDX-License-Identifier: GPL-2.0-only
// Three generations: parent, two children, two grandchildren each, keep pids and parents.
#include "tree.h"

static void run(void *arg)
{
	pid_t self = getpid(), parent = getppid(), children[2] = { 0 };
	long generation = (long)arg;
	if (generation < 2)
		for (int i = 0; i < 2; i++)
			children[i] = start_child(run, (void *)(generation + 1));
	arrive_and_wait();
	expect("pid", self, getpid());
	expect("parent", parent, getppid());
	if (generation < 2) {
		for (int i = 0; i < 2; i++)
			check_child(children[i]);
		expect_no_child();
	}
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t children[2];
	for (int i = 0; i < 2; i++)
		children[i] = start_child(run, (void *)1L);
	ready();
	wait_for_trigger();
	for (int i = 0; i < 2; i++)
		check_child(children[i]);
	expect_no_child();
	pass();
}
