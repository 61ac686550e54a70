// SPDX-License-Identifier: GPL-2.0-only
// A stopped child of a stopped child: each goes on by its own SIGCONT.
#include "tree.h"

static void run(void *arg)
{
	pid_t child = 0;
	if (arg) {
		child = start_child(run, NULL);
		must(kill(child, SIGSTOP));
		expect("stopped grandchild", child, waitpid(child, NULL, WUNTRACED));
	}
	arrive_with(child);
	wait_for_check();
	if (child) {
		expect("state of the grandchild", 'T', state_letter(child));
		must(kill(child, SIGCONT));
		check_child(child);
	}
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = start_child(run, &root_pid), grandchild = arrived_value;
	must(kill(child, SIGSTOP));
	expect("stopped child", child, waitpid(child, NULL, WUNTRACED));
	ready();
	wait_for_trigger();
	expect("state", 'T', state_letter(child));
	expect("state of the grandchild", 'T', state_letter(grandchild));
	must(kill(child, SIGCONT));
	check_child(child);
	pass();
}
