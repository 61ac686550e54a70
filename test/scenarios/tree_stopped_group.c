// SPDX-License-Identifier: GPL-2.0-only
// A stopped job: a whole process group stopped by SIGTSTP to the group goes on by SIGCONT to the group.
#include "tree.h"

enum { N = 4 };

static void run(void *arg)
{
	must(setpgid(0, *(pid_t *)arg));
	arrive_and_wait();
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t members[N], group = 0;
	for (int i = 0; i < N; i++) {
		members[i] = start_child(run, &group);
		group = members[0];
	}
	pid_t other = start_sleeper();
	must(kill(-group, SIGTSTP));
	for (int i = 0; i < N; i++)
		expect("stopped member", members[i], waitpid(members[i], NULL, WUNTRACED));
	ready();
	wait_for_trigger();
	for (int i = 0; i < N; i++)
		expect("state of a member", 'T', state_letter(members[i]));
	expect("state of one outside", 'S', state_letter(other));
	must(kill(-group, SIGCONT));
	for (int i = 0; i < N; i++)
		check_child(members[i]);
	check_child(other);
	pass();
}
