// SPDX-License-Identifier: GPL-2.0-only
// PR_SET_THP_DISABLE but for advised mappings, whose child has it disabled for all.
// @skip-peer CRIU 4.1.1 keeps no flags of PR_SET_THP_DISABLE
#include "tree.h"
#ifndef PR_THP_DISABLE_EXCEPT_ADVISED
#define PR_THP_DISABLE_EXCEPT_ADVISED (1 << 1)
#endif

static int get(void) { return prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0); }

static void child(void *arg)
{
	(void)arg;
	must(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	arrive_and_wait();
	expect("the child's", 1, get());
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	if (prctl(PR_SET_THP_DISABLE, 1, PR_THP_DISABLE_EXCEPT_ADVISED, 0, 0) < 0)
		skip("PR_THP_DISABLE_EXCEPT_ADVISED: %s", strerror(errno));
	pid_t pid = start_child(child, NULL);
	ready();
	wait_for_trigger();
	expect("the parent's", 1 | PR_THP_DISABLE_EXCEPT_ADVISED, get());
	check_child(pid);
	pass();
}
