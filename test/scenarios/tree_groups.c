// SPDX-License-Identifier: GPL-2.0-only
// Process groups: members of the root's, a leader alone, two in one, one in a sibling's, grandchildren in an uncle's.
#include "tree.h"

struct plan { pid_t group; struct plan *child; };

static void run(void *arg)
{
	struct plan *plan = arg;
	if (plan->group >= 0)
		must(setpgid(0, plan->group));
	pid_t child = plan->child ? start_child(run, plan->child) : 0, group = getpgrp();
	arrive_and_wait();
	expect("group", group, getpgrp());
	expect("session", root_pid, getsid(0));
	if (child) {
		pid_t wanted = plan->child->group > 0 ? plan->child->group : plan->child->group < 0 ? group : child;
		expect("group of the child", wanted, getpgid(child));
		check_child(child);
	}
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t children[6], groups[6];
	struct plan nothing = { -1, NULL }, own = { 0, NULL }, heir = { -1, NULL };
	children[0] = start_child(run, &nothing);
	children[1] = start_child(run, &own);
	children[2] = start_child(run, &(struct plan){ children[1], &heir });
	children[3] = start_child(run, &(struct plan){ -1, &(struct plan){ children[1], NULL } });
	children[4] = start_child(run, &(struct plan){ 0, &(struct plan){ 0, NULL } });
	children[5] = start_child(run, &(struct plan){ 0, &(struct plan){ root_pid, NULL } });
	for (int i = 0; i < 6; i++)
		groups[i] = must(getpgid(children[i]));
	ready();
	wait_for_trigger();
	expect("own group", root_pid, getpgrp());
	for (int i = 0; i < 6; i++)
		expect("group of a child", groups[i], getpgid(children[i]));
	for (int i = 0; i < 6; i++)
		check_child(children[i]);
	pass();
}
