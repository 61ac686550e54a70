// SPDX-License-Identifier: GPL-2.0-only
// A child born before its parent's setsid stays in the older session, one born after is in the new one; two levels of that.
#include "tree.h"

static void leaf(void *arg)
{
	pid_t wanted = (pid_t)(long)arg;
	expect("session, before", wanted, getsid(0));
	arrive_and_wait();
	expect("session", wanted, getsid(0));
	expect("group", wanted, getpgrp());
}

static void level(void *arg)
{
	long depth = (long)arg;
	pid_t older = getsid(0), children[3] = { 0 };
	children[0] = start_child(leaf, (void *)(long)older);
	if (depth < 2)
		children[2] = start_child(level, (void *)(depth + 1));
	must(setsid());
	children[1] = start_child(leaf, (void *)(long)getpid());
	arrive_and_wait();
	expect("session", getpid(), getsid(0));
	expect("session of the older child", older, getsid(children[0]));
	expect("session of the younger child", getpid(), getsid(children[1]));
	for (int i = 0; i < 3; i++)
		if (children[i])
			check_child(children[i]);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = start_child(level, (void *)1L);
	ready();
	wait_for_trigger();
	check_child(child);
	pass();
}
