// SPDX-License-Identifier: GPL-2.0-only
// Sixteen processes after a table of parents, sessions and groups: sessions made before and after forking, children born in
// a grandparent's session, groups joined across branches, and an orphan that the root has adopted in its own session.
#include "tree.h"

enum { N = 16 };
struct row {
	int parent;       // number of the parent, in the end
	int born_of;      // who forks it
	char setsid;      // b: before it forks, a: after, -: never
	int group;        // number of the group's leader, own number: a new one, -1: as it comes
};
static const struct row table[N] = {
	{ -1, -1, '-', -1 }, { 0, 0, 'a', -1 }, { 0, 0, 'b', -1 }, { 1, 1, '-', 3 },  { 1, 1, 'b', -1 }, { 2, 2, 'a', -1 },
	{ 2, 2, '-', 6 },    { 4, 4, '-', 7 },  { 4, 4, '-', -1 }, { 5, 5, '-', -1 }, { 5, 5, 'b', -1 }, { 6, 6, '-', 6 },
	{ 3, 3, '-', -1 },   { 0, 14, '-', 13 }, { 0, 0, '-', -2 }, { 7, 7, '-', 7 },
};
static pid_t *pids, *sessions, *groups; // as they were, in shared memory

static void run(void *arg);

static void fork_children(long self)
{
	for (long i = 1; i < N; i++)
		if (table[i].born_of == self)
			pids[i] = start_child(run, (void *)i);
}

static void run(void *arg)
{
	long self = (long)arg;
	const struct row *row = table + self;
	pids[self] = getpid();
	if (row->setsid == 'b')
		must(setsid());
	if (row->group >= 0)
		must(setpgid(0, row->group == self ? 0 : pids[row->group]));
	fork_children(self);
	if (row->setsid == 'a')
		must(setsid());
	if (row->group == -2) { // leaves its child to the root
		arrive();
		return;
	}
	sessions[self] = getsid(0);
	groups[self] = getpgrp();
	arrive_and_wait();
	expect("pid", pids[self], getpid());
	expect("session", sessions[self], getsid(0));
	expect("group", groups[self], getpgrp());
	expect("parent", pids[row->parent], getppid());
	for (int i = 1; i < N; i++)
		if (table[i].parent == self)
			check_child(pids[i]);
	expect_no_child();
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	pids = shared_memory(PAGE);
	sessions = pids + N;
	groups = sessions + N;
	pids[0] = getpid();
	fork_children(0);
	expect_exit(pids[14], 0);
	ready();
	wait_for_trigger();
	for (int i = 1; i < N; i++) {
		if (i == 14)
			continue;
		expect("session by getsid", sessions[i], getsid(pids[i]));
		expect("group by getpgid", groups[i], getpgid(pids[i]));
	}
	for (int i = 1; i < N; i++)
		if (i != 14 && table[i].parent == 0)
			check_child(pids[i]);
	expect_no_child();
	pass();
}
