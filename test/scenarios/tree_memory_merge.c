// SPDX-License-Identifier: GPL-2.0-only
// PR_SET_MEMORY_MERGE: set for a process and one of its children, not for the other. Memory keeps what it holds.
// @skip-peer CRIU 4.1.1 does not keep it
#include "tree.h"
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#define PR_GET_MEMORY_MERGE 68
#endif

static int get(void) { return prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0); }

static void alike(void *arg)
{
	arrive_and_wait();
	expect("child like its parent", 1, get());
	expect_fill("what both had", arg, 1 << 20, 6);
}

static void unlike(void *arg)
{
	must(prctl(PR_SET_MEMORY_MERGE, 0, 0, 0, 0));
	fill(arg, 1 << 20, 7);
	arrive_and_wait();
	expect("child unlike its parent", 0, get());
	expect_fill("what it wrote", arg, 1 << 20, 7);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	if (prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0) < 0)
		skip("PR_SET_MEMORY_MERGE: %s", strerror(errno));
	char *at = must(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	fill(at, 1 << 20, 6);
	pid_t first = start_child(alike, at), second = start_child(unlike, at);
	ready();
	wait_for_trigger();
	expect("the parent's", 1, get());
	expect_fill("data", at, 1 << 20, 6);
	check_child(first);
	check_child(second);
	pass();
}
