// SPDX-License-Identifier: GPL-2.0-only
// A zombie that was looked at with WNOWAIT many times can still be reaped, once.
#include "tree.h"

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = must(fork());
	if (child == 0)
		_exit(33);
	for (int i = 0; i < 5; i++)
		await_zombie(child);
	ready();
	wait_for_trigger();
	for (int i = 0; i < 5; i++)
		await_zombie(child);
	expect_exit(child, 33);
	expect_no_child();
	pass();
}
