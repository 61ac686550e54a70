// SPDX-License-Identifier: GPL-2.0-only
// A child that has used up all descriptors that its limit allows: it comes back, and still can't open another one.
// @skip-peer CRIU 4.1.1 fails to dump a task that has no descriptor free
#include "tree.h"

static void run(void *arg)
{
	(void)arg;
	must(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 8, 8 }));
	int gate = tree_gate;
	while (dup(0) >= 0)
		;
	expect("errno of dup", EMFILE, errno);
	arrive();
	expect("descriptor in place of the one closed", gate, dup(0));
	wait_for_check();
	expect("one more descriptor", -1, dup(0));
	expect("its errno", EMFILE, errno);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = start_child(run, NULL);
	ready();
	wait_for_trigger();
	check_child(child);
	pass();
}
