// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused while a child is inside of vfork, suspended until its own child, in its memory, ends or becomes another
// program; all go on unharmed.
// @expect refused VFORK
// @expect-text vfork
// @options --timeout 2
// @busy children
#include "tree.h"

static volatile pid_t *inner;

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	inner = shared_memory(PAGE);
	pid_t child = must(fork());
	if (child == 0) {
		pid_t grandchild = vfork();
		if (grandchild == 0) {
			*inner = getpid();
			wait_for_check();
			_exit(3);
		}
		int status;
		if (waitpid(grandchild, &status, 0) != grandchild || status != 3 << 8)
			_exit(4);
		_exit(5);
	}
	while (!*inner)
		usleep(500);
	ready();
	wait_for_trigger();
	must(kill(*inner, SIGUSR1));
	expect_exit(child, 5);
	pass();
}
