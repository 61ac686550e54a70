// SPDX-License-Identifier: GPL-2.0-only
// Children with names of their own (PR_SET_NAME), odd bytes in them included.
#include "tree.h"

static const char *const names[] = { "plain", "with (paren) x", "nine chars)", "tab\tand\\", "exactly15bytes_", "" };
enum { N = sizeof(names) / sizeof(*names) };

static void run(void *arg)
{
	char name[16] = "";
	must(prctl(PR_SET_NAME, arg, 0, 0, 0));
	arrive_and_wait();
	must(prctl(PR_GET_NAME, name, 0, 0, 0));
	expect_text("name", arg, name);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t children[N];
	for (int i = 0; i < N; i++)
		children[i] = start_child(run, (void *)names[i]);
	ready();
	wait_for_trigger();
	for (int i = 0; i < N; i++)
		check_child(children[i]);
	pass();
}
