// SPDX-License-Identifier: GPL-2.0-only
// A child that asked for a signal at its parent's death gets it then, once, and never from a checkpoint.
#include "tree.h"

static volatile sig_atomic_t signals;
static void on_signal(int sig)
{
	(void)sig;
	signals++;
}

static void leaf(void *arg)
{
	(void)arg;
	signal(SIGUSR2, on_signal);
	must(prctl(PR_SET_PDEATHSIG, SIGUSR2, 0, 0, 0));
	arrive_and_wait();
	int wanted = 0;
	must(prctl(PR_GET_PDEATHSIG, &wanted, 0, 0, 0));
	expect("signal asked for", SIGUSR2, wanted);
	expect("parent", root_pid, getppid());
	expect("signals", 1, signals);
}

static void middle(void *arg)
{
	(void)arg;
	pid_t child = start_child(leaf, NULL);
	arrive_with(child);
	wait_for_check();
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	pid_t child = start_child(middle, NULL), grandchild = arrived_value;
	ready();
	wait_for_trigger();
	check_child(child);
	check_child(grandchild);
	pass();
}
