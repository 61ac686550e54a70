// SPDX-License-Identifier: GPL-2.0-only
// Children whose limit of processes is reached already: they come back all the same, and still can't fork.
// @peer-needs cap:sys_resource
// @may-differ proc/\d+/stat/flags PF_NPROC_EXCEEDED: whether the last change of ids met the limit
#include "tree.h"

static void run(void *arg)
{
	(void)arg;
	must(setrlimit(RLIMIT_NPROC, &(struct rlimit){ 1, 1 }));
	must(setresuid(4321, 4321, 4321));
	must(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	arrive_and_wait();
	expect("fork", -1, fork());
	expect("its errno", EAGAIN, errno);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t children[2] = { start_child(run, NULL), start_child(run, NULL) };
	ready();
	wait_for_trigger();
	for (int i = 0; i < 2; i++)
		check_child(children[i]);
	pass();
}
