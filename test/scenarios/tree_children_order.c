// SPDX-License-Identifier: GPL-2.0-only
// The order of a parent's children, by which a wait for any of them takes the dead ones, is that of their birth.
// @skip-peer CRIU 4.1.1 turns the order of children round
#include "tree.h"

enum { N = 12 };

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t children[N];
	for (int i = 0; i < N; i++)
		children[i] = start_sleeper();
	must(kill(children[2], SIGKILL)); // dead before the others
	await_zombie(children[2]);
	ready();
	wait_for_trigger();
	for (int i = N - 1; i >= 0; i--) {
		if (i != 2)
			must(kill(children[i], SIGKILL));
		await_zombie(children[i]);
	}
	for (int i = 0; i < N; i++)
		expect("next child that a wait takes", children[i], waitpid(-1, NULL, 0));
	expect_no_child();
	pass();
}
