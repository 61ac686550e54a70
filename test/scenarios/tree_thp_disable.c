// SPDX-License-Identifier: GPL-2.0-only
// Children with other settings of PR_SET_THP_DISABLE than their parent has: by fork they would have its.
// @peer-may-differ proc/\d+/status/THP_enabled CRIU 4.1.1 never takes back what the parent has
#include "tree.h"

static int get(void) { return prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0); }

static void allowed(void *arg)
{
	(void)arg;
	must(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0));
	arrive_and_wait();
	// The peer leaves it as the parent has it: that is for the comparison of /proc.
}

static void disabled(void *arg)
{
	(void)arg;
	arrive_and_wait();
	expect("child with its parent's setting", 1, get());
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	pid_t first = start_child(allowed, NULL), second = start_child(disabled, NULL);
	ready();
	wait_for_trigger();
	expect("setting", 1, get());
	check_child(first);
	check_child(second);
	pass();
}
